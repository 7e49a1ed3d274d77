"""The expansion of MAML's objective in the inner rate (THEORY F1 to F8): exact parts, and orders of convergence."""

import math

import pytest
import torch
from torch import nn

from innerloop.analysis.centroids import class_means
from innerloop.analysis.taylor import contrastive_product, expanded
from innerloop.data.episode import Episode, Examples
from innerloop.errors import ConfigError
from innerloop.models import Learner
from innerloop.params import add, dot, norm, select, zeroed
from reference.plain_maml import loss_of
from reference.plain_maml import meta_gradient as plain
from worlds import (
    algorithm_of,
    conv_learner,
    image_episode,
    normed_learner,
    sequential,
    smooth_learner,
    unbalanced,
    vector_episode,
)

EPISODE = vector_episode()
# Halving the rate divides what an expansion leaves out by this, give or take: the next power of the rate.
SQUARED, CUBED, TOLERANCE = 4, 8, 0.1


def flat(params):
    return torch.cat([value.flatten() for value in params.values()])


def assert_exact(ours, truth):
    ours, truth = (torch.as_tensor(each, dtype=torch.float64) for each in (ours, truth))
    assert (ours - truth).norm() <= 1e-10 * (truth.norm() or 1.0)


def expansion_of(name="maml", world=smooth_learner, episode=EPISODE, steps=1, adapts=None, **inner):
    learner, params = world()
    axes = {} if adapts is None else {"adapts": adapts}
    return expanded(algorithm_of(name, learner, axes=axes, lr=0.1, steps=steps, **inner), params, episode)


def changes(expansion, rate, steps=1):
    """Return what is true and both terms, with the truth from the plain loop by hand."""
    algorithm, episode = expansion.algorithm, expansion.episode
    how = {"lr": rate, "steps": steps, "order": "first", "names": algorithm.names, "loss": algorithm.inner.loss}
    loss = plain(algorithm.learner._whole, expansion.params, episode, **how)[1].item()
    assert expansion.loss_after(rate, steps) == pytest.approx(loss, rel=1e-13)
    return expansion.terms(rate, loss, steps)


def halving(remainder, rate):
    return remainder(rate) / remainder(rate / 2)


WORLDS = [smooth_learner, normed_learner]
ADAPTS = ["all", "head", "body", "head.weight"]


@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("adapts", ADAPTS)
@pytest.mark.parametrize("world", WORLDS)
def test_f1_the_penalty_leaves_the_square_of_the_rate(world, adapts, sign, loss):
    expansion = expansion_of(world=world, adapts=adapts, loss=loss)
    assert halving(
        lambda rate: changes(expansion, rate).change - changes(expansion, rate).penalty, sign * 1e-3
    ) == pytest.approx(SQUARED, abs=TOLERANCE)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("adapts", ADAPTS)
@pytest.mark.parametrize("world", WORLDS)
def test_f2_penalty_and_curvature_leave_its_cube(world, adapts, sign):
    expansion = expansion_of(world=world, adapts=adapts)
    assert halving(lambda rate: changes(expansion, rate).remainder, sign * 2e-3) == pytest.approx(CUBED, abs=0.3)


@pytest.mark.parametrize("steps", [2, 3, 5])
@pytest.mark.parametrize("world", WORLDS)
def test_several_inner_steps_have_their_terms_too_and_the_penalty_is_that_many_times_as_large(world, steps):
    expansion = expansion_of(world=world, steps=steps)
    assert_exact(changes(expansion, 1e-3, steps).penalty, steps * changes(expansion, 1e-3).penalty)
    assert halving(lambda rate: changes(expansion, rate, steps).remainder, 5e-4) == pytest.approx(CUBED, abs=0.4)


@pytest.mark.parametrize(("order", "test"), [("second", "F3"), ("first", "F4")])
@pytest.mark.parametrize("adapts", ADAPTS)
@pytest.mark.parametrize("world", WORLDS)
def test_f3_f4_the_meta_gradient_of_either_order_less_its_penalty_leaves_the_square_of_the_rate(
    world, adapts, order, test
):
    expansion = expansion_of(world=world, adapts=adapts)

    def remainder(rate):
        _, true = expansion.one_step(rate)
        terms = add(expansion.query_slope, expansion.penalty(rate, order))
        return norm(add(true[order], terms, -1.0)).item()

    assert halving(remainder, 2e-3) == pytest.approx(SQUARED, abs=TOLERANCE), test


@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
@pytest.mark.parametrize("order", ["second", "first"])
@pytest.mark.parametrize("name", ["maml", "anil", "boil"])
def test_the_true_meta_gradients_are_those_of_the_plain_loop(name, order, loss):
    learner, params = conv_learner()
    expansion = expanded(algorithm_of(name, learner, loss=loss), params, image_episode())
    for rate in (0.3, -0.2):
        how = {"lr": rate, "steps": 1, "order": order, "names": expansion.algorithm.names, "loss": loss}
        truth, value = plain(learner._whole, params, image_episode(), **how)
        found, ours = expansion.one_step(rate)
        assert_exact(flat(ours[order]), flat(truth))
        assert found == pytest.approx(value.item(), rel=1e-12)


def linear_learner():
    """A linear network: its mean squared error is quadratic in all parameters."""
    module = sequential(flatten=nn.Flatten, head=lambda: nn.Linear(6, 3)).double()
    return Learner(module), Learner(module).initial_params()


@pytest.mark.parametrize("rate", [1.7, -0.4, 30.0])
@pytest.mark.parametrize("steps", [1, 2])
def test_f5_of_quadratic_losses_two_terms_are_all_at_one_step_and_the_meta_gradient_has_a_closed_form(rate, steps):
    expansion = expansion_of(world=linear_learner, loss="mse", steps=steps)
    terms = changes(expansion, rate)
    assert_exact(terms.remainder / max(1.0, abs(terms.change)), 0.0)
    # theta - rate g_S moves linearly, so that the first order is exact too, and the second leaves rate^2 H_S H_Q g_S.
    _, true = expansion.one_step(rate)
    first = add(expansion.query_slope, expansion.penalty(rate, "first"))
    assert_exact(flat(add(true["first"], first, -1.0)) / norm(first), torch.zeros(21).double())
    second = add(expansion.query_slope, expansion.penalty(rate, "second"))
    left = expansion.support_product(expansion.query_turned)
    assert_exact(flat(add(true["second"], add(second, left, rate**2), -1.0)) / norm(second), torch.zeros(21).double())


def zero_headed(loss="cross_entropy", bias=True, episode=None):
    learner, params = conv_learner(head_bias=bias)
    episode = episode or image_episode()
    return expanded(algorithm_of("maml", learner, loss=loss), zeroed(params, learner.head_names), episode)


def features_of(expansion):
    learner, episode = expansion.algorithm.learner, expansion.episode
    return (learner.features(expansion.params, each.inputs) for each in episode)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("sign", [1, -1])
def test_f6_from_a_zero_head_the_loss_is_log_ways_less_products_with_class_means_and_the_square_of_the_rate(sign, bias):
    expansion = zero_headed(bias=bias)
    support, query = features_of(expansion)
    _, means = class_means(support, expansion.episode.support.targets)
    products = (query * (means - means.mean(0))[expansion.episode.query.targets]).sum(1)

    def remainder(rate):
        return expansion.loss_after(rate, 1) - (math.log(3) - rate / 3 * products.mean().item())

    assert_exact(expansion.loss, math.log(3))
    assert_exact(expansion.product, products.mean().item() / 3)
    assert halving(remainder, sign * 1e-3) == pytest.approx(SQUARED, abs=TOLERANCE)


@pytest.mark.parametrize("normalization", ["batch", "support"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
@pytest.mark.parametrize("episode", [image_episode(), unbalanced(), image_episode(k_shot=1)])
def test_f7_the_heads_part_of_the_product_of_slopes_is_the_contrastive_sum(episode, loss, bias, normalization):
    learner, params = conv_learner(head_bias=bias, normalization=normalization)
    for adapts in ("all", "head"):
        algorithm = algorithm_of("maml", learner, axes={"adapts": adapts}, loss=loss)
        expansion = expanded(algorithm, params, episode)
        head = dot(learner.head_params(expansion.support_slope), expansion.query_slope).item()
        assert_exact(contrastive_product(algorithm, params, episode), head)
        if adapts == "head":
            assert_exact(expansion.product, head)


@pytest.mark.parametrize("adapts", ["head.weight", "head.bias", "encoder.block4.*,head.weight"])
def test_f7_holds_for_what_adapts_of_the_head_alone(adapts):
    learner, params = conv_learner()
    algorithm = algorithm_of("maml", learner, axes={"adapts": adapts})
    expansion = expanded(algorithm, params, image_episode())
    head = dot(learner.head_params(expansion.support_slope), expansion.query_slope).item()
    assert_exact(contrastive_product(algorithm, params, image_episode()), head)


def test_f7_in_plain_words_with_a_head_without_bias():
    learner, params = conv_learner(head_bias=False)
    algorithm, episode = algorithm_of("anil", learner), image_episode()
    support, query = (learner.features(params, each.inputs) for each in episode)
    residuals = []
    for features, side in ((support, episode.support), (query, episode.query)):
        p = (features @ params["head.weight"].T).softmax(1)
        residuals.append((p - nn.functional.one_hot(side.targets, 3)) / len(side.targets))
    total = sum(
        (asked @ shown) * (ours @ theirs)
        for asked, ours in zip(residuals[1], query, strict=True)
        for shown, theirs in zip(residuals[0], support, strict=True)
    )
    assert_exact(contrastive_product(algorithm, params, episode), total.item())


def test_f8_a_zero_heads_slope_is_the_scatter_of_class_means():
    expansion = zero_headed()
    support, query = features_of(expansion)
    for features, slope in ((support, expansion.support_slope), (query, expansion.query_slope)):
        side = expansion.episode.support if features is support else expansion.episode.query
        _, means = class_means(features, side.targets)
        scatter = (means - means.mean(0)).square().sum()
        assert_exact(slope["head.weight"].square().sum(), scatter / 3**2)


def test_f8_the_product_of_slopes_is_the_scatter_shared_by_two_samples_and_all_of_it_is_the_heads():
    expansion = zero_headed()
    centred = []
    for features, side in zip(features_of(expansion), expansion.episode, strict=True):
        _, means = class_means(features, side.targets)
        centred.append(means - means.mean(0))
    assert_exact(expansion.product, (centred[0] * centred[1]).sum() / 3**2)
    encoder = expansion.algorithm.learner.encoder_params(expansion.support_slope)
    assert not flat(encoder).any()


def test_the_product_is_the_unbiased_estimate_of_a_tasks_squared_mean_gradient():
    # Over all ways to deal a finite task's examples into two, the mean product is the squared mean gradient, less what
    # two samples without replacement lose; with replacement nothing is lost, which is what is checked here exactly.
    learner, params = smooth_learner()
    algorithm, whole = algorithm_of("maml", learner), vector_episode(k_shot=2).support
    singles = [Examples(whole.inputs[one : one + 1], whole.targets[one : one + 1]) for one in range(len(whole.targets))]
    products = [expanded(algorithm, params, Episode(one, other)).product for one in singles for other in singles]
    squared = expanded(algorithm, params, Episode(whole, whole)).product
    assert_exact(sum(products) / len(products), squared)
    slope = {name: value.clone().requires_grad_() for name, value in params.items()}
    true = torch.autograd.grad(loss_of(learner._whole, slope, whole, "cross_entropy"), list(slope.values()))
    assert_exact(squared, sum(each.square().sum().item() for each in true))


def test_everything_is_in_float64_whatever_the_learner_is_in():
    learner, params = conv_learner(dtype=torch.float32)
    expansion = expanded(algorithm_of("anil", learner), params, image_episode(dtype=torch.float32))
    for each in (expansion.query_slope, expansion.support_slope, expansion.query_turned, expansion.support_turned):
        assert {value.dtype for value in each.values()} == {torch.float64}
    assert set(expansion.support_slope) == learner.head_names
    assert set(expansion.query_slope) == learner.names
    assert params["head.weight"].dtype == torch.float32


def test_there_is_no_contrastive_sum_where_the_head_is_not_linear_does_not_adapt_or_targets_are_no_classes():
    learner, params = smooth_learner()
    assert contrastive_product(algorithm_of("boil", learner), params, EPISODE) is None
    real = Episode(*(Examples(side.inputs, torch.zeros(len(side.inputs), 3).double()) for side in EPISODE))
    assert contrastive_product(algorithm_of("maml", learner, loss="mse"), params, real) is None
    curved = sequential(flatten=nn.Flatten, head=lambda: nn.Sequential(nn.Linear(6, 3), nn.Tanh())).double()
    bent = Learner(curved)
    assert contrastive_product(algorithm_of("maml", bent), bent.initial_params(), EPISODE) is None
    assert math.isfinite(expanded(algorithm_of("maml", bent), bent.initial_params(), EPISODE).product)


def test_a_frozen_heads_bias_is_no_part_of_the_sum():
    module = sequential(flatten=nn.Flatten, body=lambda: nn.Linear(6, 4), head=lambda: nn.Linear(4, 3))
    module.head.bias.requires_grad_(False)
    learner = Learner(module)
    algorithm, params = algorithm_of("maml", learner), learner.initial_params()
    expansion = expanded(algorithm, params, EPISODE)
    head = dot(select(expansion.support_slope, learner.head_names), expansion.query_slope).item()
    assert_exact(contrastive_product(algorithm, params, EPISODE), head)


def squares(outputs, targets):
    return outputs.square().mean() + 0 * targets.sum()


@pytest.mark.parametrize(
    ("name", "axes", "inner", "got"),
    [
        ("maml", {"rule": "momentum"}, {}, "rule=momentum"),
        ("meta_sgd", {}, {}, "learned_rates=weight"),
        ("protomaml", {}, {}, "start=prototypes"),
        ("reptile", {}, {}, "the order 'reptile'"),
        ("maml", {}, {"loss": squares}, "the loss 'squares'"),
    ],
)
def test_what_is_not_plain_descent_by_a_named_loss_is_refused_in_one_line(name, axes, inner, got):
    learner, params = smooth_learner()
    algorithm = algorithm_of(name, learner, axes=axes, **inner)
    with pytest.raises(
        ConfigError, match="expected plain gradient descent at one fixed rate for an expansion"
    ) as error:
        expanded(algorithm, params, EPISODE)
    assert got in str(error.value)
    assert "\n" not in str(error.value)
