import numpy as np
import pytest
from scipy import stats

from innerloop.statistics import (
    Equivalence,
    equivalence,
    mean_interval,
    paired_difference,
    rank_correlation,
    ranking,
    share,
)


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


def test_the_rank_correlation_is_spearmans_also_with_ties_and_its_interval_is_of_pairs_drawn_again():
    rng = np.random.default_rng(0)
    left = rng.normal(size=80)
    right = np.round(left + rng.normal(size=80), 1)  # ties
    found = rank_correlation(left, right)
    assert found.value == pytest.approx(stats.spearmanr(left, right).statistic)
    drawn = np.random.default_rng(0).integers(80, size=(2000, 80))
    again = [stats.spearmanr(left[row], right[row]).statistic for row in drawn[:300]]
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(again, [0.025, 0.975])), abs=0.05)
    assert found.is_told
    assert rank_correlation(left, rng.normal(size=80)).is_told is False
    assert rank_correlation(left, -right).value == pytest.approx(-found.value)
    assert rank_correlation(left, np.exp(right)).value == pytest.approx(found.value)


def test_the_interval_of_a_rank_correlation_covers_the_truth_nearly_as_often_as_it_says():
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(300):
        left = rng.normal(size=60)
        right = 0.5 * left + (1 - 0.25) ** 0.5 * rng.normal(size=60)
        found = rank_correlation(left, right, resamples=400)
        held += found.low <= 6 / np.pi * np.arcsin(0.25) <= found.high  # Spearman's of two normal variables
    assert 0.90 <= held / 300 <= 0.98


def test_a_handful_of_pairs_and_what_does_not_vary_have_no_rank_correlation():
    numbers = np.arange(9.0)
    assert rank_correlation(numbers, numbers) is None
    assert rank_correlation(np.arange(20.0), np.ones(20)) is None
    assert rank_correlation(np.arange(20.0), np.full(20, np.nan)) is None
    rare = np.zeros(12)
    rare[0] = 1  # many of the samples drawn again have no other value
    assert rank_correlation(np.arange(12.0), rare).low >= -1


def test_a_share_has_clopper_and_pearsons_interval():
    found = share(18, 20)
    assert found.value == 0.9
    # Its ends are where 18 or more, and 18 or fewer, of 20 would come up once in 40.
    assert stats.binom.sf(17, 20, found.low) == pytest.approx(0.025)
    assert stats.binom.cdf(18, 20, found.high) == pytest.approx(0.025)
    assert (share(0, 5).low, share(5, 5).high) == (0, 1)
