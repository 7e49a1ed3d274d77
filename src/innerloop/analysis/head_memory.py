"""Is a learner's training signal a contrast with examples that its head remembers, or with the head it began with?

"Every min-min scheme of two levels is contrastive" is true of their algebra, and of plain SGD's (THEORY H3): each head
stores the features it has seen. What tells schemes apart is how much of the gradient at the features that memory makes,
beside the head that the inner loop started from. That share is measured here, for any learner with an inner loop.

Source: chaudhari2017; kao2022; THEORY f. The comparison is ours.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor

from innerloop.algorithms import Algorithm
from innerloop.analysis.cross_batch import CrossBatch, Look, cross_batch, looks, refuse, trains
from innerloop.analysis.subject import Subject
from innerloop.analysis.values import over
from innerloop.data.episode import Episode, united
from innerloop.data.family import Family
from innerloop.data.sampler import draw
from innerloop.data.split import TRAIN, Split
from innerloop.errors import ConfigError, DataError
from innerloop.runs import Recipe
from innerloop.seeds import derived_seed
from innerloop.shapes import Params
from innerloop.statistics import Interval, mean_interval


@dataclass(frozen=True)
class HeadMemorySettings:
    """How much is looked at.

    Attributes:
        windows: Of a learner of all training classes: how many inner loops, each on as many examples as one of its
            outer steps had. Of others the episodes are looked at.
        tried: How many of these are looked at for every kept outer step, to tell the share over training; 0 leaves it
            out.
    """

    windows: int = 10
    tried: int = 5

    def __post_init__(self) -> None:
        for name, least in (("windows", 1), ("tried", 0)):
            if getattr(self, name) < least:
                raise ConfigError(f"expected {name} of at least {least}, got {getattr(self, name)}; ask for more")


@dataclass(frozen=True)
class Then:
    """The share after one of the outer steps on the way."""

    step: int
    share: Interval | None


@dataclass(frozen=True)
class HeadMemory:
    """What trains the encoder, over inner loops; None where it is not defined.

    Attributes:
        order: Of the meta-gradient.
        is_joint: Whether one head has a row for every training class.
        batches: How many the inner loop sees in turn, the query set among them.
        pull: Weight of half the squared distance from the start in the inner loss.
        contrast: Norm of the contrastive part, loss per feature unit; over the steps that train the encoder, summed.
        interference: Norm of what the head before the loop adds.
        rest: Norm of what noise in the head adds.
        share: Contrast / (contrast + interference), of those norms: 1 is a contrastive learner, 0 one that has no
            memory. None where nothing trains the encoder.
        along: Share of the squared gradient that lies along the contrastive part (their inner product over it).
        by_batch: The share for every batch in turn; None where both parts are 0.
        attracting_same: Share of same-class coefficients that attract.
        attracting_other: Of different-class coefficients.
        over_training: The share after outer steps on the way; none where the run kept no snapshots.
    """

    order: str
    is_joint: bool
    batches: int
    pull: float
    contrast: Interval
    interference: Interval
    rest: Interval
    share: Interval | None
    along: Interval | None
    by_batch: tuple[Interval | None, ...]
    attracting_same: Interval | None
    attracting_other: Interval | None
    over_training: tuple[Then, ...]


class Measures(NamedTuple):
    """One inner loop's measures; NaN where not defined."""

    contrast: float
    interference: float
    rest: float
    share: float
    along: float
    by_batch: tuple[float, ...]
    attracting_same: float
    attracting_other: float


def measure(subject: Subject, settings: HeadMemorySettings | None = None) -> HeadMemory:
    """Measure what the inner loop of training contrasts its examples with.

    Raises:
        ConfigError: The head is not linear, or moves otherwise than by plain descent at one rate.
        DataError: There is no episode.
    """
    chosen = settings or HeadMemorySettings()
    algorithm = subject.trained
    refuse(algorithm, subject.params)
    step = subject.state.step if subject.state is not None else 0
    found = [of_loop(algorithm, subject.params, episode, step) for episode in _loops(subject, chosen.windows)]
    if not found:
        raise DataError("expected at least one episode to look at, got none; ask for more episodes")
    batches = max(len(each.by_batch) for each in found)
    return HeadMemory(
        algorithm.order,
        algorithm.axes.is_joint,
        batches,
        algorithm.inner.proximal,
        mean_interval([each.contrast for each in found]),
        mean_interval([each.interference for each in found]),
        mean_interval([each.rest for each in found]),
        over(each.share for each in found),
        over(each.along for each in found),
        tuple(over(each.by_batch[place] for each in found if place < len(each.by_batch)) for place in range(batches)),
        over(each.attracting_same for each in found),
        over(each.attracting_other for each in found),
        tuple(_over_training(subject, chosen.tried)) if chosen.tried else (),
    )


def of_loop(algorithm: Algorithm, params: Params, episode: Episode, step: int = 0) -> Measures:
    """Measure one inner loop."""
    seen = looks(algorithm, params, episode, step)
    parts = cross_batch(algorithm, seen, step)
    training = trains(algorithm, len(seen))
    norms = {
        name: [torch.linalg.norm(getattr(each, name)).item() for each in parts]
        for name in ("contrast", "interference", "rest")
    }
    contrast, interference, rest = (sum(norms[name][place] for place in training) for name in norms)
    squared = sum(float((parts[place].whole ** 2).sum()) for place in training)
    along = sum(float((parts[place].contrast * parts[place].whole).sum()) for place in training)
    same, other = _attracting([parts[place] for place in training], [seen[place] for place in training], seen)
    return Measures(
        contrast,
        interference,
        rest,
        _ratio(contrast, contrast + interference),
        _ratio(along, squared),
        tuple(_ratio(one, one + two) for one, two in zip(norms["contrast"], norms["interference"], strict=True)),
        same,
        other,
    )


def _loops(subject: Subject, count: int) -> Iterable[Episode]:
    """Return the examples of some inner loops: those of an outer step for a learner of all training classes."""
    if not subject.trained.axes.is_joint or subject.run is None or subject.home is None:
        return (probe.episode for probe in subject.probes())
    return _windows(subject.run.recipe, subject.home(TRAIN), count)


def _windows(recipe: Recipe, split: Split | Family, count: int) -> Iterator[Episode]:
    """Yield examples of training classes with their classes' numbers, in draws that training did not have."""
    seed, tasks = derived_seed(recipe.seed, "head memory"), recipe.training.tasks
    for window in range(count):
        numbers = range(window * tasks, (window + 1) * tasks)
        yield united([draw(split, recipe.episode, seed, number, numbered=True) for number in numbers])


def _over_training(subject: Subject, tried: int) -> Iterator[Then]:
    run = subject.run
    if run is None or subject.state is None:
        return
    episodes = list(islice(_loops(subject, tried), tried))
    for step in run.snapshots():
        if step <= subject.state.step:
            params = run.snapshot(step)
            shares = (of_loop(subject.trained, params, episode, step).share for episode in episodes)
            yield Then(step, over(shares))


def _attracting(parts: list[CrossBatch], here: list[Look], seen: list[Look]) -> tuple[float, float]:
    """Return which share of the coefficients is below 0: of one class, and of two."""
    same, other = [], []
    for part, look in zip(parts, here, strict=True):
        for coefficients, earlier in zip(part.coefficients, seen, strict=False):
            alike = look.batch.targets[:, None] == earlier.batch.targets[None]
            same.append(coefficients[alike] < 0)
            other.append(coefficients[~alike] < 0)
    return _mean(same), _mean(other)


def _mean(flags: list[Tensor]) -> float:
    every = torch.cat(flags) if flags else torch.zeros(0)
    return every.double().mean().item() if every.numel() else float("nan")


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
