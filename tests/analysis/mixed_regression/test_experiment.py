import json
import math
from dataclasses import replace

import numpy as np
import pytest

from innerloop.analysis import EXPERIMENTS
from innerloop.analysis.mixed_regression import (
    MixedRegression,
    MixedRegressionSettings,
    Regression,
    best_adaptation_rate,
    best_training_rate,
    distance,
    loss_at_test,
    measure,
    simulated,
)
from innerloop.analysis.values import from_values, to_values
from innerloop.errors import ConfigError
from innerloop.seeds import generator

SMALL = MixedRegressionSettings(
    over=Regression(12, 2, 10, 2, 8),
    under=Regression(5, 6, 10, 3, 8),
    training_rates=(0.5, -1.0, 0.0),
    adaptation_rates=(0.3, 0.0),
    worlds=400,
    test_tasks=5,
)


@pytest.fixture(scope="module")
def small():
    return measure(SMALL)


def test_the_best_training_rate_is_negative_and_the_best_adaptation_rate_positive_in_both_kinds_of_worlds():
    settings = MixedRegressionSettings(
        training_rates=(-1.0, -0.5, 0.0, 0.5, 1.0), adaptation_rates=(-0.1, 0.0, 0.1, 0.2), worlds=600, test_tasks=5
    )
    found = measure(settings)
    for each in (found.over, found.under):
        assert each.training.best < 0 > each.training.predicted_best
        assert each.adaptation.best > 0 < each.adaptation.predicted_best
        assert each.gain.low > 0
        assert each.training.alike[1] < 0


def test_simulated_test_losses_are_what_the_exact_formula_makes_of_the_distance(small):
    """G1: |z| below 4 at every training rate of both kinds of worlds; a formula without its noise is caught."""
    for each in (small.over, small.under):
        for departure, loss, away in zip(each.departure, each.training.loss, each.distance, strict=True):
            error = departure.half_width / 1.96
            assert abs(departure.mean) / error < 4
            formula = loss_at_test(each.model, small.adaptation_rate, away.mean)
            assert loss.mean - formula == pytest.approx(departure.mean, abs=1e-12)
            wrong = loss_at_test(replace(each.model, noise=0.0), small.adaptation_rate, away.mean)
            assert abs(loss.mean - wrong) / error > 10


def test_every_prediction_is_the_formulas(small):
    for each in (small.over, small.under):
        best = best_training_rate(each.model)
        assert each.training.rates == (-1.0, 0.0, 0.5)
        assert each.training.predicted_best == each.training_rate == best
        assert each.predicted_distance == tuple(distance(each.model, rate) for rate in each.training.rates)
        assert each.training.predicted == tuple(loss_at_test(each.model, 0.2, far) for far in each.predicted_distance)
        far = distance(each.model, best)
        assert each.adaptation.rates == (0.0, 0.3)
        assert each.adaptation.predicted == tuple(loss_at_test(each.model, rate, far) for rate in (0.0, 0.3))
        assert each.adaptation.predicted_best == best_adaptation_rate(each.model, far)


def test_adaptation_rates_are_compared_at_the_training_rate_that_is_asked_for(small):
    other = measure(replace(SMALL, training_rate=0.5))
    assert other.over.training_rate == 0.5
    assert other.over.training.best == small.over.training.best
    assert other.over.adaptation.loss[0].mean > small.over.adaptation.loss[0].mean
    # At an adaptation rate of 0.3 by either way.
    same = measure(replace(SMALL, training_rate=0.5, adaptation_rate=0.3))
    assert same.over.adaptation.loss[1] == pytest.approx(same.over.training.loss[2], rel=1e-12)


def test_worlds_are_the_same_at_every_rate_and_whatever_else_is_asked_for(small):
    fewer = measure(replace(SMALL, training_rates=(0.5,)))
    assert fewer.under.training.loss[0] == pytest.approx(small.under.training.loss[2], rel=1e-12)


def test_the_best_rate_and_its_equals_are_read_off_pairs(small):
    for each in (small.over, small.under):
        means = [loss.mean for loss in each.training.loss]
        assert each.training.best == each.training.rates[int(np.argmin(means))]
        assert each.training.alike[0] <= each.training.best <= each.training.alike[1]


def test_the_gain_of_the_predicted_best_is_in_pairs_with_a_rate_of_zero():
    _, losses = simulated(
        SMALL.over,
        [*sorted(SMALL.training_rates), 0.0, best_training_rate(SMALL.over)],
        50,
        5,
        rng=generator(0, "mixed_regression", "over-parameterised", 0),
    )
    at = losses @ np.array([1.0, 0.2, 0.04])
    found = measure(replace(SMALL, worlds=50)).over.gain
    assert found.mean == pytest.approx((at[:, 3] - at[:, 4]).mean(), abs=1e-12)
    assert found.observations == 50


def numbers(values):
    """Return all numbers in nested values, in order."""
    if isinstance(values, dict | list):
        return [
            number for each in (values.values() if isinstance(values, dict) else values) for number in numbers(each)
        ]
    return [values]


def test_results_survive_json():
    result = measure(replace(SMALL, worlds=50))
    assert from_values(MixedRegression, json.loads(json.dumps(to_values(result), allow_nan=False))) == result


def test_the_same_seed_gives_the_same_result_to_rounding_and_another_another(small):
    """Least squares rounds by where its numbers lie in memory."""
    expected = numbers(to_values(small))
    assert numbers(to_values(measure(SMALL))) == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert numbers(to_values(measure(replace(SMALL, seed=1)))) != pytest.approx(expected, rel=1e-3)


def test_work_is_shown_to_whoever_watches():
    seen = []

    def watch(label, work):
        seen.append((label, len(work)))
        return work

    found = measure(replace(SMALL, worlds=120), watch)
    assert seen == [("over-parameterised", 3), ("under-parameterised", 3)]
    assert found.over.gain.observations == 120


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"training_rates": ()}, "expected rates in training_rates, got none"),
        ({"adaptation_rates": (0.1, 0.2, 0.1)}, "every rate once in adaptation_rates, got 0.1 twice"),
        ({"training_rates": (0.0, -0.0)}, "every rate once in training_rates"),
        ({"training_rates": (math.nan,)}, r"rates of a size up to 1e\+06 in training_rates, got nan"),
        ({"training_rates": (1e300, -1.0)}, r"rates of a size up to 1e\+06 in training_rates, got 1e\+300"),
        ({"adaptation_rate": math.inf}, r"expected adaptation_rate of a size up to 1e\+06, got inf"),
        ({"training_rate": math.nan}, r"expected training_rate of a size up to 1e\+06, got nan"),
        ({"worlds": 1}, "expected worlds of at least 2 for an interval, got 1"),
        ({"test_tasks": 0}, "expected test_tasks of at least 1, got 0"),
        ({"over": SMALL.under}, "expected over.tasks .* below over.dimensions=5, got 18"),
        ({"under": SMALL.over}, "expected under.tasks .* above under.dimensions=12, got 4"),
        ({"over": replace(SMALL.over, noise=0.0)}, "expected over.noise above 0, got 0"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(changes, message):
    with pytest.raises(ConfigError, match=message) as refused:
        replace(SMALL, **changes)
    assert "\n" not in str(refused.value)


def test_a_rate_of_zero_is_a_rate_like_others():
    assert 0.0 in SMALL.training_rates
    assert replace(SMALL, training_rates=(0.0,)).training_rates == (0.0,)


def test_the_registry_has_it():
    entry = EXPERIMENTS["mixed_regression"]
    assert (entry.measure, entry.result, entry.settings) == (measure, MixedRegression, MixedRegressionSettings)
