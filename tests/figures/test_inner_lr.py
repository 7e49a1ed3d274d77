from dataclasses import replace

import numpy as np
import pytest

from innerloop.analysis.inner_lr import InnerLr, arm
from innerloop.analysis.rate_grid import RateGrid
from innerloop.figures.inner_lr import draw, grid
from innerloop.figures.style import to_png
from innerloop.statistics import Interval

RATES = (-0.1, -0.01, 0.01, 0.1)
NOISE = np.random.default_rng(0).normal(0, 0.01, (8, 1, 1))


def arm_of(rows, episodes=8):
    """An arm with these mean accuracies [rate step], NaN for what diverged."""
    accuracy = np.array(rows)[None] + NOISE[:episodes] - NOISE[:episodes].mean()
    return arm(np.stack([accuracy, 1 - accuracy], axis=-1))


TRAINED = arm_of([[0.2, 0.1], [0.2, 0.15], [0.2, 0.5], [0.2, 0.7]])
ZEROED = arm_of([[0.2, 0.05], [0.2, 0.05], [0.2, 0.6], [0.2, 0.6]])
RANDOM = InnerLr(0.1, 1, 0.1, 1, "all", 0.2, RATES, 1, False, 2.0, TRAINED, ZEROED, None, ())
ZERO = replace(RANDOM, head_is_zero=True, head_norm=0.0, as_trained=ZEROED)


def test_a_line_a_run_runs_apart_on_both_sides_of_zero():
    axes = draw({"a": RANDOM, "b": ZERO})["by_rate"].axes[0]
    curves = [line for line in axes.lines if len(line.get_xdata()) == 2 and line.get_marker() != "None"]
    assert [list(line.get_xdata()) for line in curves] == [[-0.1, -0.01], [0.01, 0.1]] * 2
    assert list(curves[1].get_ydata()) == pytest.approx([50, 70])
    assert list(curves[2].get_ydata()) == pytest.approx([5, 5])


def test_the_zeroed_arm_is_drawn_of_heads_that_are_not_zero_anyway_and_maps_of_few_runs():
    assert set(draw({"a": ZERO})) == {"by_rate", "map"}
    assert set(draw({"a": RANDOM})) == {"by_rate", "map", "by_rate_zeroed", "map_zeroed"}
    many = dict.fromkeys("abcd", RANDOM)
    assert set(draw(many)) == {"by_rate", "by_rate_zeroed"}
    assert len(draw({"a": RANDOM, "b": ZERO})["map_zeroed"].axes) == 2  # a map and its bar


def test_a_map_has_steps_upwards_rates_to_the_right_and_marks_on_the_best_the_as_good_and_the_usual():
    axes = draw({"a": RANDOM})["map"].axes[0]
    assert np.asarray(axes.images[0].get_array()).shape == (2, 4)
    assert axes.images[0].get_array()[1, 3] == pytest.approx(70)
    marks = {(line.get_marker(), float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in axes.lines}
    assert {("*", 3.0, 1.0), ("o", 3.0, 1.0)} <= marks


def test_what_diverged_is_left_grey_with_a_cross():
    lost = replace(RANDOM, as_trained=arm_of([[0.2, np.nan], [0.2, 0.1], [0.2, 0.5], [0.2, np.nan]]))
    figures = draw({"a": lost})
    crosses = [(text.get_position(), text.get_text()) for text in figures["map"].axes[0].texts]
    assert crosses == [((0, 1), "×"), ((3, 1), "×")]
    assert to_png(figures["by_rate"])


def test_a_grid_of_rates_shows_training_upwards_and_what_has_no_value():
    cells = (
        (Interval(0.2, 0.1, 3), None),
        (Interval(0.6, 0.1, 3), Interval(0.7, 0.1, 3)),
    )
    axes = grid(RateGrid((-0.1, 0.1), (-0.1, 0.1), 1, cells, (1, 1), ((1, 0), (1, 1)), (0, 1, 2), 0.2)).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["-0.1", "0.1"]
    assert [text.get_position() for text in axes.texts] == [(1, 0)]
    marks = {
        (line.get_marker(), line.get_xdata()[0], line.get_ydata()[0])
        for line in axes.lines
        if line.get_marker() in "*."
    }
    assert marks == {("*", 1, 1), (".", 0, 1)}


@pytest.mark.parametrize("rates", [RATES, (-0.4, -0.1, 0.1, 0.4), (-1e30, -0.1, 0.1, 1e30)])
def test_every_axis_of_rates_has_ticks_of_both_signs(rates):
    ticks = draw({"a": replace(RANDOM, rates=rates, test_lr=0.1)})["by_rate"].axes[0].get_xticks()
    assert set(ticks) <= set(rates)
    assert {np.sign(tick) for tick in ticks} == {-1, 1}


def test_the_smallest_of_many_rates_has_no_tick_since_both_signs_would_touch():
    rates = (-10.0, -0.1, -0.001, 0.001, 0.1, 10.0)
    rows = [[0.2, 0.1]] * 6
    axes = draw({"a": replace(RANDOM, rates=rates, as_trained=arm_of(rows), zeroed=arm_of(rows))})["by_rate"].axes[0]
    assert sorted(axes.get_xticks()) == [-10.0, -0.1, 0.1, 10.0]
