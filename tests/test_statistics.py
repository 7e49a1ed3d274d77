import numpy as np
import pytest
from scipy import stats

from innerloop.statistics import mean_interval, paired_difference, ranking


def test_the_interval_is_students_t():
    sample = np.random.default_rng(0).normal(3, 2, 50)
    interval = mean_interval(sample)
    low, high = stats.t.interval(0.95, 49, sample.mean(), stats.sem(sample))
    assert interval.low == pytest.approx(low)
    assert interval.high == pytest.approx(high)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(2000):
        interval = mean_interval(rng.normal(0, 1, 10))
        covered += interval.low <= 0 <= interval.high
    assert 0.93 < covered / 2000 < 0.97


def test_one_observation_has_an_infinite_interval_and_none_is_refused():
    assert mean_interval([0.5]).half_width == float("inf")
    with pytest.raises(ValueError, match="at least one observation"):
        mean_interval([])


def test_pairing_takes_out_what_two_learners_share():
    rng = np.random.default_rng(2)
    difficulty = rng.normal(0, 1, 200)
    left, right = difficulty + 0.1, difficulty + rng.normal(0, 0.01, 200)
    assert paired_difference(left, right).half_width < 0.01
    with pytest.raises(ValueError, match="same episodes"):
        paired_difference([1.0, 2.0], [1.0])


def test_a_ranking_finds_the_best_and_in_pairs_what_may_be_as_good():
    rng = np.random.default_rng(0)
    sample = rng.normal(0, 1, (50, 1)) + np.array([0.0, 0.4, 0.5, 0.5]) + rng.normal(0, 0.05, (50, 4))
    found = ranking(sample)
    assert found.best in (2, 3)
    assert set(found.as_good) <= {2, 3}
    assert found.best in found.as_good
    assert ranking(np.array([[0.5, 0.7, 0.7]])) == (1, None)  # of equals the first; one observation cannot tell


def test_an_option_with_a_nan_is_no_candidate():
    sample = np.array([[0.1, np.nan], [0.2, 0.9], [0.3, 0.9]])
    assert ranking(sample) == (0, (0,))
    with pytest.raises(ValueError, match="measured throughout, got none"):
        ranking(sample[:, 1:])
