"""At which test rates and numbers of steps is the adapted head a logistic regression, or the nearest centroid?"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from innerloop.algorithms import Algorithm
from innerloop.analysis.adapted_head import Seen, matching, named_by_head, rescaled, same_features, seen, share
from innerloop.analysis.centroids import nearest, slots_of
from innerloop.analysis.readings import Matching, logistic, matched, spanned
from innerloop.analysis.values import over
from innerloop.data.episode import Episode
from innerloop.shapes import Params
from innerloop.statistics import Interval

Row = tuple[float, ...]


@dataclass(frozen=True)
class Cell:
    """The adapted head at one test rate and number of steps; what is None is defined in no episode.

    Attributes:
        factor: The rate as a multiple of the run's.
        steps: Inner steps.
        diverged: In how many episodes predictions are not finite; the rest is of the others.
        accuracy: Of the adapted head.
        logistic_before: Agreement with the logistic regression that matches this cell, on features before adaptation.
        logistic_after: The same on the features of this cell's adapted encoder.
        centroid_before: With the nearest centroid by inner product, before adaptation.
        centroid_after: The same after it.
    """

    factor: float
    steps: int
    diverged: int
    accuracy: Interval | None
    logistic_before: Interval | None
    logistic_after: Interval | None
    centroid_before: Interval | None
    centroid_after: Interval | None


class Trial(NamedTuple):
    """A cell of the grid, to be tried.

    Attributes:
        factor: The rate as a multiple of the run's.
        steps: Inner steps.
        matching: What its readings match.
    """

    factor: float
    steps: int
    matching: Matching


def grid(algorithm: Algorithm, params: Params, factors: Sequence[float], counts: Sequence[int]) -> tuple[Trial, ...]:
    """Return the cells, rate by rate; none for a learner that no rate moves."""
    steps = sorted({*counts, *([algorithm.inner.steps] if algorithm.inner.steps else [])})
    if not algorithm.names or (algorithm.inner.lr == 0 and algorithm.inner.is_plain):
        return ()
    return tuple(
        Trial(factor, count, matching(*rescaled(algorithm, params, factor, count)))
        for factor in factors
        for count in steps
    )


def tried_on(
    algorithm: Algorithm, params: Params, episode: Episode, before: Seen, tried: Sequence[Trial]
) -> tuple[Row, ...]:
    """Return accuracy and agreements by cell; one trajectory a rate serves all its numbers of steps."""
    rows: list[Row] = []
    most = max((each.steps for each in tried), default=0)
    paths: dict[float, Sequence[Params]] = {}
    for factor, steps, alike in tried:
        if factor not in paths:
            changed, start = rescaled(algorithm, params, factor, most)
            paths = {factor: changed.adapt(start, episode.support).params}
        here = seen(algorithm, paths[factor][steps], episode)
        head = named_by_head(here)
        if head is None:
            rows.append((math.nan,) * 5)
            continue
        first = _beside(before, episode, alike)
        then = first if same_features(before, here) else _beside(here, episode, alike)
        shares = [
            math.nan if each is None else share(each == head) for pair in zip(first, then, strict=True) for each in pair
        ]
        rows.append((share(head == episode.query.targets), *shares))
    return tuple(rows)


def _beside(here: Seen, episode: Episode, alike: Matching) -> tuple[Tensor | None, Tensor]:
    """Return what the matching logistic regression names, where one matches, and the inner-product centroid."""
    labels = episode.support.targets
    support, query = spanned(here.support.double(), here.query.double())
    found = logistic(support, labels, query, *matched(len(labels), alike)).argmax(1) if alike.reach else None
    return None if found is None else slots_of(labels)[found], nearest("inner_product", query, support, labels)


def cell(trial: Trial, rows: Sequence[Row]) -> Cell:
    """Return a cell over episodes, from what `tried_on` gave for it in each."""
    diverged = sum(math.isnan(row[0]) for row in rows)
    return Cell(trial.factor, trial.steps, diverged, *(over(column) for column in zip(*rows, strict=True)))
