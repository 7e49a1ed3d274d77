from dataclasses import replace

import pytest

from innerloop.analysis.inner_lr import InnerLr, RateArm
from innerloop.analysis.rate_grid import rate_grid
from innerloop.errors import ConfigError
from innerloop.statistics import Interval, mean_interval


def run_of(*accuracies, rates=(-0.1, 0.1), training_lr=0.1):
    """A result of one inner step at most whose accuracies after it are given, None for what diverged."""
    rows = tuple((Interval(0.2, 0.1, 5), None if each is None else Interval(each, 0.1, 5)) for each in accuracies)
    one = RateArm(rows, rows, tuple((0, int(each is None)) for each in accuracies), (0, 0), ((0, 0),))
    zero = tuple((before, Interval(0.5, 0.1, 5)) for before, _ in rows)
    return InnerLr(training_lr, 1, 0.1, 1, "all", 0.2, rates, 1, False, 1.0, one, replace(one, accuracy=zero), None, ())


def test_cells_are_means_over_seeds_and_compared_in_pairs_over_them():
    runs = {
        0.4: {0: run_of(0.1, 0.70), 1: run_of(0.2, 0.80), 2: run_of(0.3, 0.90)},
        -0.4: {0: run_of(0.1, 0.69), 1: run_of(0.1, 0.802), 2: run_of(0.1, 0.894)},
    }
    found = rate_grid(runs, 1)
    assert (found.training, found.adaptation, found.seeds) == ((-0.4, 0.4), (-0.1, 0.1), (0, 1, 2))
    assert found.accuracy[1] == (mean_interval([0.1, 0.2, 0.3]), mean_interval([0.7, 0.8, 0.9]))
    assert found.best == (1, 1)
    assert set(found.as_good) == {(1, 1), (0, 1)}  # .7 ± .25 alone would have said the same of much more
    assert found.chance == 0.2
    assert {cell.mean for row in rate_grid(runs, 1, zeroed=True).accuracy for cell in row} == {0.5}


def test_what_diverged_for_a_seed_has_no_value_and_is_never_best():
    runs = {0.4: {0: run_of(0.1, 0.9), 1: run_of(0.1, None)}, 0.1: {0: run_of(0.2, 0.5), 1: run_of(0.2, 0.6)}}
    found = rate_grid(runs, 1)
    assert found.accuracy[1][1] is None
    assert found.best == (0, 1)


def test_only_rates_and_seeds_that_all_have_stand_in_the_grid():
    runs = {
        0.4: {0: run_of(0.1, 0.3, 0.5, rates=(-0.1, 0.1, 0.4)), 1: run_of(0.9, 0.9)},
        0.1: {0: run_of(0.2, 0.6)},
    }
    found = rate_grid(runs, 1)
    assert (found.adaptation, found.seeds, found.as_good) == ((-0.1, 0.1), (0,), None)
    assert found.accuracy[0][1].mean == 0.6


@pytest.mark.parametrize(
    ("runs", "steps"),
    [
        ({0.4: {0: run_of(0.1, 0.9)}, 0.1: {1: run_of(0.1, 0.9)}}, 1),
        ({0.4: {0: run_of(0.1, 0.9)}, 0.1: {0: run_of(0.1, 0.9, rates=(-0.2, 0.2))}}, 1),
        ({0.4: {0: run_of(0.1, 0.9)}, 0.1: {0: run_of(0.1, 0.9)}}, 2),
        ({}, 1),
    ],
)
def test_runs_with_nothing_in_common_are_refused(runs, steps):
    with pytest.raises(ConfigError, match="expected runs of common seeds"):
        rate_grid(runs, steps)
