"""What is the adapted head: is it more than a nearest centroid, or a logistic regression on cluster centres?

On the same episodes the adapted head is held against readings of the same features that know no inner loop (`readings`,
and `global`: a logistic regression from similarities to the centres of all training classes), on features before
adaptation and after. A difference in accuracy is paired over episodes, and the verdict on it is an equivalence test:
not to be told from 0 is not to be equal.

Source: raghu2020 (the head replaced at test), THEORY d; the equivalence tests and global centres are ours.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from innerloop.algorithms import Algorithm
from innerloop.analysis.adapted_head import Seen, matching, named_by_head, same_features, seen, share
from innerloop.analysis.agreement_grid import Cell, Row, Trial, cell, grid, tried_on
from innerloop.analysis.centroids import slots_of
from innerloop.analysis.flat import Picture, few, mapped, stage
from innerloop.analysis.global_centres import Alignment, GlobalCentres, Similarity, alignment, global_centres
from innerloop.analysis.readings import USUAL, Matching, logistic, read, spanned
from innerloop.analysis.subject import Probe, Subject
from innerloop.data.episode import Episode, require_classes
from innerloop.data.split import TRAIN, Split
from innerloop.errors import ConfigError, DataError, DivergedError, one_of
from innerloop.shapes import Params
from innerloop.statistics import Equivalence, Interval, equivalence, mean_interval

HEAD, GLOBAL = "head", "global"
Picks = Mapping[str, Tensor]


@dataclass(frozen=True)
class HeadAgreementSettings:
    """What the adapted head is held against, and how nearly.

    Attributes:
        margin: A difference in accuracy that still counts as none; 0.02 is two points.
        rates: Test inner rates of the grid, as multiples of the run's own.
        steps: Inner steps of the grid; the run's own are added.
        tried: Episodes that the grid is measured on, from the first; 0 leaves it out.
        per_class: Examples of a training class that its global centre is the mean of, at most; 0 leaves these out.
        similarity: How examples are held against global centres: by `inner_product` or `euclidean` distance.
        drawn: How many episodes are drawn in two dimensions, from the first.
    """

    margin: float = 0.02
    rates: tuple[float, ...] = (0.25, 1.0, 4.0)
    steps: tuple[int, ...] = (1, 10)
    tried: int = 50
    per_class: int = 100
    similarity: Similarity = "inner_product"
    drawn: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.margin < 1:
            raise ConfigError(f"expected a margin between 0 and 1, got {self.margin:g}; 0.02 is two points")
        if any(not math.isfinite(each) or each == 0 for each in self.rates) or len(set(self.rates)) < len(self.rates):
            raise ConfigError(
                f"expected multiples of the run's rate, each once and none 0, got {_listed(self.rates)}; "
                "0.25, 1 and 4 are usual"
            )
        if any(each < 1 for each in self.steps) or len(set(self.steps)) < len(self.steps):
            raise ConfigError(
                f"expected numbers of inner steps, each once and at least 1, got {_listed(self.steps)}; 1 and 10 are "
                "usual"
            )
        one_of("similarity", self.similarity, get_args(Similarity))
        for name in ("tried", "per_class", "drawn"):
            if getattr(self, name) < 0:
                raise ConfigError(f"expected {name} of at least 0, got {getattr(self, name)}; 0 leaves it out")


@dataclass(frozen=True)
class Reading:
    """A classifier made of an episode's features beside the adapted head.

    Attributes:
        name: As in `readings`, or `global`.
        accuracy: In [0, 1].
        agreement: Share of queries on which it names the same class as the adapted head.
        gap: The adapted head's accuracy less its own, in pairs.
    """

    name: str
    accuracy: Interval
    agreement: Interval
    gap: Equivalence


@dataclass(frozen=True)
class Side:
    """All readings of one set of features.

    Attributes:
        readings: In reading order.
        matrix: Share of queries on which two of them agree, mean over episodes; the adapted head is first.
    """

    readings: tuple[Reading, ...]
    matrix: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Aligned:
    """An `Alignment` over episodes."""

    same: Interval
    other: Interval
    mutual: Interval


@dataclass(frozen=True)
class Clusters:
    """The centres of the classes trained on, and how an episode's labels lie to them.

    Attributes:
        classes: How many there are.
        similarity: How examples are held against them.
        before: For features before adaptation.
        after: For features after it, against the same centres.
    """

    classes: int
    similarity: str
    before: Aligned
    after: Aligned


@dataclass(frozen=True)
class HeadAgreement:
    """The adapted head beside other readings of the same episodes.

    Attributes:
        adapts: What moves in the inner loop.
        loss: Of the inner loop.
        inner_lr: Rate at test.
        inner_steps: Steps at test.
        reach: The sum of the head's rates over these steps, which penalties are matched to; 0 where none matches.
        ways: The most classes an episode had.
        shots: The most support examples a class had.
        chance: Accuracy of guessing, mean over episodes.
        margin: Of the equivalence tests.
        head: Accuracy of the adapted head.
        is_still: Whether adaptation leaves all features as they are.
        before: Readings of features before adaptation.
        after: Of the adapted encoder's features.
        kept: Share of queries for which the head, and each reading in order, says the same before and after; 1 for
            the head, of which there is one.
        cells: The grid over rates and steps, on the first episodes.
        clusters: The centres of all training classes; None where there are none to know.
        pictures: Episodes in two dimensions.
    """

    adapts: str
    loss: str
    inner_lr: float
    inner_steps: int
    reach: float
    ways: int
    shots: int
    chance: float
    margin: float
    head: Interval
    is_still: bool
    before: Side
    after: Side
    kept: tuple[float, ...]
    cells: tuple[Cell, ...]
    clusters: Clusters | None
    pictures: tuple[Picture, ...]


class Found(NamedTuple):
    """One episode's measures.

    Attributes:
        right: Accuracies by side and reading.
        same: Agreements [reading reading] by side.
        kept: Agreements of each reading with itself, before and after.
        is_still: Whether the features stay.
        cells: Accuracy and agreements by cell of the grid, as in `Cell`, NaN where undefined; none where not tried.
        aligned: By side; None without global centres.
    """

    right: tuple[dict[str, float], dict[str, float]]
    same: tuple[NDArray[np.float64], NDArray[np.float64]]
    kept: NDArray[np.float64]
    is_still: bool
    cells: tuple[Row, ...]
    aligned: tuple[Alignment, Alignment] | None


def measure(subject: Subject, settings: HeadAgreementSettings | None = None) -> HeadAgreement:
    """Hold the adapted head of the test against other readings of the same episodes.

    Raises:
        ConfigError: The head is not linear, or there is none.
        DataError: There is no episode, or one with a single class.
        DivergedError: Predictions that are not finite, at the run's own rate and steps.
    """
    chosen = settings or HeadAgreementSettings()
    algorithm, params = subject.tested, subject.params
    _refuse(algorithm, params)
    centres = _centres(subject, chosen)
    tried = grid(algorithm, params, chosen.rates, chosen.steps) if chosen.tried else ()
    found: list[Found] = []
    pictures: list[Picture] = []
    chance, ways, shots = [], 0, 0
    for probe in subject.probes():
        _refuse_episode(probe)
        path = algorithm.adapt(params, probe.episode.support).params
        sides = seen(algorithm, path[0], probe.episode), seen(algorithm, path[-1], probe.episode)
        cells = tried if len(found) < chosen.tried else ()
        found.append(of_episode(algorithm, params, probe.episode, sides, cells, centres))
        if len(pictures) < chosen.drawn:
            pictures.append(picture(probe, *sides))
        counts = probe.episode.support.targets.bincount()
        chance.append(1 / len(slots_of(probe.episode.support.targets)))
        ways, shots = max(ways, len(probe.classes)), max(shots, int(counts.max()))
    if not found:
        raise DataError("expected at least one episode to read, got none; ask for more episodes")
    return HeadAgreement(
        algorithm.adapts,
        algorithm.inner.loss_name,
        algorithm.inner.lr,
        algorithm.inner.steps,
        matching(algorithm, params).reach,
        ways,
        shots,
        sum(chance) / len(chance),
        chosen.margin,
        mean_interval([each.right[0][HEAD] for each in found]),
        all(each.is_still for each in found),
        _side(found, 0, chosen.margin),
        _side(found, 1, chosen.margin),
        tuple(np.mean([each.kept for each in found], axis=0).tolist()),
        tuple(cell(each, [one.cells[place] for one in found if one.cells]) for place, each in enumerate(tried)),
        None if centres is None else _clusters(centres, found),
        tuple(pictures),
    )


def of_episode(
    algorithm: Algorithm,
    params: Params,
    episode: Episode,
    sides: tuple[Seen, Seen],
    tried: Sequence[Trial],
    centres: GlobalCentres | None,
) -> Found:
    """Measure one episode.

    Args:
        algorithm: As at test.
        params: The meta-parameters.
        episode: One task.
        sides: Its features and head before adaptation and after.
        tried: The cells of the grid, rate by rate.
        centres: Of all training classes.
    """
    before, after = sides
    head = named_by_head(after)
    if head is None or not bool(torch.isfinite(before.support).all() and torch.isfinite(before.query).all()):
        raise DivergedError(
            f"expected finite predictions, got NaN or infinity with an inner loop of {algorithm.inner.steps} steps at "
            f"rate {algorithm.inner.lr:g}; try a smaller rate"
        )
    alike, targets = matching(algorithm, params), episode.query.targets
    is_still = same_features(before, after)
    picks: list[Picks] = [{HEAD: head, **_all_readings(before, episode, alike, centres)}]
    picks.append(picks[0] if is_still else {HEAD: head, **_all_readings(after, episode, alike, centres)})
    first, second = (
        ({name: share(each == targets) for name, each in named.items()}, _agreements(named)) for named in picks
    )
    return Found(
        (first[0], second[0]),
        (first[1], second[1]),
        np.array([share(picks[0][name] == picks[1][name]) for name in picks[0]]),
        is_still,
        tried_on(algorithm, params, episode, before, tried),
        None if centres is None else (_aligned(before, episode, centres), _aligned(after, episode, centres)),
    )


def picture(probe: Probe, before: Seen, after: Seen) -> Picture:
    """Draw one episode in two dimensions."""
    (_, labels), (_, targets) = probe.episode
    support, query = few(labels), few(targets)
    drawn = [(here.support[support], labels[support], here.query[query]) for here in (before, after)]
    first = mapped(*drawn[0])
    maps = first, first if same_features(before, after) else mapped(*drawn[1])
    stages = (
        stage(*points, here.weight, here.bias, placed)
        for points, here, placed in zip(drawn, (before, after), maps, strict=True)
    )
    return Picture(
        probe.number, probe.classes, tuple(labels[support].tolist()), tuple(targets[query].tolist()), *stages
    )


def _all_readings(here: Seen, episode: Episode, alike: Matching, centres: GlobalCentres | None) -> dict[str, Tensor]:
    labels = episode.support.targets
    named = dict(read(here.support, labels, here.query, alike))
    if centres is not None:
        described = spanned(centres.described(here.support), centres.described(here.query))
        named[GLOBAL] = slots_of(labels)[logistic(described[0], labels, described[1], USUAL).argmax(1)]
    return named


def _aligned(here: Seen, episode: Episode, centres: GlobalCentres) -> Alignment:
    return alignment(
        centres.nearest(here.support), episode.support.targets, centres.nearest(here.query), episode.query.targets
    )


def _agreements(named: Picks) -> NDArray[np.float64]:
    stacked = torch.stack(list(named.values()))
    share: NDArray[np.float64] = (stacked[:, None] == stacked[None]).double().mean(2).numpy()
    return share


def _side(found: Sequence[Found], side: int, margin: float) -> Side:
    head = [each.right[side][HEAD] for each in found]
    readings = []
    for place, name in enumerate(found[0].right[side]):
        if name != HEAD:
            own = [each.right[side][name] for each in found]
            agreement = mean_interval([float(each.same[side][0, place]) for each in found])
            readings.append(Reading(name, mean_interval(own), agreement, equivalence(head, own, margin)))
    matrix = np.mean([each.same[side] for each in found], axis=0)
    return Side(tuple(readings), tuple(tuple(row) for row in matrix.tolist()))


def _clusters(centres: GlobalCentres, found: Sequence[Found]) -> Clusters:
    before, after = (
        Aligned(
            *(
                mean_interval(values)
                for values in zip(*(each.aligned[side] for each in found if each.aligned), strict=True)
            )
        )
        for side in (0, 1)
    )
    return Clusters(len(centres.means), centres.similarity, before, after)


def _centres(subject: Subject, settings: HeadAgreementSettings) -> GlobalCentres | None:
    """Return the training classes' centres; None where there is no such side, or its classes never come back."""
    split = subject.home(TRAIN) if subject.home is not None and settings.per_class else None
    if not isinstance(split, Split):
        return None
    return global_centres(subject.tested.learner, subject.params, split, settings.per_class, settings.similarity)


def _refuse(algorithm: Algorithm, params: Params) -> None:
    algorithm.learner.linear_head(params, "head agreement")
    if algorithm.inner.start == "attention":
        raise ConfigError(
            "expected an adapted head for head agreement, got attention in its place; explain a run that has a head"
        )


def _refuse_episode(probe: Probe) -> None:
    require_classes(probe.episode.support, "to read")
    if len(slots_of(probe.episode.support.targets)) < 2:
        raise DataError(
            f"expected two classes or more in an episode, got one (episode {probe.number}); ask for more ways"
        )


def _listed(values: Sequence[float] | Sequence[int]) -> str:
    return ", ".join(f"{each:g}" for each in values) or "none"
