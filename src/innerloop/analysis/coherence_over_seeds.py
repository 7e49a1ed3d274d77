"""Which measures of `coherence` go with test accuracy, across seeds at the same outer step?

    correlation    mean, over all steps and arms, of the rank correlation between a measure and accuracy across seeds
    p              share of the ways to hand the seeds' accuracies to each other, each with its whole path, that give a
                   correlation at least as far from 0

An arm is a recipe; its runs differ in the seed alone. Ranks are taken within one arm at one step, so that neither the
course of training nor an arm's level counts; whole paths are exchanged, so that the steps of one run count as one.

Source: the question is guiroy2019's; the test is ours, since one run's checkpoints are not independent.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations, product, takewhile
from math import factorial, prod

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from innerloop.analysis.coherence import AtStep, Coherence
from innerloop.statistics import Interval

FEWEST = 3  # seeds of an arm; two can only agree or disagree
MOST = 20_000  # exchanges that are gone through; of more, so many are drawn

MEASURES: Mapping[str, str] = {
    "sharpness": "sharpness",
    "support_loss": "adapted support loss",
    "distance": "distance",
    "trajectory": "trajectory coherence",
    "gradient": "gradient coherence",
    "gradient_head": "the head's part of it",
}


@dataclass(frozen=True)
class Correlation:
    """How one measure goes with accuracy.

    Attributes:
        mean: Over arms and steps, in [-1, 1].
        p: Of a permutation test, two-sided; not corrected for how many measures are tested.
        by_step: For each outer step the mean over arms.
    """

    mean: float
    p: float
    by_step: dict[int, float]


@dataclass(frozen=True)
class Cell:
    """One arm's ranks, standardised within each step so that the mean of products is their correlation [step seed]."""

    steps: tuple[int, ...]
    measure: NDArray[np.float64]
    accuracy: NDArray[np.float64]


def arms(results: Mapping[str, Coherence]) -> dict[str, list[str]]:
    """Return the labels of each arm's runs, one a seed, by what these labels have in common."""
    groups: dict[str, dict[object, str]] = {}
    for label, each in results.items():
        # A learner without a run is an arm of its own.
        groups.setdefault(each.arm or label, {}).setdefault(each.seed, label)
    held = {arm: list(labels.values()) for arm, labels in groups.items()}
    names = [_common(labels) or arm for arm, labels in held.items()]
    if len(set(names)) < len(names):
        names = [f"{name} {arm}".strip() for name, arm in zip(names, held, strict=True)]
    return dict(zip(names, held.values(), strict=True))


def enough(results: Mapping[str, Coherence]) -> dict[str, list[str]]:
    """Return the arms with enough seeds to correlate."""
    return {name: labels for name, labels in arms(results).items() if len(labels) >= FEWEST}


def correlations(results: Mapping[str, Coherence]) -> dict[str, Correlation]:
    """Return the correlation of each measure that is defined with accuracy; none where no arm has enough seeds."""
    found: dict[str, Correlation] = {}
    for name in MEASURES:
        cells = [
            cell
            for labels in enough(results).values()
            if (cell := _cell([results[label] for label in labels], name)) is not None
        ]
        if cells:
            found[name] = _correlation(cells)
    return found


def smallest_p(results: Mapping[str, Coherence]) -> float:
    """Return the smallest p that so many seeds can give: an exchange and its reverse may be as far from 0."""
    return 1 / prod(factorial(len(labels)) for labels in enough(results).values())


def value_of(at: AtStep, name: str) -> float | None:
    """Return a measure's mean at a step."""
    found = getattr(at, name)
    return found.mean if isinstance(found, Interval) else None


def _cell(runs: Sequence[Coherence], name: str) -> Cell | None:
    """Return the ranks at the steps that all runs share and at which they differ in both; None without such."""
    by_step = [{at.step: at for at in run.path} for run in runs]
    steps, measured, accurate = [], [], []
    for step in sorted(set.intersection(*(set(each) for each in by_step))):
        values = [value_of(each[step], name) for each in by_step]
        if any(value is None for value in values):
            continue
        ranks = _standardised([value for value in values if value is not None])
        others = _standardised([each[step].accuracy.mean for each in by_step])
        if ranks is not None and others is not None:
            steps.append(step)
            measured.append(ranks)
            accurate.append(others)
    return Cell(tuple(steps), np.array(measured), np.array(accurate)) if steps else None


def _standardised(values: Sequence[float]) -> NDArray[np.float64] | None:
    ranks = stats.rankdata(values)
    spread = float(ranks.std())
    standardised: NDArray[np.float64] = (ranks - ranks.mean()) / spread if spread else ranks
    return standardised if spread else None


def _correlation(cells: Sequence[Cell]) -> Correlation:
    count = sum(len(cell.steps) for cell in cells)
    found: dict[int, list[float]] = {}
    for cell in cells:
        for step, own in zip(cell.steps, (cell.measure * cell.accuracy).mean(axis=1), strict=True):
            found.setdefault(step, []).append(float(own))
    # Products of a seed's measures with a seed's accuracies, over steps: every exchange is a sum of some.
    tables = [cell.measure.T @ cell.accuracy / (cell.measure.shape[1] * count) for cell in cells]
    true = sum(float(np.trace(table)) for table in tables)
    others = np.array([sum(_exchanged(*pair) for pair in zip(tables, order, strict=True)) for order in _orders(tables)])
    p = float(np.mean(np.abs(others) >= abs(true) - 1e-9))
    return Correlation(true, p, {step: float(np.mean(each)) for step, each in sorted(found.items())})


def _exchanged(table: NDArray[np.float64], order: Sequence[int]) -> float:
    return float(table[np.arange(len(table)), list(order)].sum())


def _orders(tables: Sequence[NDArray[np.float64]]) -> Iterator[tuple[Sequence[int], ...]]:
    """Yield an order of seeds for every arm: all of them, or so many drawn, the true one among them."""
    sizes = [len(table) for table in tables]
    if prod(map(factorial, sizes)) <= MOST:
        yield from product(*(permutations(range(size)) for size in sizes))
        return
    rng = np.random.default_rng(0)
    yield tuple(range(size) for size in sizes)
    for _ in range(MOST - 1):
        yield tuple(rng.permutation(size).tolist() for size in sizes)


def _common(labels: Sequence[str]) -> str:
    """Return what labels begin with: `FOMAML` of `FOMAML/seed 0` and `FOMAML/seed 1`."""
    if len(labels) == 1:
        return labels[0]
    shared = takewhile(lambda letters: len(set(letters)) == 1, zip(*labels, strict=False))
    return re.sub(r"[\s,/_-]*(seed)?[\s,/_-]*\d*$", "", "".join(letters[0] for letters in shared))
