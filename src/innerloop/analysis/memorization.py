"""Does the head memorise support features in the inner loop, and do they then act as prototypes?

A head row changes by a sum of the support features of all steps so far, so its change is held against two sets of them:

    before   the features the encoder gives before adaptation: what the first step stores, and under a frozen encoder
             all that any step can store, so that the change lies in their span
    moved    the features the encoder gives after the step: what the adapted head meets; the same where only the head
             adapts

The inner loop runs in the learner's own precision, as at test; what comes out of it is measured in float64.
Source: kao2022, sections 2 and 4. The share in the span, and the comparison with centroids, are ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float
from torch import Tensor

from innerloop.algorithms import Algorithm
from innerloop.analysis.centroids import NEARNESS, class_means, nearest
from innerloop.analysis.slots import Slots, compared, permuted
from innerloop.analysis.subject import Probe, Subject
from innerloop.analysis.values import over
from innerloop.data.episode import Episode
from innerloop.errors import ConfigError, DivergedError
from innerloop.inner import accuracy
from innerloop.shapes import Features, Labels, Logits, Params
from innerloop.statistics import Interval, mean_interval


class RowChange(NamedTuple):
    """How the change of the head's rows lies to support features; mean over rows that have any, NaN if undefined.

    Attributes:
        own_support: Cosine of a row's change to a support feature of its own class.
        other_support: To one of another class.
        own_mean: To its own class's mean support feature.
        other_means: To another class's.
        centred_mean: To its own class's mean less the mean of all class means.
        in_span: Share of the change's squared norm, all rows together, in the span of the support features.
        rank: The dimension of that span.
    """

    own_support: float
    other_support: float
    own_mean: float
    other_means: float
    centred_mean: float
    in_span: float
    rank: float


@dataclass(frozen=True)
class RowChanges:
    """A `RowChange` over episodes; None where a measure is defined in none."""

    own_support: Interval | None
    other_support: Interval | None
    own_mean: Interval | None
    other_means: Interval | None
    centred_mean: Interval | None
    in_span: Interval | None
    rank: Interval | None


@dataclass(frozen=True)
class Agreement:
    """A nearest-centroid classifier beside the adapted head, on the adapted encoder's features.

    Attributes:
        agreement: Share of queries on which both name the same slot.
        accuracy: The centroids' own, in [0, 1].
    """

    agreement: Interval
    accuracy: Interval


@dataclass(frozen=True)
class Memorization:
    """What the inner loop stores in the head, over episodes.

    Attributes:
        labels: How training placed classes in slots, `shuffled` or `fixed`; `unknown` for a learner without a run.
        adapts: `all` or `head`.
        loss: Of the inner loop.
        inner_lr: Rate at test.
        inner_steps: Steps at test.
        ways: The most classes an episode had.
        shots: The most support examples a class had.
        features: How many an example has.
        chance: Accuracy of guessing, mean over episodes.
        before: After each inner step, held against the features before adaptation.
        moved: The same, held against the features of the encoder after that step.
        head: Accuracy of the adapted head.
        inner_product: Nearest centroid by inner product.
        euclidean: By Euclidean distance, as in ProtoNet.
        cosine: By cosine.
        slots: Accuracy with the slots permuted.
    """

    labels: str
    adapts: str
    loss: str
    inner_lr: float
    inner_steps: int
    ways: int
    shots: int
    features: int
    chance: float
    before: tuple[RowChanges, ...]
    moved: tuple[RowChanges, ...]
    head: Interval
    inner_product: Agreement
    euclidean: Agreement
    cosine: Agreement
    slots: Slots


class Measures(NamedTuple):
    """One episode's measures: row changes by inner step, agreements and accuracies by kind, accuracies by slots."""

    before: tuple[RowChange, ...]
    moved: tuple[RowChange, ...]
    agreement: dict[str, float]
    accuracy: dict[str, float]
    slots: tuple[float, float, float, float]


def measure(subject: Subject) -> Memorization:
    """Measure what the inner loop at test stores in the head.

    Raises:
        ConfigError: The head is not linear, or nothing moves in the inner loop.
        DivergedError: Predictions that are not finite.
    """
    algorithm = subject.tested
    inner = algorithm.inner
    algorithm.require_plain("memorization")
    if inner.steps == 0 or inner.lr == 0:
        raise ConfigError(
            f"expected an inner loop that moves the head, got {inner.steps} steps at rate {inner.lr:g}; "
            "ask for 1 step or more, at a rate that is not 0"
        )
    width = algorithm.learner.linear_head(subject.params)[0].shape[1]
    each, chance, ways, shots = [], [], 0, 0
    for probe in subject.probes():
        each.append(measures(algorithm, subject.params, probe))
        counts = probe.episode.support.targets.bincount()
        ways, shots = max(ways, len(probe.classes)), max(shots, int(counts.max()))
        chance.append(1 / len(probe.classes))
    agreements = {
        kind: Agreement(
            mean_interval([one.agreement[kind] for one in each]), mean_interval([one.accuracy[kind] for one in each])
        )
        for kind in NEARNESS
    }
    return Memorization(
        "unknown" if subject.run is None else subject.run.recipe.episode.labels,
        algorithm.adapts,
        inner.loss_name,
        inner.lr,
        inner.steps,
        ways,
        shots,
        width,
        sum(chance) / len(chance),
        _by_step([one.before for one in each]),
        _by_step([one.moved for one in each]),
        mean_interval([one.slots[2] for one in each]),
        **agreements,
        slots=compared([one.slots for one in each], chance),
    )


def measures(algorithm: Algorithm, params: Params, probe: Probe) -> Measures:
    """Measure one episode, as drawn and with its slots permuted."""
    episode, turned = probe.episode, permuted(probe.episode, probe.number)
    labels, targets, others = episode.support.targets, episode.query.targets, turned.query.targets
    path = algorithm.adapt(params, episode.support).params
    support, query = _support_features(algorithm, path[-1], episode), _query_features(algorithm, path[-1], episode)
    start = _logits(algorithm, params, _query_features(algorithm, params, episode))
    ended = _logits(algorithm, path[-1], query)
    elsewhere = algorithm.adapt(params, turned.support).adapted
    ended_elsewhere = _logits(algorithm, elsewhere, _query_features(algorithm, elsewhere, turned))
    named = {kind: nearest(kind, query, support, labels) for kind in NEARNESS}
    return Measures(
        *row_changes(algorithm, path, episode),
        {kind: _share(slots == ended.argmax(1)) for kind, slots in named.items()},
        {kind: _share(slots == targets) for kind, slots in named.items()},
        (_right(start, targets), _right(start, others), _right(ended, targets), _right(ended_elsewhere, others)),
    )


def row_changes(
    algorithm: Algorithm, path: Sequence[Params], episode: Episode
) -> tuple[tuple[RowChange, ...], tuple[RowChange, ...]]:
    """Return the row changes after each inner step, against features before adaptation and after that step."""
    weights = [algorithm.learner.linear_head(here)[0].double() for here in path]
    changes, labels = [weight - weights[0] for weight in weights[1:]], episode.support.targets
    start = _support_features(algorithm, path[0], episode)
    before = tuple(row_change(change, start, labels) for change in changes)
    if algorithm.adapts == "head":
        return before, before
    features = [_support_features(algorithm, here, episode) for here in path[1:]]
    return before, tuple(row_change(change, now, labels) for change, now in zip(changes, features, strict=True))


def row_change(change: Float[Tensor, "way feature"], support: Features, labels: Labels) -> RowChange:
    """Measure how the change of a head's rows lies to the support features.

    Args:
        change: A head's weight less what it was before, in float64; rows of slots without support count for
            `in_span` alone.
        support: Support features, in the precision they were made in, which decides what counts as their rank.
        labels: Their class slots.
    """
    precision = torch.finfo(support.dtype).eps
    support = support.double()
    slots, means = class_means(support, labels)
    rows = change[slots]
    single, mean = _cosines(rows, support), _cosines(rows, means)
    own = slots[:, None] == labels[None]
    diagonal = torch.eye(len(slots), dtype=torch.bool, device=mean.device)
    basis = _span(support, precision)
    whole = change.square().sum().item()
    return RowChange(
        single[own].nanmean().item(),
        single[~own].nanmean().item(),
        mean[diagonal].nanmean().item(),
        mean[~diagonal].nanmean().item(),
        _cosines(rows, means - means.mean(0))[diagonal].nanmean().item(),
        min(1.0, (change @ basis.T).square().sum().item() / whole) if whole else float("nan"),
        float(len(basis)),
    )


def _span(support: Tensor, precision: float) -> Float[Tensor, "rank feature"]:
    """Return an orthonormal basis of the features' span; directions that are rounding beside the largest are none."""
    _, sizes, directions = torch.linalg.svd(support, full_matrices=False)
    basis: Tensor = directions[sizes > sizes.max() * max(support.shape) * precision]
    return basis


def _cosines(left: Tensor, right: Tensor) -> Tensor:
    """Return the cosine of every row of `left` with every row of `right`; NaN where one is zero."""
    cosine: Tensor = (left / left.norm(dim=1, keepdim=True)) @ (right / right.norm(dim=1, keepdim=True)).T
    return cosine


def _support_features(algorithm: Algorithm, params: Params, episode: Episode) -> Features:
    with torch.no_grad():
        return algorithm.learner.features(params, episode.support.inputs)


def _query_features(algorithm: Algorithm, params: Params, episode: Episode) -> Features:
    with torch.no_grad():
        return algorithm.learner.features(params, episode.query.inputs, reference=episode.support.inputs)


def _logits(algorithm: Algorithm, params: Params, features: Features) -> Logits:
    logits = F.linear(features, *algorithm.learner.linear_head(params))
    if not bool(torch.isfinite(logits).all()):
        raise DivergedError(
            f"expected finite predictions, got NaN or infinity with an inner loop of {algorithm.inner.steps} steps at "
            f"rate {algorithm.inner.lr:g}; try a smaller rate"
        )
    return logits


def _right(logits: Logits, targets: Labels) -> float:
    # In float64: a share of 0.2 is to be 0.2, whatever the learner's precision.
    return float(accuracy(logits.double(), targets))


def _share(flags: Tensor) -> float:
    return float(flags.double().mean())


def _by_step(episodes: Sequence[tuple[RowChange, ...]]) -> tuple[RowChanges, ...]:
    """Return the measures over episodes for each inner step."""
    return tuple(
        RowChanges(*(over(values) for values in zip(*step, strict=True))) for step in zip(*episodes, strict=True)
    )
