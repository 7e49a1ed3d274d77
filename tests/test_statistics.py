import numpy as np
import pytest
from scipy import stats

from innerloop.statistics import Equivalence, equivalence, mean_interval, paired_difference, ranking


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


def planted(difference, spread, episodes=100):
    """Two samples whose paired differences have exactly this mean and this standard deviation."""
    rng = np.random.default_rng(3)
    noise = rng.normal(0, 1, episodes)
    noise = (noise - noise.mean()) / noise.std(ddof=1)
    right = rng.normal(0.6, 0.1, episodes)
    return right + difference + spread * noise, right


@pytest.mark.parametrize(
    ("difference", "spread", "verdict", "differs"),
    [
        (0.0, 0.05, "equivalent", False),
        (0.01, 0.02, "equivalent", True),  # told from 0 and yet within the margin
        (-0.01, 0.02, "equivalent", True),
        (0.05, 0.05, "better", True),
        (-0.05, 0.05, "worse", True),
        (0.03, 0.1, "undecided", True),  # more than the margin, but not surely
        (0.0, 0.3, "undecided", False),
        (0.02, 0.001, "undecided", True),  # on the very edge
    ],
)
def test_two_learners_are_equivalent_where_the_whole_90_percent_interval_lies_within_the_margin(
    difference, spread, verdict, differs
):
    found = equivalence(*planted(difference, spread), 0.02)
    assert (found.verdict, found.differs) == (verdict, differs)
    assert found.difference == paired_difference(*planted(difference, spread))
    assert (found.tested.mean, found.margin) == (found.difference.mean, 0.02)


def test_the_verdict_is_that_of_two_one_sided_t_tests_at_5_percent():
    for difference in np.linspace(-0.05, 0.05, 41):
        left, right = planted(difference, 0.06)
        inside = max(
            stats.ttest_1samp(left - right, -0.02, alternative="greater").pvalue,
            stats.ttest_1samp(left - right, 0.02, alternative="less").pvalue,
        )
        above = stats.ttest_1samp(left - right, 0.02, alternative="greater").pvalue
        verdict = equivalence(left, right, 0.02).verdict
        assert (verdict == "equivalent") == (inside < 0.05)
        assert (verdict == "better") == (above < 0.05)


def test_at_the_margin_equivalence_is_claimed_wrongly_at_most_once_in_twenty():
    rng = np.random.default_rng(4)
    wrong = sum(equivalence(rng.normal(0.02, 0.05, 50), np.zeros(50), 0.02).verdict != "undecided" for _ in range(2000))
    assert 0.07 < wrong / 2000 < 0.13  # equivalent and better, 5% each


def test_a_handful_of_episodes_leaves_all_undecided_even_where_they_show_no_spread():
    assert equivalence([0.6] * 9, [0.6] * 9, 0.02).verdict == "undecided"
    assert equivalence([0.6] * 10, [0.6] * 10, 0.02).verdict == "equivalent"
    assert equivalence([0.6], [0.2], 0.02).verdict == "undecided"


def test_the_verdict_is_the_other_way_round_for_the_other_learner():
    turned = {"equivalent": "equivalent", "better": "worse", "worse": "better", "undecided": "undecided"}
    for difference in (-0.05, -0.02, 0.0, 0.03, 0.05):
        left, right = planted(difference, 0.05)
        there, back = equivalence(left, right, 0.02), equivalence(right, left, 0.02)
        assert isinstance(there, Equivalence)
        assert back.verdict == turned[there.verdict]
