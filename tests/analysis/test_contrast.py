import inspect
from typing import NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from innerloop.analysis import episode_split, split
from innerloop.errors import ConfigError, DataError
from innerloop.params import zeroed
from innerloop.seeds import generator
from reference.head_loop import gradients
from worlds import algorithm_of, conv_learner, image_episode


class World(NamedTuple):
    support: Tensor
    support_labels: Tensor
    query: Tensor
    query_labels: Tensor
    weight: Tensor
    bias: Tensor | None


@st.composite
def feature_worlds(draw, max_way=20, max_shot=10):
    way, shot, queries = draw(st.integers(2, max_way)), draw(st.integers(1, max_shot)), draw(st.integers(1, 3))
    width = draw(st.integers(1, 12))
    rng = generator(draw(st.integers(0, 10_000)), "features")

    def normal(*shape):
        return torch.randn(*shape, generator=rng, dtype=torch.float64)

    centres = normal(way, width)
    support_labels = torch.arange(way).repeat_interleave(shot)
    query_labels = torch.arange(way).repeat_interleave(queries)
    return World(
        centres[support_labels] + 0.5 * normal(way * shot, width),
        support_labels,
        centres[query_labels] + 0.5 * normal(way * queries, width),
        query_labels,
        normal(way, width) * draw(st.sampled_from([0.0, 0.3, 1.0])),
        normal(way) if draw(st.booleans()) else None,
    )


def stable(world, inner_lr, loss, reduction):
    """Scale a rate down where the inner loop would diverge: rounding, not the formula, would decide there."""
    scale = 1.0 if reduction == "sum" else 1 / len(world.support)
    curvature = scale * (torch.linalg.matrix_norm(world.support, 2) ** 2 + len(world.support)).item()
    return inner_lr / max(1.0, abs(inner_lr) * curvature * (2.0 if loss == "mse" else 1.0))


settings_axes = {
    "inner_lr": st.floats(-2, 2),
    "inner_steps": st.integers(1, 5),
    "loss": st.sampled_from(["cross_entropy", "mse"]),
    "reduction": st.sampled_from(["mean", "sum"]),
    "order": st.sampled_from(["second", "first"]),
}


def assert_equal(ours, truth):
    size = max(1e-12, truth.abs().max().item(), ours.abs().max().item())
    assert (ours - truth).abs().max().item() <= 1e-10 * size


@settings(max_examples=150)
@given(world=feature_worlds(), **settings_axes)
def test_parts_sum_to_the_autograd_gradient(world, inner_lr, inner_steps, loss, reduction, order):
    how = {"inner_lr": stable(world, inner_lr, loss, reduction), "inner_steps": inner_steps}
    how |= {"loss": loss, "reduction": reduction, "order": order}
    parts, truth = split(*world, **how), gradients(*world, **how)
    # Relative to the larger side: where parts cancel, their own size is what rounding is measured by.
    for name in ("query", "support"):
        left = getattr(parts, f"{name}_contrast")
        right = parts.query_interference if name == "query" else parts.support_curvature
        larger = max(left.abs().max().item(), right.abs().max().item(), 1e-12)
        if order == "second" or name == "query":
            assert (left + right - truth[name]).abs().max().item() <= 1e-10 * larger
        else:
            assert not left.any()
            assert not right.any()
    assert_equal(parts.head_gradient, truth["weight"])
    if world.bias is None:
        assert parts.bias_gradient is None
    else:
        assert_equal(parts.bias_gradient, truth["bias"])
    assert_equal(parts.loss, truth["loss"])


@pytest.fixture
def world():
    rng = generator(3, "fixed")
    support_labels, query_labels = torch.arange(4).repeat_interleave(2), torch.arange(4).repeat_interleave(3)
    normal = lambda *shape: torch.randn(*shape, generator=rng, dtype=torch.float64)  # noqa: E731
    return World(normal(8, 6), support_labels, normal(12, 6), query_labels, normal(4, 6), normal(4))


def test_a_flipped_sign_would_be_caught(world):
    parts, truth = split(*world, inner_lr=0.3), gradients(*world, inner_lr=0.3, **DEFAULTS)
    wrong = parts.query_interference - parts.query_contrast
    assert (wrong - truth["query"]).abs().max() > 1e-2


def test_query_probabilities_before_adaptation_would_be_caught(world):
    truth = gradients(*world, inner_lr=0.3, **DEFAULTS)["query"]
    before = split(*world, inner_lr=0.0)
    adapted_head = world.weight - 0.3 * head_residual(world).T @ world.support
    wrong = torch.linalg.lstsq(world.weight.T, before.query_interference.T).solution.T @ adapted_head
    assert (wrong - truth).abs().max() > 1e-3


def test_equation_8_without_curvature_would_be_caught_for_a_nonzero_head(world):
    parts, truth = split(*world, inner_lr=0.3), gradients(*world, inner_lr=0.3, **DEFAULTS)
    assert (parts.support_contrast - truth["support"]).abs().max() > 0.1 * truth["support"].abs().max()


DEFAULTS = {"inner_steps": 1, "loss": "cross_entropy", "reduction": "mean", "order": "second"}


def head_residual(world):
    p = (world.support @ world.weight.T + world.bias).softmax(1)
    return (p - torch.nn.functional.one_hot(world.support_labels, 4)) / len(world.support)


def test_zero_head_leaves_only_contrast(world):
    parts = split(*world[:4], torch.zeros_like(world.weight), torch.zeros(4, dtype=torch.float64), inner_lr=0.4)
    assert not parts.query_interference.any()
    assert parts.support_curvature.abs().max() < 1e-15


def test_zero_head_gives_a_share_of_exactly_one_in_n_negative_coefficients_and_rows_that_sum_to_zero(world):
    c = split(*world[:4], torch.zeros_like(world.weight), None, inner_lr=0.4).coefficients
    same = world.query_labels[:, None] == world.support_labels[None]
    assert bool((c[same] < 0).all())
    assert bool((c[~same] > 0).all())
    assert c.sum(1).abs().max() < 1e-16


def test_same_class_coefficients_attract_for_any_head(world):
    c = split(*world, inner_lr=0.4, inner_steps=3).coefficients
    assert bool((c[world.query_labels[:, None] == world.support_labels[None]] < 0).all())


def test_a_negative_rate_turns_attraction_into_repulsion(world):
    zero = torch.zeros_like(world.weight)
    c = split(*world[:4], zero, None, inner_lr=-0.4).coefficients
    assert bool((c[world.query_labels[:, None] == world.support_labels[None]] > 0).all())


@settings(max_examples=60)
@given(world=feature_worlds(max_way=6, max_shot=3), size=st.floats(1, 60), lr=st.floats(0.01, 1))
def test_float32_keeps_the_sign_of_saturated_coefficients(world, size, lr):
    zero = torch.zeros_like(world.weight)
    exact = split(world.support * size, world.support_labels, world.query * size, world.query_labels, zero, inner_lr=lr)
    rough = split(
        (world.support * size).float(),
        world.support_labels,
        (world.query * size).float(),
        world.query_labels,
        zero.float(),
        inner_lr=lr,
    )
    representable = exact.coefficients.abs() > 1e-30
    assert torch.equal(exact.coefficients.sign()[representable], rough.coefficients.double().sign()[representable])


def test_two_ways_never_repel_their_own_class():
    rng = generator(0, "two ways")
    labels = torch.tensor([0, 1, 0, 1])
    for _ in range(50):
        fs, fq, w = (5 * torch.randn(n, 3, generator=rng, dtype=torch.float64) for n in (4, 4, 2))
        c = split(fs, labels, fq, labels, w, inner_lr=0.7).coefficients
        assert bool((c[labels[:, None] != labels[None]] >= 0).all())


def test_zeroed_maml_at_one_step_is_an_inner_product_prototype_loss(world):
    zero = torch.zeros_like(world.weight)
    parts = split(*world[:4], zero, None, inner_lr=0.4)
    centroids = torch.stack([world.support[world.support_labels == slot].mean(0) for slot in range(4)])
    logits = (0.4 / 4) * world.query @ centroids.T
    assert_equal(parts.loss, torch.nn.functional.cross_entropy(logits, world.query_labels))


def test_an_episode_with_frozen_encoder_splits_into_parts_that_sum_to_autograd_through_conv4():
    learner, params = conv_learner()
    algorithm = algorithm_of("anil", learner, lr=0.4, steps=2)
    episode = image_episode()
    parts = episode_split(algorithm, params, episode)
    weight, bias = learner.linear_head(params)
    truth = gradients(
        learner.features(params, episode.support.inputs),
        episode.support.targets,
        learner.features(params, episode.query.inputs),
        episode.query.targets,
        weight,
        bias,
        inner_lr=0.4,
        inner_steps=2,
        loss="cross_entropy",
        reduction="mean",
        order="second",
    )
    assert_equal(parts.query_contrast + parts.query_interference, truth["query"])
    # ... and pulled back to the encoder they are the whole of ANIL's meta-gradient.
    encoder = {name: value.clone().requires_grad_() for name, value in learner.encoder_params(params).items()}
    query_side = learner.features(encoder, episode.query.inputs) * (parts.query_contrast + parts.query_interference)
    support_side = learner.features(encoder, episode.support.inputs) * (
        parts.support_contrast + parts.support_curvature
    )
    surrogate = query_side.sum() + support_side.sum()
    pulled = dict(zip(encoder, torch.autograd.grad(surrogate, list(encoder.values())), strict=True))
    whole = algorithm.meta_gradient(params, episode).gradient
    # As one vector, since a bias before BatchNorm has nothing but rounding for a gradient.
    assert_equal(*(torch.cat([each[name].flatten() for name in encoder]) for each in (pulled, whole)))


def test_zeroed_head_has_no_interference_in_a_network():
    learner, params = conv_learner()
    algorithm = algorithm_of("fomaml", learner, lr=0.4)
    parts = episode_split(algorithm, zeroed(params, learner.head_names), image_episode())
    assert not parts.query_interference.any()


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"loss": "hinge"}, ConfigError, "unknown loss 'hinge'"),
        ({"loss": "cross_entrop"}, ConfigError, "Did you mean 'cross_entropy'"),
        ({"reduction": "max"}, ConfigError, "unknown reduction"),
        ({"order": "third"}, ConfigError, "unknown order"),
        ({"inner_steps": -1}, ConfigError, "at least 0, got -1"),
        ({"inner_lr": float("nan")}, ConfigError, "expected a finite inner_lr, got nan"),
    ],
)
def test_bad_settings_are_refused(world, change, error, words):
    # The runtime type check, on under pytest alone, would refuse some of these before our own words are reached.
    ours = change.keys() & {"inner_steps", "inner_lr"}
    with pytest.raises((error, TypeError), match=words if ours else None):
        split(*world, **{"inner_lr": 0.1, **change})


def test_labels_outside_the_ways_and_nan_features_are_refused(world):
    with pytest.raises(DataError, match="expected query labels from 0 to 3, got 0 to 4"):
        split(*world[:3], world.query_labels.clone().index_fill_(0, torch.tensor([0]), 4), *world[4:], inner_lr=0.1)
    unchecked = inspect.unwrap(split)  # without the runtime type check, which is on under pytest alone
    refused = [
        ({"weight": world.weight * float("inf")}, "expected a finite head weight"),
        ({"bias": torch.full_like(world.weight[:, 0], float("nan"))}, "expected a finite head bias"),
        ({"bias": torch.zeros(2).double()}, "expected one bias for each of the 4 rows of the head, got 2"),
        ({"query": world.query[:, 1:]}, "expected query features of the head's width"),
        ({"query": world.query.float()}, "expected query features of .* type torch.float64, got .* torch.float32"),
        ({"support_labels": world.support_labels[1:]}, "expected a whole-numbered label for each of"),
        ({"query_labels": world.query_labels.double()}, "of torch.float64; give class slots"),
    ]
    for change, words in refused:
        with pytest.raises(DataError, match=words):
            unchecked(**{**world._asdict(), **change}, inner_lr=0.1)
    half = {name: values.half() if values.is_floating_point() else values for name, values in world._asdict().items()}
    with pytest.raises(DataError, match=r"expected float32 or float64, got torch\.float16"):
        unchecked(**half, inner_lr=0.1)
    with pytest.raises(DataError, match="finite support features"):
        split(world.support * float("nan"), *world[1:], inner_lr=0.1)
