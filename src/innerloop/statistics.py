"""Means with intervals, paired differences, and when two learners count as equally good: what N episodes are worth."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Sample = Sequence[float] | NDArray[np.floating]
Verdict = Literal["equivalent", "better", "worse", "undecided"]
# Student's interval stands on the spread that a sample shows, and a handful of equal differences shows none.
FEWEST = 10


class Interval(NamedTuple):
    """A mean and half the width of its confidence interval, from `observations` of them."""

    mean: float
    half_width: float
    observations: int

    @property
    def low(self) -> float:
        """The interval's lower end."""
        return self.mean - self.half_width

    @property
    def high(self) -> float:
        """The interval's upper end."""
        return self.mean + self.half_width


def mean_interval(sample: Sample, confidence: float = 0.95) -> Interval:
    """Return the sample's mean with Student's t interval.

    Args:
        sample: Independent observations, at least one. With one alone the half-width is infinite.
        confidence: Coverage of the interval, in (0, 1).

    Raises:
        ValueError: The sample is empty.
    """
    values = np.asarray(sample, dtype=np.float64)
    if values.size == 0:
        raise ValueError("expected at least one observation, got none; evaluate on one episode or more")
    if values.size == 1:
        return Interval(float(values[0]), float("inf"), 1)
    spread = float(values.std(ddof=1)) / float(np.sqrt(values.size))
    quantile = float(stats.t.ppf(0.5 + confidence / 2, values.size - 1))
    return Interval(float(values.mean()), quantile * spread, int(values.size))


def paired_difference(left: Sample, right: Sample, confidence: float = 0.95) -> Interval:
    """Return the mean of `left - right` with its interval, where both were measured on the same episodes."""
    first, second = np.asarray(left, dtype=np.float64), np.asarray(right, dtype=np.float64)
    if first.shape != second.shape:
        raise ValueError(f"expected two samples of the same episodes, got {first.shape} and {second.shape}")
    return mean_interval(first - second, confidence)


class Ranking(NamedTuple):
    """Which of several options is best, and which others may be as good.

    Attributes:
        best: The number of the option with the highest mean; the first of those that share it.
        as_good: The numbers of all that are not significantly worse, the best among them: the interval of their
            paired difference to the best reaches 0. Not corrected for how many are compared. None for a single
            observation, which cannot tell.
    """

    best: int
    as_good: tuple[int, ...] | None


def ranking(sample: NDArray[np.floating], confidence: float = 0.95) -> Ranking:
    """Rank options that were all measured on the same episodes, or for the same seeds.

    Args:
        sample: [observation option], larger being better; an option with a NaN is no candidate.
        confidence: Of the paired differences.

    Raises:
        ValueError: No option is a candidate.
    """
    columns = np.asarray(sample, dtype=np.float64).T
    candidates = [number for number, column in enumerate(columns) if not np.isnan(column).any()]
    if not candidates:
        raise ValueError("expected an option that was measured throughout, got none; leave out what diverges")
    best = max(candidates, key=lambda number: (columns[number].mean(), -number))
    if columns.shape[1] == 1:
        return Ranking(best, None)
    behind = {number: paired_difference(columns[best], columns[number], confidence) for number in candidates}
    return Ranking(best, tuple(number for number, gap in behind.items() if gap.low <= 0))


@dataclass(frozen=True)
class Equivalence:
    """What a paired difference `left - right` says of both.

    Attributes:
        difference: Its mean with its 95% interval.
        tested: The same with the 90% interval, which the verdict rests on: its ends are two tests of 5% each.
        margin: How large a difference may be and still count as none.
        verdict: `equivalent` where all of `tested` lies within the margin, `better` or `worse` (the left one) where
            all of it lies beyond, else `undecided`. A difference can be told from 0 and lie within the margin.
    """

    difference: Interval
    tested: Interval
    margin: float
    verdict: Verdict

    @property
    def differs(self) -> bool:
        """Whether the difference is told from 0 at 5%, however small it is."""
        return self.difference.low > 0 or self.difference.high < 0


def equivalence(left: Sample, right: Sample, margin: float) -> Equivalence:
    """Return whether two paired samples are equal up to a margin, by two one-sided tests (TOST) at 5%.

    Args:
        left: Measures of one learner, an episode each; fewer than 10 leave all undecided.
        right: Those of the other, on the same episodes.
        margin: Above 0, in the measures' own unit.

    Source: schuirmann1987.
    """
    difference, tested = paired_difference(left, right), paired_difference(left, right, 0.90)
    verdict: Verdict = "undecided"
    if tested.observations < FEWEST:
        pass
    elif -margin < tested.low and tested.high < margin:
        verdict = "equivalent"
    elif tested.low > margin:
        verdict = "better"
    elif tested.high < -margin:
        verdict = "worse"
    return Equivalence(difference, tested, margin, verdict)


@dataclass(frozen=True)
class Correlation:
    """A rank correlation with its interval, which is not symmetric about it.

    Attributes:
        value: Spearman's, in [-1, 1].
        low: The interval's lower end.
        high: Its upper end.
        observations: How many pairs.
    """

    value: float
    low: float
    high: float
    observations: int

    @property
    def is_told(self) -> bool:
        """Whether it is told from 0."""
        return self.low > 0 or self.high < 0


def rank_correlation(
    left: Sample, right: Sample, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Correlation | None:
    """Return Spearman's rank correlation of paired observations, with its percentile bootstrap interval.

    Args:
        left: One measure of each of several things, which are drawn again together with the other.
        right: The other measure, of the same things.
        confidence: Coverage of the interval.
        resamples: Of the bootstrap; those in which a measure does not vary are left out.
        seed: Of the resamples.

    Returns:
        None for fewer than `FEWEST` pairs, or where a measure does not vary.

    Source: spearman1904, efron1993 (the percentile interval).
    """
    pairs = np.stack([np.asarray(each, dtype=np.float64) for each in (left, right)])
    if pairs.shape[1] < FEWEST or np.isnan(pairs).any() or (np.ptp(pairs, axis=1) == 0).any():
        return None
    rng = np.random.default_rng(seed)
    drawn = rng.integers(pairs.shape[1], size=(resamples, pairs.shape[1]))
    found = _spearman(pairs[:, drawn])
    low, high = np.nanquantile(found, [0.5 - confidence / 2, 0.5 + confidence / 2]).tolist()
    return Correlation(float(_spearman(pairs[:, None])[0]), low, high, int(pairs.shape[1]))


def _spearman(pairs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rank correlation of each row of pairs [2 row observation]; NaN where a side does not vary."""
    ranks = stats.rankdata(pairs, axis=-1)
    ranks -= ranks.mean(-1, keepdims=True)
    sizes = np.sqrt((ranks**2).sum(-1).prod(0))
    products = (ranks[0] * ranks[1]).sum(-1)
    found: NDArray[np.float64] = np.divide(products, sizes, out=np.full_like(products, np.nan), where=sizes > 0)
    return found


@dataclass(frozen=True)
class Share:
    """A share of independent trials with its exact interval.

    Attributes:
        value: Successes over trials.
        low: The interval's lower end.
        high: Its upper end.
        observations: How many trials.
    """

    value: float
    low: float
    high: float
    observations: int


def share(successes: int, trials: int, confidence: float = 0.95) -> Share:
    """Return a share with Clopper and Pearson's interval, which covers at least as often as it says.

    Args:
        successes: Of `trials`.
        trials: At least 1.
        confidence: Coverage of the interval.

    Source: clopper1934.
    """
    ends = stats.binomtest(successes, trials).proportion_ci(confidence, method="exact")
    return Share(successes / trials, float(ends.low), float(ends.high), trials)
