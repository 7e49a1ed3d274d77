"""The gradient-penalty learner against slow autograd, and against MAML at small rates. THEORY F3, F4."""

import pytest
import torch

from innerloop.algorithms import AlgorithmConfig, build
from innerloop.data.episode import Episode
from innerloop.engine import EngineConfig
from innerloop.engine import build as build_engine
from innerloop.errors import ConfigError
from innerloop.inner import InnerLoop
from innerloop.params import add, select, zeroed
from reference.plain_maml import loss_of
from worlds import algorithm_of, conv_learner, image_episode, normed_learner, smooth_learner, unbalanced, vector_episode

EPISODES = {"images": image_episode(), "unbalanced": unbalanced(), "one shot": image_episode(k_shot=1)}


def flat(params):
    return torch.cat([value.flatten() for value in params.values()])


def slow(learner, params, episode, names, rate, order, loss="cross_entropy"):
    """The penalised loss by plain autograd, with every graph kept."""
    leaves = {name: value.clone().requires_grad_() for name, value in params.items()}
    moving = [leaves[name] for name in sorted(names)]
    query = loss_of(learner._whole, leaves, episode.query, loss)
    support = loss_of(learner._whole, leaves, episode.support, loss)
    asked, shown = (torch.autograd.grad(each, moving, create_graph=True) for each in (query, support))
    shown = [each.detach() for each in shown] if order == "first" else shown
    value = query - rate * sum((one * other).sum() for one, other in zip(asked, shown, strict=True))
    return dict(zip(leaves, torch.autograd.grad(value, list(leaves.values())), strict=True))


def penalised(learner, order=None, adapts="all", rate=0.1, loss="cross_entropy", **axes):
    axes = {"adapts": adapts, **axes}
    return algorithm_of("gradient_penalty", learner, order=order, axes=axes, lr=rate, steps=1, loss=loss)


@pytest.mark.parametrize("episode", EPISODES.values(), ids=EPISODES.keys())
@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
@pytest.mark.parametrize("adapts", ["all", "head", "body", "encoder.block4.*,head.bias"])
@pytest.mark.parametrize("order", ["second", "first"])
def test_the_gradient_is_slow_autograds_of_the_penalised_loss_whatever_adapts(order, adapts, loss, episode):
    learner, params = conv_learner()
    for rate in (0.1, -0.3):
        algorithm = penalised(learner, order, adapts, rate, loss)
        truth = slow(learner, params, episode, algorithm.names, rate, order, loss)
        ours = algorithm.meta_gradient(params, episode).gradient
        assert list(ours) == list(truth)
        assert (flat(ours) - flat(truth)).norm() <= 1e-10 * flat(truth).norm()


def test_loss_and_accuracy_are_the_real_ones_after_the_inner_step():
    learner, params = conv_learner()
    for order in ("second", "first"):
        found = penalised(learner, order).meta_gradient(params, image_episode())
        maml = algorithm_of("maml", learner, lr=0.1, steps=1).meta_gradient(params, image_episode())
        torch.testing.assert_close(found.loss, maml.loss, rtol=1e-12, atol=0)
        assert found.accuracy == maml.accuracy


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("order", "adapts"), [("second", "all"), ("first", "all"), ("second", "head")])
@pytest.mark.parametrize("world", [smooth_learner, normed_learner])
def test_f3_f4_its_distance_from_mamls_meta_gradient_falls_with_the_square_of_the_rate(world, order, adapts, sign):
    learner, params = world()

    def apart(rate):
        ours = penalised(learner, order, adapts, rate)
        maml = algorithm_of("maml", learner, order=order, axes={"adapts": adapts}, lr=rate, steps=1)
        left, right = (flat(each.meta_gradient(params, vector_episode()).gradient) for each in (ours, maml))
        return (left - right).norm().item()

    for rate in (4e-3, 2e-3):
        assert apart(sign * rate) / apart(sign * rate / 2) == pytest.approx(4, abs=0.3)


def test_f4_first_order_is_half_of_the_penalty_where_support_and_query_change_places():
    # In expectation over episodes whose sides are drawn alike: grad of L - rate / 2 |mean gradient|^2.
    learner, params = smooth_learner()
    episode = vector_episode(k_shot=3, n_queries=3)
    swapped = Episode(episode.query, episode.support)

    def penalty(order, episode):
        whole, bare = (penalised(learner, order, rate=rate).meta_gradient(params, episode) for rate in (0.1, 0.0))
        return flat(add(whole.gradient, bare.gradient, -1.0))

    halves = penalty("first", episode) + penalty("first", swapped)
    torch.testing.assert_close(halves, penalty("second", episode), rtol=1e-10, atol=1e-14)
    torch.testing.assert_close(halves, penalty("second", swapped), rtol=1e-10, atol=1e-14)


def test_a_zeroed_heads_encoder_follows_the_penalty_alone():
    learner, params = conv_learner()
    start = zeroed(params, learner.head_names)
    at_zero, positive, negative = (
        flat(learner.encoder_params(penalised(learner, rate=rate).meta_gradient(start, image_episode()).gradient))
        for rate in (0.0, 0.1, -0.1)
    )
    assert not at_zero.any()
    assert positive.norm() > 0
    torch.testing.assert_close(positive, -negative)


def test_one_shared_row_is_trained_by_the_sum_of_its_rows():
    learner, _ = conv_learner()
    algorithm = penalised(learner, head="shared")
    params = {name: value.double() for name, value in algorithm.initial_params().items()}
    ours = algorithm.meta_gradient(params, image_episode()).gradient["head.weight"]
    truth = slow(learner, params, image_episode(), algorithm.names, 0.1, "second")["head.weight"]
    torch.testing.assert_close(ours, truth.sum(0, keepdim=True).expand_as(truth))


@pytest.mark.parametrize("engine", ["loop", "workers", "vmap"])
@pytest.mark.parametrize(("order", "head"), [("first", "learned"), ("second", "zeroing")])
def test_every_engine_says_what_the_loop_says_of_either_order(engine, order, head):
    learner, _ = conv_learner()
    algorithm = penalised(learner, order, head=head)
    params = {name: value.double() for name, value in algorithm.initial_params().items()}
    batch = tuple(image_episode(seed=seed) for seed in range(3))
    found = build_engine(EngineConfig(engine), algorithm, params, batch).gradient(params, batch)
    singles = [algorithm.meta_gradient(params, episode).gradient for episode in batch]
    truth = {name: sum(each[name] for each in singles) / 3 for name in params}
    assert (flat(found.gradient) - flat(truth)).norm() <= 1e-10 * flat(truth).norm()


def test_at_either_order_layers_are_those_that_can_be_differentiated_twice_with_channels_last():
    for order in ("second", "first"):
        algorithm, batch = penalised(conv_learner()[0], order), (image_episode(),)
        params = {name: value.double() for name, value in algorithm.initial_params().items()}
        assert build_engine(EngineConfig("loop"), algorithm, params, batch).channels_last


def test_first_order_until_some_outer_step_and_second_order_from_there_on():
    learner, params = smooth_learner()
    switching = penalised(learner, second_from=3)
    for step, order in ((2, "first"), (3, "second")):
        ours, theirs = (
            each.meta_gradient(params, vector_episode(), step=step).gradient
            for each in (switching, penalised(learner, order))
        )
        assert torch.equal(flat(ours), flat(theirs))


@pytest.mark.parametrize("adapts", ["head", "body"])
def test_what_does_not_adapt_is_trained_too(adapts):
    learner, params = smooth_learner()
    algorithm = penalised(learner, adapts=adapts)
    gradient = algorithm.meta_gradient(params, vector_episode()).gradient
    bare = penalised(learner, adapts=adapts, rate=0.0).meta_gradient(params, vector_episode()).gradient
    still = select(add(gradient, bare, -1.0), params.keys() - algorithm.names)
    assert all(bool(value.any()) for value in still.values())


@pytest.mark.parametrize(
    ("axes", "inner", "words"),
    [
        ({}, {"steps": 2}, r"one step of plain gradient descent .*, got inner\.steps=2; .* evaluation\.inner_steps"),
        ({}, {"steps": 0}, r"got inner\.steps=0"),
        ({"rule": "adam"}, {}, r"got rule=adam"),
        ({"learned_rates": "one"}, {"steps": 3}, r"got learned_rates=one, inner\.steps=3"),
        ({"head": "prototypes"}, {}, r"got start=prototypes"),
        ({"proximal": 1.0}, {}, r"got proximal=1"),
        ({"order": "reptile"}, {}, r"order=first or second with objective=gradient_penalty, got reptile"),
        ({"outer_loss": "every_step"}, {}, r"outer_loss=last with objective=gradient_penalty, got every_step"),
        ({"curvature": True}, {}, r"objective=contrastive beside curvature, got gradient_penalty"),
    ],
)
def test_what_is_not_one_plain_step_is_refused_in_one_line(axes, inner, words):
    learner, _ = smooth_learner()
    with pytest.raises(ConfigError, match=words) as error:
        build(AlgorithmConfig("gradient_penalty", **axes), learner, InnerLoop(**inner))
    assert "\n" not in str(error.value)


def test_the_named_learner_is_maml_with_the_objective_moved():
    assert AlgorithmConfig("gradient_penalty").axes == AlgorithmConfig("maml", objective="gradient_penalty").axes
