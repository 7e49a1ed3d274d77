"""The family's axes: each meta-gradient against finite differences, or against what it says it computes."""

import math
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from innerloop.algorithms import ALGORITHMS, AlgorithmConfig, build
from innerloop.algorithms.imaml import conjugate_gradients
from innerloop.algorithms.outer import shares
from innerloop.algorithms.reptile import minibatches
from innerloop.data.episode import Episode, Examples, stacked, with_slots
from innerloop.engine import Loop
from innerloop.errors import ConfigError, DataError
from innerloop.inner import InnerLoop
from innerloop.models import Learner
from innerloop.params import add, dot, scaled
from innerloop.seeds import generator
from worlds import (
    CROSSINGS,
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
BASELINES = ("protonet", "matchingnet", "r2d2", "pretrained")


def started(algorithm, scale=0.3, seed=0):
    """All meta-parameters, those that begin equal or at one value moved apart."""
    rng = generator(seed, "apart")
    return {
        name: value + scale * (value.abs() + 0.1) * torch.randn(value.shape, generator=rng, dtype=value.dtype)
        for name, value in algorithm.initial_params().items()
    }


def slope(function, params, direction, size=1e-6):
    return (function(add(params, direction, size)) - function(add(params, direction, -size))) / (2 * size)


def directions(params, count=4):
    for seed in range(count):
        rng = generator(seed, "direction")
        yield {name: torch.randn(value.shape, generator=rng, dtype=value.dtype) for name, value in params.items()}
    for name in params:  # and each kind of entry alone, so that none can hide behind the others
        alone = {key: torch.zeros_like(value) for key, value in params.items()}
        yield {**alone, name: torch.ones_like(params[name])}


AXES = {
    **CROSSINGS,
    "all at once": {
        "rule": "adam",
        "learned_rates": "layer_step",
        "outer_loss": "every_step",
        "per_step_norms": True,
        "head": "prototypes",
        "proximal": 0.2,
        "adapts": "body.*,head.*",
    },
}


def loss_at(algorithm, episode=EPISODE, step=0):
    """What the algorithm minimises, as a function of its meta-parameters; written out apart from its own outer loss."""

    def function(params):
        path = algorithm.adapt(params, episode.support).params
        losses = [algorithm.query_loss(each, episode)[0].item() for each in path[1:]]
        if algorithm.axes.outer_loss == "last":
            return losses[-1]
        each = shares(len(losses), step, algorithm.axes.last_from)
        return sum(share * loss for share, loss in zip(each, losses, strict=True))

    return function


@pytest.mark.parametrize("axes", AXES.values(), ids=AXES.keys())
@pytest.mark.parametrize(("lr", "loss"), [(0.2, "cross_entropy"), (-0.1, "mse")])
def test_second_order_is_the_slope_of_the_adapted_query_loss_on_every_axis(axes, lr, loss):
    learner, _ = normed_learner()
    algorithm = algorithm_of("maml", learner, axes=axes, lr=lr, steps=3, loss=loss)
    params = started(algorithm)
    gradient = algorithm.meta_gradient(params, EPISODE, step=4).gradient
    assert gradient.keys() == params.keys()
    for direction in directions(params):
        expected = slope(loss_at(algorithm, step=4), params, direction)
        assert dot(gradient, direction).item() == pytest.approx(expected, rel=2e-5, abs=1e-7)


@pytest.mark.parametrize(
    "name", ["one learned rate", "a rate a layer and step", "a rate a weight", "prototypes", "ridge"]
)
def test_first_order_is_the_slope_with_every_inner_gradient_held_constant(name):
    learner, _ = normed_learner()
    algorithm = algorithm_of("fomaml", learner, axes=AXES[name], lr=0.2, steps=3)
    params = started(algorithm)
    path = algorithm.adapt(params, EPISODE.support).params
    held = []
    for here in path[:-1]:
        leaves = {key: value.clone().requires_grad_() for key, value in here.items() if key in learner.names}
        value = F.cross_entropy(learner.logits(leaves, EPISODE.support.inputs), EPISODE.support.targets)
        held.append(dict(zip(leaves, torch.autograd.grad(value, list(leaves.values())), strict=True)))

    def rate(start, key, step):
        own = start.get(f"inner_lr/{key}", start.get("inner_lr", torch.tensor(0.2)))
        return own[step] if name == "a rate a layer and step" else own

    def function(start):
        here = algorithm.with_inner(steps=0).adapt(start, EPISODE.support).adapted
        for step, gradient in enumerate(held):
            here = {**here, **{key: here[key] - rate(start, key, step) * gradient[key] for key in gradient}}
        return algorithm.query_loss(here, EPISODE)[0].item()

    gradient = algorithm.meta_gradient(params, EPISODE).gradient
    for direction in directions(params):
        expected = slope(function, params, direction)
        assert dot(gradient, direction).item() == pytest.approx(expected, rel=2e-5, abs=1e-7)


def test_momentum_and_adam_are_torchs_own():
    # Without BatchNorm, before which a bias has the gradient 0 and Adam would divide rounding by rounding.
    learner, params = smooth_learner()
    made = {
        "momentum": lambda leaves: torch.optim.SGD(leaves, lr=0.1, momentum=0.8),
        "adam": lambda leaves: torch.optim.Adam(leaves, lr=0.1, betas=(0.7, 0.95), eps=0.0),
    }
    own = {"momentum": {"momentum": 0.8}, "adam": {"betas": (0.7, 0.95)}}
    for rule, optimizer_of in made.items():
        algorithm = algorithm_of("maml", learner, axes={"rule": rule}, lr=0.1, steps=4, **own[rule])
        leaves = {name: value.clone().requires_grad_() for name, value in params.items()}
        optimizer = optimizer_of(list(leaves.values()))
        for _ in range(4):
            optimizer.zero_grad()
            F.cross_entropy(learner.logits(leaves, EPISODE.support.inputs), EPISODE.support.targets).backward()
            optimizer.step()
        for name, value in algorithm.adapt(params, EPISODE.support).adapted.items():
            torch.testing.assert_close(value, leaves[name].detach(), rtol=1e-6, atol=1e-7)


def test_adam_has_a_second_order_from_a_zeroed_head_where_the_encoders_first_gradient_is_zero():
    learner, _ = normed_learner()
    algorithm = algorithm_of("zeroing", learner, axes={"rule": "adam"}, lr=0.1, steps=3)
    found = algorithm.meta_gradient(algorithm.initial_params(), EPISODE).gradient
    assert all(torch.isfinite(value).all() for value in found.values())


def test_rates_of_their_own_go_to_the_names_that_fit_and_steps_beyond_use_the_last():
    learner, params = normed_learner()
    algorithm = algorithm_of("fomaml", learner, lr=0.3, steps=3, lr_of={"head.*": (0.5, -0.1), "body.weight": 0.0})
    path = algorithm.adapt(params, EPISODE.support).params
    for step, (before, after) in enumerate(pairwise(path)):
        leaves = {name: value.clone().requires_grad_() for name, value in before.items()}
        value = F.cross_entropy(learner.logits(leaves, EPISODE.support.inputs), EPISODE.support.targets)
        for name, gradient in zip(leaves, torch.autograd.grad(value, list(leaves.values())), strict=True):
            own = {"head": (0.5, -0.1, -0.1)[step], "body.weight": 0.0}.get(
                name if name == "body.weight" else name[:4], 0.3
            )
            torch.testing.assert_close(after[name], before[name] - own * gradient)


def test_more_steps_than_trained_use_the_last_learned_rate_and_norm():
    learner, _ = normed_learner()
    algorithm = algorithm_of("maml_pp", learner, lr=0.1, steps=2)
    params = started(algorithm)
    path = algorithm.with_inner(steps=4).adapt(params, EPISODE.support).params
    assert torch.equal(path[0]["norm.weight"], params["norm.weight"])
    assert torch.equal(path[1]["norm.weight"], params["step1/norm.weight"])
    for here in path[2:]:
        assert torch.equal(here["norm.weight"], params["step2/norm.weight"])
    longer = {
        **params,
        **{name: torch.cat([value, value[-1:], value[-1:]]) for name, value in params.items() if "inner_lr/" in name},
    }
    again = algorithm.with_inner(steps=4).adapt(longer, EPISODE.support).adapted
    torch.testing.assert_close(again["head.weight"], path[-1]["head.weight"])


@pytest.mark.parametrize("order", ["second", "first"])
@pytest.mark.parametrize("name", [name for name in BASELINES if ALGORITHMS[name].axes.order == "second"])
def test_a_baseline_without_inner_loop_is_the_slope_of_its_query_loss_in_either_order(name, order):
    learner, _ = normed_learner()
    algorithm = algorithm_of(name, learner, order=order, steps=0)
    params = started(algorithm)
    gradient = algorithm.meta_gradient(params, EPISODE).gradient
    assert gradient.keys() == params.keys()

    def loss(here):
        return algorithm.query_loss(algorithm.adapt(here, EPISODE.support).adapted, EPISODE)[0].item()

    for direction in directions(params):
        assert dot(gradient, direction).item() == pytest.approx(slope(loss, params, direction), rel=2e-5, abs=1e-7)


# Implicit


def regression(inputs=4, examples=7, seed=0):
    rng = generator(seed, "regression")

    def side():
        return Examples(
            torch.randn(examples, inputs, generator=rng, dtype=torch.float64),
            torch.randn(examples, 1, generator=rng, dtype=torch.float64),
        )

    return Episode(side(), side())


def test_imaml_is_the_closed_form_on_a_quadratic():
    module = sequential(body=nn.Identity, head=lambda: nn.Linear(4, 1, bias=False)).double()
    learner, episode, proximal = Learner(module), regression(), 0.6
    algorithm = algorithm_of(
        "imaml", learner, axes={"proximal": proximal, "cg_steps": 4}, lr=0.1, steps=2000, loss="mse"
    )
    params = algorithm.initial_params()
    (x, y), (u, v) = episode
    start, eye = params["head.weight"][0], torch.eye(4, dtype=torch.float64)
    hessian = 2 / len(x) * x.T @ x
    best = torch.linalg.solve(hessian + proximal * eye, proximal * start + 2 / len(x) * (x.T @ y)[:, 0])
    torch.testing.assert_close(algorithm.adapted(params, episode.support)["head.weight"][0], best)
    at_best = 2 / len(u) * u.T @ (u @ best - v[:, 0])
    truth = proximal * torch.linalg.solve(hessian + proximal * eye, at_best)
    torch.testing.assert_close(algorithm.meta_gradient(params, episode).gradient["head.weight"][0], truth)


def test_imaml_with_an_encoder_that_does_not_adapt_is_the_slope_of_the_bilevel_loss():
    module = sequential(body=lambda: nn.Linear(4, 3), bend=nn.Tanh, head=lambda: nn.Linear(3, 1, bias=False)).double()
    learner, episode, proximal = Learner(module), regression(), 0.6
    axes = {"proximal": proximal, "adapts": "head", "cg_steps": 3}
    algorithm = algorithm_of("imaml", learner, axes=axes, lr=0.1, steps=2000, loss="mse")
    params = algorithm.initial_params()

    def best_loss(start):
        features = learner.features(start, episode.support.inputs)
        left = 2 / len(features) * features.T @ features + proximal * torch.eye(3, dtype=torch.float64)
        right = 2 / len(features) * features.T @ episode.support.targets + proximal * start["head.weight"].T
        best = {**start, "head.weight": torch.linalg.solve(left, right).T}
        return algorithm.query_loss(best, episode)[0].item()

    gradient = algorithm.meta_gradient(params, episode).gradient
    for direction in directions(params):
        assert dot(gradient, direction).item() == pytest.approx(slope(best_loss, params, direction), rel=1e-5, abs=1e-9)


def test_conjugate_gradients_solve_in_as_many_steps_as_numbers_and_stop_where_curvature_is_not_positive():
    rng = generator(0, "cg")
    root = torch.randn(6, 6, generator=rng, dtype=torch.float64)
    matrix, target = root @ root.T + torch.eye(6), torch.randn(6, generator=rng, dtype=torch.float64)
    product = lambda at: {"x": matrix @ at["x"]}  # noqa: E731
    solved = conjugate_gradients(product, {"x": target}, 6)["x"]
    torch.testing.assert_close(solved, torch.linalg.solve(matrix, target))
    concave = conjugate_gradients(lambda at: scaled(product(at), -1.0), {"x": target}, 6)["x"]
    assert not concave.any()


# Reptile


def test_reptile_follows_ordinary_training_on_minibatches_of_the_whole_episode():
    learner, params = normed_learner()
    algorithm = algorithm_of("reptile", learner, lr=0.1, steps=3)
    parts = minibatches(EPISODE, 3)
    leaves = {name: value.clone().requires_grad_() for name, value in params.items()}
    optimizer = torch.optim.SGD(list(leaves.values()), lr=0.1)
    for part in parts:
        optimizer.zero_grad()
        F.cross_entropy(learner.logits(leaves, part.inputs), part.targets).backward()
        optimizer.step()
    found = algorithm.meta_gradient(params, EPISODE)
    for name, value in found.gradient.items():
        torch.testing.assert_close(value, params[name] - leaves[name].detach())
    torch.testing.assert_close(found.loss, algorithm.query_loss({k: v.detach() for k, v in leaves.items()}, EPISODE)[0])


@pytest.mark.parametrize("episode", [EPISODE, image_episode(k_shot=1, n_queries=5), unbalanced(), regression()])
@pytest.mark.parametrize("count", [1, 2, 5, 100])
def test_minibatches_are_a_partition_with_every_class_as_evenly_as_can_be(episode, count):
    parts = minibatches(episode, count)
    everything = torch.cat([side.inputs for side in episode])
    assert sum(len(part.targets) for part in parts) == len(everything)
    held = torch.cat([part.inputs for part in parts]).flatten(1)
    assert torch.equal(held.unique(dim=0), everything.flatten(1).unique(dim=0))
    sizes = [len(part.targets) for part in parts]
    assert max(sizes) - min(sizes) <= 1
    if not episode.query.targets.is_floating_point():
        each = torch.stack([part.targets.bincount(minlength=3) for part in parts])
        assert (each.max(0).values - each.min(0).values).max() <= 1


# Heads


def permuted(episode, order):
    return with_slots(episode, torch.tensor(order))


@pytest.mark.parametrize("steps", [1, 5])
@pytest.mark.parametrize("head", ["zeroing", "shared", "prototypes", "ridge", "learned"])
def test_the_loss_does_not_depend_on_who_sits_in_which_slot_but_for_a_learned_head(head, steps):
    # THEORY C3.
    learner, _ = conv_learner()
    algorithm = algorithm_of("maml", learner, axes={"head": head}, lr=0.3, steps=steps)
    params = {name: value.double() for name, value in algorithm.initial_params().items()}
    losses = [
        algorithm.meta_gradient(params, permuted(image_episode(), order)).loss for order in ([0, 1, 2], [2, 0, 1])
    ]
    difference = (losses[0] - losses[1]).abs().item()
    assert difference < 1e-12 if head != "learned" else difference > 1e-3


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("name", ["maml", "anil"])
@pytest.mark.parametrize("order", ["second", "first"])
def test_under_cross_entropy_one_shared_row_is_a_zero_head_to_the_encoder(order, name, steps):
    # THEORY B10, and more: a row that all classes share adds one number to all logits, at every step, to any encoder.
    learner, _ = conv_learner()
    gradients = []
    for head in ("shared", "zeroing"):
        algorithm = algorithm_of(name, learner, order=order, axes={"head": head}, lr=0.4, steps=steps)
        params = {name: value.double() for name, value in algorithm.initial_params().items()}
        gradients.append(learner.encoder_params(algorithm.meta_gradient(params, image_episode()).gradient))
    assert not params["head.weight"].any()
    for name, value in gradients[0].items():
        torch.testing.assert_close(value, gradients[1][name], rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("order", ["second", "first"])
def test_tied_rows_have_the_gradient_of_the_one_row_they_stand_for(order):
    learner, _ = normed_learner()
    algorithm = algorithm_of("unicorn", learner, order=order, lr=0.2, steps=2)
    params = algorithm.initial_params()
    assert (params["head.weight"] == params["head.weight"][0]).all()
    plain = algorithm_of("maml", learner, order=order, lr=0.2, steps=2)
    gradient = algorithm.meta_gradient(params, EPISODE).gradient
    held = {name: value for name, value in params.items() if "head" not in name}
    row = params["head.weight"][0].clone().requires_grad_()
    shift = params["head.bias"][0].clone().requires_grad_()
    spread = {**held, "head.weight": row.expand(3, -1), "head.bias": shift.expand(3)}
    taken = plain.meta_gradient({name: value.detach() for name, value in spread.items()}, EPISODE).gradient
    spread["head.weight"].backward(taken["head.weight"])
    spread["head.bias"].backward(taken["head.bias"])
    for each in gradient["head.weight"]:
        torch.testing.assert_close(each, row.grad)
    for each in gradient["head.bias"]:
        torch.testing.assert_close(each, shift.grad)


def test_prototypes_without_inner_steps_are_a_protonet():
    learner, params = conv_learner()
    algorithm = algorithm_of("protomaml", learner, steps=0)
    episode = unbalanced()
    loss, logits = algorithm.query_loss(algorithm.adapt(params, episode.support).adapted, episode)
    support, query = (learner.features(params, side.inputs) for side in episode)
    centres = torch.stack([support[episode.support.targets == slot].mean(0) for slot in range(3)])
    distances = torch.cdist(query, centres) ** 2
    torch.testing.assert_close(logits.log_softmax(1), (-distances).log_softmax(1))
    torch.testing.assert_close(loss, F.cross_entropy(-distances, episode.query.targets))


def test_a_slot_without_examples_is_never_said_by_prototypes():
    learner, params = conv_learner(n_way=5)
    algorithm = algorithm_of("protomaml", learner, steps=2, lr=0.1)
    episode = image_episode(n_way=3)
    adapted = algorithm.adapt(params, episode.support).adapted
    assert algorithm.query_loss(adapted, episode)[1].argmax(1).max() < 3


def test_prototypes_need_classes_and_a_bias():
    learner, params = conv_learner(head_bias=False)
    with pytest.raises(ConfigError, match=r"expected a head with a bias to start as prototypes.*head_bias"):
        algorithm_of("protomaml", learner).adapt(params, image_episode().support)
    learner, params = conv_learner()
    real = Examples(image_episode().support.inputs, torch.zeros(6, 3).double())
    with pytest.raises(DataError, match="expected classes to make prototypes of"):
        algorithm_of("protomaml", learner, loss="mse").adapt(params, real)


# Orders, losses, names


def test_first_order_goes_over_to_second_at_a_given_step():
    learner, params = normed_learner()
    turning = algorithm_of("maml", learner, axes={"second_from": 10}, lr=0.3, steps=2)
    first, second = (algorithm_of(name, learner, lr=0.3, steps=2) for name in ("fomaml", "maml"))
    for step, same in ((0, first), (9, first), (10, second), (500, second)):
        ours = turning.meta_gradient(params, EPISODE, step).gradient
        truth = same.meta_gradient(params, EPISODE).gradient
        assert all(torch.equal(ours[name], truth[name]) for name in truth)


@pytest.mark.parametrize(("step", "last_from"), [(0, 0), (0, 10), (3, 10), (10, 10), (99, 10), (99, 0)])
def test_shares_of_the_steps_sum_to_one_and_narrow_to_the_last(step, last_from):
    each = shares(5, step, last_from)
    assert math.isclose(sum(each), 1)
    assert len(set(each[:-1])) == 1
    expected = {0: 0.2, 3: 0.14, 10: 0.006, 99: 0.006}[step if last_from else 0]
    assert each[0] == pytest.approx(expected)


def test_a_loss_of_the_users_own_is_what_both_loops_minimise():
    learner, params = normed_learner()

    def smoothed(outputs, targets):
        return F.cross_entropy(outputs, targets, label_smoothing=0.2)

    algorithm = algorithm_of("maml", learner, lr=0.2, steps=2, loss=smoothed)
    gradient = algorithm.meta_gradient(params, EPISODE).gradient
    for direction in directions(params, 2):
        expected = slope(loss_at(algorithm), params, direction)
        assert dot(gradient, direction).item() == pytest.approx(expected, rel=2e-5, abs=1e-7)
    by_hand = smoothed(learner.logits(params, EPISODE.support.inputs), EPISODE.support.targets)
    torch.testing.assert_close(algorithm.adapt(params, EPISODE.support).support_losses[0], by_hand)


def test_a_loss_that_is_not_one_number_is_refused():
    learner, params = normed_learner()
    wide = algorithm_of(
        "maml", learner, loss=lambda outputs, targets: F.cross_entropy(outputs, targets, reduction="none")
    )
    with pytest.raises(
        ConfigError, match=r"one real number for all examples, got shape \(6,\), torch\.float64; return its mean"
    ):
        wide.meta_gradient(params, EPISODE)
    with pytest.raises(ConfigError, match="got float; return its mean"):
        algorithm_of("maml", learner, loss=lambda *_: 1.0).meta_gradient(params, EPISODE)


@pytest.mark.parametrize(
    ("adapts", "expected"),
    [
        ("all", {"body.weight", "body.bias", "norm.weight", "norm.bias", "head.weight", "head.bias"}),
        ("head", {"head.weight", "head.bias"}),
        ("body", {"body.weight", "body.bias", "norm.weight", "norm.bias"}),
        ("norm.*, head.bias", {"norm.weight", "norm.bias", "head.bias"}),
    ],
)
def test_what_adapts_moves_and_nothing_else_does(adapts, expected):
    learner, params = normed_learner()
    algorithm = algorithm_of("maml", learner, axes={"adapts": adapts}, lr=0.3)
    adapted = algorithm.adapt(params, EPISODE.support).adapted
    assert {name for name in params if not torch.equal(params[name], adapted[name])} == expected == algorithm.names


def test_no_gradient_is_kept_of_the_steps_behind_when_only_the_end_is_wanted():
    learner, params = normed_learner()
    algorithm = algorithm_of("imaml", learner, lr=0.1, steps=50)
    once = algorithm.adapted(params, EPISODE.support)
    assert not any(value.requires_grad for value in once.values())
    whole = algorithm.adapt(params, EPISODE.support).adapted
    assert all(torch.equal(once[name], whole[name]) for name in params)


@pytest.mark.parametrize(
    ("name", "axes", "words"),
    [
        ("maml", {"adapts": "hed"}, "which fits none of body.bias.*Did you mean 'head'"),
        ("maml", {"adapts": "layer4.*"}, "got 'layer4.*', which fits none"),
        ("fomaml", {"second_from": 3}, "order=second beside second_from, got first"),
        ("maml", {"last_from": 3}, "outer_loss=every_step beside last_from"),
        ("maml", {"head_every": 3}, "head=zeroing or first beside head_every, got learned"),
        ("reptile", {"learned_rates": "one"}, "fixed rates for order=reptile, got learned_rates=one"),
        ("imaml", {"outer_loss": "every_step"}, "outer_loss=last for order=implicit"),
        ("reptile", {"per_step_norms": True}, "no per_step_norms for order=reptile"),
        ("imaml", {"head": "prototypes"}, "another head for order=implicit, got prototypes"),
        ("maml", {"order": "implicit"}, "a proximal weight above 0 for order=implicit, got 0"),
        ("imaml", {"proximal": -1.0}, "proximal weight of at least 0, got -1.0"),
        ("maml", {"proximal": -1.0}, "proximal weight of at least 0, got -1.0"),
        ("reptile", {"head": "ridge"}, "another head for order=reptile, got ridge"),
        ("maml", {"head": "logistic"}, "another head in training, got logistic; .* evaluation.head=logistic"),
        ("matchingnet", {"learned_rates": "one"}, "fixed rates with head=attention, got learned_rates=one"),
        ("pretrained", {"head": "learned"}, "head=prototypes, ridge or attention for order=joint, got learned"),
        ("pretrained", {"outer_loss": "every_step"}, "outer_loss=last for order=joint"),
        ("pretrained", {}, "inner.steps=0 for order=joint, got 1; .* evaluation.inner_steps"),
        ("matchingnet", {}, "0 inner steps with attention instead of a head, got 1"),
        ("boil", {"head": "zeroing"}, "a head whose weight adapts with head=zeroing, got adapts=body"),
        (
            "maml",
            {"head": "shared", "adapts": "body.*"},
            r"a head whose weight adapts with head=shared, got adapts=body\.\*",
        ),
        ("maml", {"cg_steps": 9}, "order=implicit beside cg_steps, got second"),
        ("maml", {"cg_steps": 0}, "algorithm.cg_steps, a whole number of at least 1, got 0"),
    ],
)
def test_combinations_that_mean_nothing_are_refused_with_the_reason(name, axes, words):
    learner, _ = normed_learner()
    with pytest.raises(ConfigError, match=words):
        build(AlgorithmConfig(name, **axes), learner, InnerLoop())


def test_settings_of_a_rule_that_is_not_the_loops_are_refused():
    learner, _ = normed_learner()
    with pytest.raises(ConfigError, match=r"algorithm\.rule=momentum beside inner\.momentum, got sgd"):
        algorithm_of("maml", learner, momentum=0.5)
    with pytest.raises(ConfigError, match=r"algorithm\.rule=adam beside inner\.betas, got momentum"):
        algorithm_of("maml", learner, axes={"rule": "momentum"}, betas=(0.0, 0.9))


def test_rates_of_their_own_for_nobody_and_another_rate_for_learned_ones_are_refused():
    learner, _ = normed_learner()
    with pytest.raises(ConfigError, match=r"patterns of inner.lr_of to fit parameters that adapt, got 'encoder"):
        algorithm_of("maml", learner, lr_of={"encoder.*": 0.1})
    with pytest.raises(ConfigError, match=r"no inner\.lr_of beside one learned rate"):
        algorithm_of("maml", learner, axes={"learned_rates": "one"}, lr_of={"head.*": 0.1})
    with pytest.raises(ConfigError, match=r"no inner_lr where rates are learned \(weight\), got 0.3"):
        algorithm_of("meta_sgd", learner).with_inner(lr=0.3)


@pytest.mark.parametrize("name", ["meta_sgd", "protomaml", "boil", "reptile", "imaml", *BASELINES])
def test_the_contrastive_view_refuses_what_its_closed_forms_do_not_cover(name):
    learner, _ = normed_learner()
    algorithm = algorithm_of(name, learner, steps=min(1, ALGORITHMS[name].steps))
    with pytest.raises(
        ConfigError, match="expected plain gradient descent of the head at one fixed rate for the prism, got"
    ):
        algorithm.require_plain("the prism")


@pytest.mark.parametrize("name", sorted(ALGORITHMS))
def test_every_preset_follows_its_gradient_downhill_on_the_sinusoid(name):
    """Regression for all algorithms: real targets need nothing special."""
    if ALGORITHMS[name].axes.needs_classes:
        pytest.skip("real targets are no classes")
    rng = generator(0, "wave")
    amplitude, phase = torch.rand(8, 1, generator=rng) * 4 + 0.5, torch.rand(8, 1, generator=rng) * 3

    def episode(task):
        at = torch.rand(20, 1, generator=generator(task, "at")) * 6 - 3
        values = amplitude[task] * torch.sin(at + phase[task])
        return Episode(Examples(at[:10], values[:10]), Examples(at[10:], values[10:]))

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = sequential(body=lambda: nn.Sequential(nn.Linear(1, 20), nn.Tanh()), head=lambda: nn.Linear(20, 1))
    learner = Learner(module)
    steps = min(2, ALGORITHMS[name].steps)
    algorithm = build(AlgorithmConfig(name), learner, InnerLoop(lr=0.02, steps=steps, loss="mse"))
    params = algorithm.initial_params()
    before = after = 0.0
    for round_ in range(60):
        total = {key: torch.zeros_like(value) for key, value in params.items()}
        loss = 0.0
        for task in range(8):
            found = algorithm.meta_gradient(params, episode(task), step=round_)
            total, loss = add(total, found.gradient, 1 / 8), loss + found.loss.item() / 8
        before, after = before or loss, loss
        params = add(params, total, -1.0 if name == "reptile" else -0.003)
    assert after < 0.97 * before


# What the user's own module can bring along


class InPlace(nn.Module):
    def forward(self, inputs):
        outputs = inputs.exp()
        outputs += 1
        return outputs


@pytest.mark.parametrize("name", ["maml", "fomaml", "imaml"])
def test_an_in_place_operation_is_named_with_its_cure(name):
    module = sequential(body=lambda: nn.Linear(6, 4), bend=InPlace, head=lambda: nn.Linear(4, 3)).double()
    algorithm = algorithm_of(name, Learner(module), lr=0.1)
    with pytest.raises(ConfigError, match=r"expected no in-place operation, got one .*write x = x \+ y for x \+= y"):
        algorithm.meta_gradient(algorithm.initial_params(), EPISODE)


@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_a_class_the_head_has_no_row_for_is_refused_with_the_number_of_rows_it_needs(loss):
    learner, params = normed_learner(n_way=3)
    episode = vector_episode(n_way=5)
    with pytest.raises(ConfigError, match="below the head's 3 rows, got 4; build the head with 5 or more"):
        algorithm_of("maml", learner, loss=loss).meta_gradient(params, episode)


def test_a_frozen_head_cannot_be_all_that_adapts():
    module = sequential(body=lambda: nn.Linear(6, 4), head=lambda: nn.Linear(4, 3)).double()
    module.head.requires_grad_(False)
    with pytest.raises(ConfigError, match="expected a parameter that adapts, got none for adapts=head"):
        algorithm_of("anil", Learner(module))
    full = algorithm_of("maml", Learner(module), lr=0.1)
    assert full.meta_gradient(full.initial_params(), EPISODE).gradient.keys() == {"body.weight", "body.bias"}


def test_dropout_is_drawn_anew_for_every_task_and_step_and_the_same_from_the_same_seed():
    module = sequential(body=lambda: nn.Linear(6, 8), drop=nn.Dropout, head=lambda: nn.Linear(8, 3)).double()
    algorithm = algorithm_of("maml", Learner(module), lr=0.1)
    params, batch = algorithm.initial_params(), stacked([EPISODE, EPISODE])
    before = torch.random.get_rng_state()
    one = Loop(algorithm).gradient(params, batch, step=3, seed=5)
    assert one.losses[0] != one.losses[1]
    assert torch.equal(one.losses, Loop(algorithm).gradient(params, batch, step=3, seed=5).losses)
    for step, seed in ((4, 5), (3, 6)):
        assert not torch.equal(one.losses, Loop(algorithm).gradient(params, batch, step=step, seed=seed).losses)
    assert torch.equal(torch.random.get_rng_state(), before)


# What fresh eyes found


def test_ridge_regression_finds_the_weights_of_real_targets_as_they_are():
    rng = generator(0, "linear")
    x = torch.randn(40, 4, generator=rng, dtype=torch.float64)
    episode = Episode(
        *(Examples(part, part @ torch.tensor([[1.0], [2], [0], [-1]]).double()) for part in (x[:30], x[30:]))
    )
    module = sequential(body=nn.Identity, head=lambda: nn.Linear(4, 1)).double()
    for algorithm in (
        algorithm_of("r2d2", Learner(module), loss="mse", steps=0),
        algorithm_of("maml", Learner(module), loss="mse").with_inner(start="ridge", steps=0),
    ):
        head = algorithm.adapt(algorithm.initial_params(), episode.support).adapted["head.weight"]
        torch.testing.assert_close(head[0], torch.tensor([1.0, 2, 0, -1]).double(), atol=0.2, rtol=0)


def test_targets_of_another_shape_than_the_outputs_are_refused_not_broadcast():
    module = sequential(body=nn.Identity, head=lambda: nn.Linear(4, 1)).double()
    algorithm, episode = algorithm_of("maml", Learner(module), loss="mse"), regression()
    flat = Episode(*(Examples(side.inputs, side.targets[:, 0]) for side in episode))
    with pytest.raises(
        ConfigError, match=r"a target for each of the outputs \(7, 1\), got \(7,\); .*targets\[:, None\]"
    ):
        algorithm.meta_gradient(algorithm.initial_params(), flat)
    with pytest.raises(
        ConfigError, match=r"expected class slots for cross_entropy, got real targets; use inner\.loss=mse"
    ):
        algorithm_of("maml", Learner(module)).meta_gradient(algorithm.initial_params(), flat)


def test_rates_by_name_hold_at_the_test_and_every_pattern_has_to_count():
    learner, _ = normed_learner()
    with pytest.raises(ConfigError, match=r"no inner_lr beside inner\.lr_of, got 0\.2"):
        algorithm_of("maml", learner, lr_of={"*": 0.1}).with_inner(lr=0.2)
    with pytest.raises(ConfigError, match=r"got 'head\.\*' after patterns that fit all of its own"):
        algorithm_of("maml", learner, lr_of={"*": 0.1, "head.*": 0.3})
    algorithm_of("maml", learner, lr_of={"head.*": 0.3, "*": 0.1})


@pytest.mark.parametrize("name", ["protomaml", "protonet", "fomaml"])
def test_a_loss_that_nothing_to_train_can_change_is_refused(name):
    module = sequential(body=lambda: nn.Linear(6, 4), head=lambda: nn.Linear(4, 3)).double()
    if name == "fomaml":
        algorithm = algorithm_of(name, Learner(module), loss=lambda outputs, _: outputs.detach().sum())
    else:
        module.body.requires_grad_(False)
        algorithm = algorithm_of(name, Learner(module), steps=0 if name == "protonet" else 2)
    with pytest.raises(ConfigError, match="expected a loss that depends on a parameter to train"):
        algorithm.meta_gradient(algorithm.initial_params(), EPISODE)


@pytest.mark.parametrize(
    ("name", "axes", "steps", "words"),
    [
        ("reptile", {}, 0, r"inner\.steps of at least 1 for order=reptile"),
        ("meta_sgd", {}, 0, "expected inner steps for algorithm.learned_rates=weight, got 0"),
        ("maml", {"rule": "adam"}, 0, "expected inner steps for algorithm.rule=adam"),
        ("protonet", {"outer_loss": "every_step"}, 0, "inner steps for algorithm.outer_loss=every_step"),
        ("zeroing", {}, 0, "a head whose weight adapts with head=zeroing, got adapts=all, 0 steps"),
        ("zeroing", {"adapts": "body.*,head.bias"}, 1, "a head whose weight adapts with head=zeroing"),
        ("maml", {"adapts": "norm.*", "per_step_norms": True}, 1, "less the norms of per_step_norms"),
    ],
)
def test_what_could_not_learn_or_change_anything_is_refused(name, axes, steps, words):
    learner, _ = normed_learner()
    with pytest.raises(ConfigError, match=words):
        algorithm_of(name, learner, axes=axes, steps=steps)


def test_a_head_of_several_layers_cannot_be_zeroed_or_made_of_the_support_set():
    def two_layers():
        return nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 3))

    learner = Learner(sequential(body=lambda: nn.Linear(6, 4), head=two_layers).double())
    for name, axes, words in (
        ("zeroing", {}, "head=zeroing needs nn.Linear"),
        ("maml", {"head": "zero"}, "head=zero needs nn.Linear"),
        ("protomaml", {}, r"a head made of the support set \(prototypes\) needs nn.Linear"),
    ):
        with pytest.raises(ConfigError, match=words):
            algorithm_of(name, learner, axes=axes)
    with pytest.raises(ConfigError, match=r"a head made of the support set \(ridge\) needs"):
        algorithm_of("maml", learner).with_inner(start="ridge")


def test_a_class_without_a_row_is_refused_by_a_head_made_of_the_support_set_too():
    learner, params = normed_learner(n_way=3)
    with pytest.raises(ConfigError, match="below the head's 3 rows, got 4"):
        algorithm_of("protomaml", learner).adapt(params, vector_episode(n_way=5).support)


def test_what_the_closed_forms_do_not_cover_is_named():
    learner, _ = normed_learner()
    with pytest.raises(ConfigError, match=r"for the prism, got rule=adam, learned_rates=layer, proximal=0\.5;"):
        algorithm_of("maml", learner, axes={"rule": "adam", "learned_rates": "layer", "proximal": 0.5}).require_plain(
            "the prism"
        )


@pytest.mark.parametrize("axes", [{"proximal": float("nan")}, {"proximal": -1.0}])
def test_a_proximal_weight_that_means_nothing_is_refused_where_it_is_given(axes):
    with pytest.raises(ConfigError, match="a proximal weight of at least 0"):
        AlgorithmConfig("maml", **axes)
