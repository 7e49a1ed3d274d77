import json
from dataclasses import fields

import numpy as np
import pytest
import torch

from innerloop.analysis import Subject, episode_split
from innerloop.analysis.orders import Compared, Orders, compared, measure, of_order
from innerloop.analysis.parts import PARTS, pulled_back, together
from innerloop.analysis.values import from_values, to_values
from innerloop.data.episode import Episode, Examples
from innerloop.errors import ConfigError
from innerloop.models import Learner
from innerloop.params import zeroed
from reference.head_loop import gradients
from reference.plain_maml import meta_gradient as plain
from worlds import algorithm_of, conv_learner, image_episode, probes_of, sequential

EPISODE = image_episode()


def subject_of(algorithm, params, episodes):
    return Subject(algorithm, algorithm, params, probes_of(episodes))


def flat(params):
    return torch.cat([value.flatten() for value in params.values()])


def assert_equal(ours, truth):
    assert torch.linalg.norm(ours - truth) <= 1e-10 * torch.linalg.norm(truth)


def features_of(learner, params, episode):
    weight, bias = learner.linear_head(params)
    return (
        learner.features(params, episode.support.inputs),
        episode.support.targets,
        learner.features(params, episode.query.inputs),
        episode.query.targets,
        weight,
        bias,
    )


def unbalanced(episode):
    """The episode without two of its support examples and one query."""
    return Episode(*(Examples(each.inputs[n:], each.targets[n:]) for each, n in zip(episode, (1, 2), strict=True)))


def test_both_orders_say_the_same_to_the_query_features_and_the_first_says_nothing_to_the_support():
    learner, params = conv_learner()
    algorithm = algorithm_of("maml", learner, lr=0.4, steps=2)
    first, second = (episode_split(algorithm, params, EPISODE, order) for order in ("first", "second"))
    assert torch.equal(first.query_contrast, second.query_contrast)
    assert torch.equal(first.query_interference, second.query_interference)
    assert not first.support_contrast.any()
    assert not first.support_curvature.any()
    result = measure(subject_of(algorithm, params, [EPISODE, image_episode(seed=1)]))
    assert result.first.query_contrast == result.second.query_contrast
    assert result.first.query_interference == result.second.query_interference
    assert result.first.support_contrast.mean == result.first.support_curvature.mean == 0
    assert result.second.support_contrast.mean > 0
    assert result.second.support_curvature.mean > 0


@pytest.mark.parametrize("order", ["first", "second"])
@pytest.mark.parametrize(
    ("inner", "config"),
    [
        ({"lr": 0.4, "steps": 1}, {}),
        ({"lr": -0.3, "steps": 3}, {"head_bias": False}),
        ({"lr": 0.2, "steps": 2, "loss": "mse"}, {"normalization": "support"}),
        ({"lr": 0.4, "steps": 0}, {}),
    ],
)
def test_an_orders_parts_pulled_back_are_the_meta_gradient_of_that_order_where_the_head_alone_adapts(
    order, inner, config
):
    learner, params = conv_learner(**config)
    episode = unbalanced(EPISODE)
    algorithm = algorithm_of("anil", learner, **inner)
    parts = episode_split(algorithm, params, episode, order)
    true = of_order(algorithm, order).meta_gradient(params, episode).gradient
    # As one vector, since a bias before BatchNorm has nothing but rounding for a gradient.
    assert_equal(
        flat(together(pulled_back(algorithm, params, episode, parts))), flat(learner.encoder_params(true)).double()
    )
    bias = [] if parts.bias_gradient is None else [parts.bias_gradient]
    assert_equal(torch.cat([parts.head_gradient.flatten(), *bias]), flat(learner.head_params(true)))


def test_another_order_is_the_same_algorithm_with_that_orders_rule():
    learner, params = conv_learner()
    maml, fomaml = (algorithm_of(name, learner, lr=0.4, steps=2) for name in ("maml", "fomaml"))
    for ours, theirs in ((of_order(maml, "first"), fomaml), (of_order(fomaml, "second"), maml)):
        assert (ours.order, ours.adapts) == (theirs.order, theirs.adapts)
        left, right = (each.meta_gradient(params, EPISODE).gradient for each in (ours, theirs))
        assert torch.equal(flat(left), flat(right))
    assert compared(maml, params, EPISODE) == compared(fomaml, params, EPISODE)


def cosine(left, right):
    return (left @ right / (left.norm() * right.norm())).item()


@pytest.mark.parametrize("name", ["maml", "anil"])
def test_measures_are_a_slow_recomputation_by_autograd(name):
    learner, params = conv_learner()
    inner = {"lr": 0.3, "steps": 2}
    ours = compared(algorithm_of(name, learner, **inner), params, EPISODE)

    how = {"lr": 0.3, "steps": 2, "names": algorithm_of(name, learner).names, "loss": "cross_entropy"}
    true = {}
    for order in ("first", "second"):
        gradient = plain(learner._whole, params, EPISODE, order=order, **how)[0]
        true[order] = flat(learner.encoder_params(gradient))

    encoder = {key: value.clone().requires_grad_() for key, value in learner.encoder_params(params).items()}
    world = features_of(learner, params, EPISODE)
    second, first = (
        gradients(*world, inner_lr=0.3, inner_steps=2, loss="cross_entropy", reduction="mean", order=order)
        for order in ("second", "first")
    )

    def pull(at, inputs):
        total = (learner.features(encoder, inputs) * at.detach()).sum()
        return torch.cat([each.flatten() for each in torch.autograd.grad(total, list(encoder.values()))])

    query = pull(second["query"], EPISODE.query.inputs)
    support = pull(second["support"], EPISODE.support.inputs)
    parts = episode_split(algorithm_of(name, learner, **inner), params, EPISODE, "second")
    interference = pull(parts.query_interference, EPISODE.query.inputs)
    contrast = pull(parts.support_contrast, EPISODE.support.inputs)
    whole = query + support
    heads = {
        order: torch.cat([found["weight"].flatten(), found["bias"]])
        for order, found in (("first", first), ("second", second))
    }
    slow = Compared(
        share_query_contrast=((query - interference) @ whole / (whole @ whole)).item(),
        share_query_interference=(interference @ whole / (whole @ whole)).item(),
        share_support_contrast=(contrast @ whole / (whole @ whole)).item(),
        share_support_curvature=((support - contrast) @ whole / (whole @ whole)).item(),
        size_support=(support.norm() / whole.norm()).item(),
        cosine_split=cosine(query, whole),
        ratio_split=(query.norm() / whole.norm()).item(),
        cosine_true=cosine(true["first"], true["second"]),
        ratio_true=(true["first"].norm() / true["second"].norm()).item(),
        cosine_sides=cosine(query, support),
        cosine_head=cosine(heads["first"], heads["second"]),
        ratio_head=(heads["first"].norm() / heads["second"].norm()).item(),
        equation_8_error=((second["support"] - parts.support_contrast).norm() / second["support"].norm()).item(),
    )
    for field, value in slow._asdict().items():
        assert getattr(ours, field) == pytest.approx(value, rel=1e-8, abs=1e-10), field
    assert sum(getattr(ours, f"share_{part}") for part in PARTS) == pytest.approx(1, abs=1e-12)


def test_equation_8_is_exact_for_a_zero_head_at_one_step_and_wrong_for_a_random_head_or_more_steps():
    learner, params = conv_learner()
    zero = zeroed(params, learner.head_names)
    one, three = (algorithm_of("maml", learner, lr=0.4, steps=steps) for steps in (1, 3))
    for loss in ("cross_entropy", "mse"):
        assert compared(one.with_inner(loss=loss), zero, EPISODE).equation_8_error == 0
    assert compared(one, params, EPISODE).equation_8_error > 0.05
    assert compared(three, zero, EPISODE).equation_8_error > 0.01


def test_with_a_zero_head_at_one_step_the_split_has_the_true_gradients_though_all_parameters_adapt():
    learner, params = conv_learner()
    algorithm = algorithm_of("fomaml", learner, lr=0.4, steps=1)
    zero = zeroed(params, learner.head_names)
    found = compared(algorithm, zero, EPISODE)
    assert found.cosine_split == pytest.approx(found.cosine_true, abs=1e-10)
    assert found.ratio_split == pytest.approx(found.ratio_true, abs=1e-10)
    assert found.share_query_interference == found.share_support_curvature == 0
    assert measure(subject_of(algorithm, zero, [EPISODE])).is_exact
    moving = compared(algorithm, params, EPISODE)
    assert abs(moving.cosine_split - moving.cosine_true) > 1e-3


def test_the_second_order_preconditions_a_zero_heads_gradient_by_the_support_features():
    # kao2022, equation 12: second = first (1 - rate / ways * mean of support features' outer products).
    learner, params = conv_learner(head_bias=False)
    zero = zeroed(params, learner.head_names)
    algorithm = algorithm_of("anil", learner, lr=0.4, steps=1)
    support = learner.features(params, EPISODE.support.inputs)
    first = episode_split(algorithm, zero, EPISODE, "first").head_gradient
    second = first - 0.4 / 3 * first @ support.T @ support / len(support)
    found = compared(algorithm, zero, EPISODE)
    assert found.cosine_head == pytest.approx(cosine(first.flatten(), second.flatten()), rel=1e-10)
    assert found.ratio_head == pytest.approx((first.norm() / second.norm()).item(), rel=1e-10)


def test_results_survive_json_whatever_is_not_defined():
    learner, params = conv_learner(head_bias=False)
    episodes = [unbalanced(EPISODE), image_episode(seed=4)]
    for inner, start in (({"steps": 2}, params), ({"steps": 0}, params), ({}, zeroed(params, learner.head_names))):
        for many in (episodes, episodes[:1]):
            result = measure(subject_of(algorithm_of("anil", learner, lr=-0.2, **inner), start, many))
            text = json.dumps(to_values(result), allow_nan=False)
            assert from_values(Orders, json.loads(text)) == result
            assert result.inner_steps == inner.get("steps", 1)
    assert measure(subject_of(algorithm_of("anil", learner, steps=0), params, episodes)).equation_8_error is None
    assert {each.name for each in fields(Orders)} >= set(Compared._fields)


def test_intervals_are_over_episodes():
    learner, params = conv_learner()
    algorithm = algorithm_of("maml", learner, lr=0.3, steps=1)
    episodes = [image_episode(seed=seed) for seed in range(3)]
    result = measure(subject_of(algorithm, params, episodes))
    each = [compared(algorithm, params, episode) for episode in episodes]
    for name in Compared._fields:
        values = [getattr(one, name) for one in each]
        assert getattr(result, name).mean == pytest.approx(np.mean(values))
        assert getattr(result, name).observations == 3


def test_a_head_that_is_not_linear_is_refused():
    module = sequential(
        flatten=torch.nn.Flatten,
        head=lambda: torch.nn.Sequential(torch.nn.Linear(256, 4), torch.nn.Tanh(), torch.nn.Linear(4, 3)),
    ).double()
    learner = Learner(module)
    with pytest.raises(ConfigError, match="expected a linear head, got Sequential"):
        measure(subject_of(algorithm_of("maml", learner), learner.initial_params(), [EPISODE]))
