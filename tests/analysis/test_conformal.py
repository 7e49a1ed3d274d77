"""Split conformal bounds: the exact rank, coverage by simulation, and too few cases."""

import math

import numpy as np
import pytest

from innerloop.analysis.conformal import fewest, lower, slack


@pytest.mark.parametrize(
    ("cases", "level", "rank"),
    [
        (19, 0.95, 19),
        (20, 0.95, 20),
        (39, 0.95, 38),
        (9, 0.9, 9),
        (99, 0.9, 90),
        (100, 0.9, 91),
        (4, 0.8, 4),
        (99, 0.55, 55),
    ],
)
def test_the_slack_is_the_smallest_excess_of_the_rank_that_the_level_asks_for(cases, level, rank):
    order = np.random.default_rng(0).permutation(cases)
    predicted, true = 10.0 + order, np.full(cases, 10.0)
    # Excesses are 0, 1, ..., cases - 1 in some order.
    assert slack(predicted, true, level) == rank - 1


@pytest.mark.parametrize(("level", "needed"), [(0.8, 4), (0.9, 9), (0.95, 19), (0.99, 99), (0.5, 1)])
def test_too_few_cases_for_a_level_have_no_bound_but_0(level, needed):
    assert fewest(level) == needed
    enough, too_few = np.zeros(needed), np.zeros(needed - 1)
    assert slack(enough, enough, level) == 0
    assert slack(too_few, too_few, level) == math.inf
    assert lower(np.array([0.9, 0.2]), math.inf).tolist() == [0, 0]


def test_bounds_are_shares():
    assert lower(np.array([0.9, 0.2, 1.4]), 0.3).tolist() == pytest.approx([0.6, 0.0, 1.0])


@pytest.mark.parametrize("cases", [20, 57])
@pytest.mark.parametrize("level", [0.8, 0.9])
def test_exchangeable_cases_are_covered_as_often_as_it_says_and_not_much_oftener(cases, level):
    rng = np.random.default_rng(1)
    draws = 8000
    # Any predictor will do: this one knows a half of what there is to know, and errors are skewed.
    known = rng.normal(size=(draws, cases + 1))
    true = known + rng.exponential(size=known.shape)
    rank = math.ceil((cases + 1) * level - 1e-9)
    held = [
        true[draw, -1] >= 0.5 * known[draw, -1] - slack(0.5 * known[draw, :-1], true[draw, :-1], level)
        for draw in range(draws)
    ]
    exact = rank / (cases + 1)
    spread = math.sqrt(exact * (1 - exact) / draws)
    assert abs(np.mean(held) - exact) < 4 * spread
    assert exact >= level


def test_cases_of_another_kind_are_not_covered():
    rng = np.random.default_rng(2)
    true = rng.normal(size=(2000, 50))
    held = [lower_than(each) for each in true]
    assert np.mean(held) < 0.5


def lower_than(cases):
    """Return whether a bound calibrated on cases around 0 holds for one around -2."""
    return cases[-1] - 2 >= 0 - slack(np.zeros(49), cases[:-1], 0.9)
