"""Where the encoder stands still in the inner loop (THEORY: A2, A9, B4, D1 to D3)."""

from dataclasses import replace

import pytest
import torch

from innerloop.algorithms import AlgorithmConfig, build, closed_form
from innerloop.inner import InnerLoop
from innerloop.params import select
from innerloop.training import initial_state
from worlds import conv_learner, image_episode


def both(config, inner, episode=None, **model):
    """The algorithm's own gradient and the closed form's, at a start with a head of its policy."""
    learner, _ = conv_learner(**model)
    algorithm = build(config, learner, inner)
    params = initial_state(algorithm, algorithm.initial_params()).params
    params = {name: value.double() for name, value in params.items()}
    rule = closed_form.meta_gradient
    short = replace(algorithm, rules={**algorithm.rules, "first": rule, "second": rule})
    episode = episode or image_episode()
    return algorithm, algorithm.meta_gradient(params, episode), short.meta_gradient(params, episode)


def same(found, truth, names):
    for name, value in select(truth.gradient, names).items():
        torch.testing.assert_close(found.gradient[name], value, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(found.loss, truth.loss)
    torch.testing.assert_close(found.accuracy, truth.accuracy)


@pytest.mark.parametrize("order", ["first", "second"])
@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
@pytest.mark.parametrize("rate", [0.4, -0.4])
def test_a_zeroed_head_and_one_step_move_no_encoder(order, loss, rate):
    algorithm, truth, found = both(AlgorithmConfig("zeroing", order=order), InnerLoop(lr=rate, steps=1, loss=loss))
    assert closed_form.departure(algorithm) is None
    same(found, truth, algorithm.learner.names - algorithm.learner.head_names)
    assert not any(bool(found.gradient[name].any()) for name in algorithm.learner.head_names)


OF_STEPS = (
    {},
    {"head": "zeroing"},
    {"rule": "adam"},
    {"rule": "momentum"},
    {"learned_rates": "layer_step"},
    {"outer_loss": "every_step"},
)
OF_ANY = ({"head": "prototypes"}, {"head": "ridge"})
CASES = [(axes, steps) for axes in OF_STEPS for steps in (1, 5)] + [
    (axes, steps) for axes in OF_ANY for steps in (0, 3)
]


@pytest.mark.parametrize("order", ["first", "second"])
@pytest.mark.parametrize(("axes", "steps"), CASES, ids=str)
def test_a_head_alone_adapts_by_any_rule_for_any_number_of_steps(order, axes, steps):
    algorithm, truth, found = both(AlgorithmConfig("anil", order=order, **axes), InnerLoop(lr=0.1, steps=steps))
    assert closed_form.departure(algorithm) is None
    same(found, truth, found.gradient)


@pytest.mark.parametrize("normalization", ["batch", "support"])
def test_statistics_of_either_kind_are_the_algorithms_own(normalization):
    _, truth, found = both(AlgorithmConfig("anil"), InnerLoop(lr=0.1, steps=2), normalization=normalization)
    same(found, truth, found.gradient)


@pytest.mark.parametrize(
    ("config", "steps", "said"),
    [
        (AlgorithmConfig("maml"), 1, "adapts=all"),
        (AlgorithmConfig("maml", head="zero"), 1, "not zero in every outer step"),
        (AlgorithmConfig("zeroing", head_every=2), 1, "not zero in every outer step"),
        (AlgorithmConfig("zeroing"), 2, "from the second inner step on"),
        (AlgorithmConfig("zeroing", rule="adam"), 1, "inner rule is 'adam'"),
        (AlgorithmConfig("anil", order="implicit", proximal=1.0), 1, "order is 'implicit'"),
        (AlgorithmConfig("contrastive_so"), 1, "objective is 'contrastive'"),
        (AlgorithmConfig("anil", per_step_norms=True), 1, "norms change"),
        (AlgorithmConfig("boil"), 1, "adapts=body"),
    ],
)
def test_where_it_is_not_exact_it_says_why(config, steps, said):
    algorithm = build(config, conv_learner()[0], InnerLoop(lr=0.1, steps=steps))
    assert said in closed_form.departure(algorithm)
