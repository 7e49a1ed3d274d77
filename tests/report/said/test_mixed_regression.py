from dataclasses import replace

import pytest

from innerloop.analysis.mixed_regression import Curve, MixedRegression, Regime, Regression
from innerloop.figures.mixed_regression import draw
from innerloop.report.said.mixed_regression import captions, say
from innerloop.statistics import Interval


def interval(mean, half_width=0.01):
    return Interval(mean, half_width, 50)


def regime(model):
    training = Curve((-1.0, 0.5), (interval(0.6), interval(0.7)), (0.59, 0.69), -1.0, (-1.0, -1.0), -0.987)
    adaptation = Curve((0.0, 0.1), (interval(0.7), interval(0.6)), (0.69, 0.59), 0.1, (0.0, 0.1), 0.0753)
    return Regime(
        model,
        training,
        (interval(0.1), interval(0.2)),
        (0.09, 0.194),
        (interval(0.001, 0.002), interval(-0.003, 0.004)),
        interval(0.02, 0.003),
        adaptation,
        -0.987,
    )


RESULT = MixedRegression(0.2, 50, regime(Regression(12, 2, 10, 2, 8)), regime(Regression(5, 6, 10, 3, 8)))


def test_best_rates_gain_and_what_theory_misses_are_said_of_both_kinds_of_worlds():
    said = say(RESULT).split("\n")
    assert said[:3] == [
        "In the over-parameterised world (12 dimensions, 2 tasks, 2 outer and 10 inner points) the best training rate "
        "is -1 in simulation (all others worse) and -0.987 by theory. The predicted best has a test loss "
        "0.0200 ± 0.0030 below that of a training rate of 0, adapting at 0.2.",
        "The best adaptation rate, at a training rate of -0.987, is 0.1 in simulation (not significantly worse from 0 "
        "to 0.1) and 0.0753 by theory.",
        "R, the squared distance of the trained weights from the tasks' centre, is by theory 90% to 97% of what was "
        "simulated. Given R, G1 misses the simulated test loss by -0.00300 ± 0.00400 where it is furthest off, at 0.5: "
        "not told from 0.",
    ]
    assert said[3].startswith("In the under-parameterised world (5 dimensions, 6 tasks, 3 outer and 10 inner points)")
    assert len(said) == 6


@pytest.mark.parametrize(
    ("gain", "words"),
    [(-0.02, "0.0200 ± 0.0030 above that of a"), (0.001, "below that of a training rate of 0 (not significant)")],
)
def test_a_loss_and_a_gain_that_is_not_told_from_zero_are_said_as_such(gain, words):
    assert words in say(replace(RESULT, over=replace(RESULT.over, gain=interval(gain, 0.003))))


def test_a_formula_that_misses_is_said_to():
    off = replace(RESULT.over, departure=(interval(0.01, 0.002), interval(0.001)))
    assert "by +0.01000 ± 0.00200 where it is furthest off, at -1: told from 0 at 5%, as one of 2 " in say(
        replace(RESULT, over=off)
    )


def test_worlds_without_noise_and_spread_are_told():
    none = replace(RESULT.under, distance=(interval(0.0, 0.0),) * 2, departure=(interval(0.0, 0.0),) * 2)
    assert "is by theory all of what was simulated" in say(replace(RESULT, under=none))


def test_every_figure_has_a_caption_with_what_is_held():
    assert set(captions(RESULT)) == set(draw(RESULT))
    assert (
        "at an adaptation rate of 0.2: mean and 95% interval over 50 drawn worlds" in captions(RESULT)["training_rate"]
    )
    assert "at a training rate of -0.987 above, -0.987 below" in captions(RESULT)["adaptation_rate"]
