from dataclasses import replace

import numpy as np
import pytest

from innerloop.analysis.landscape import Bend, Landscape, Layer, Line, Mark, Slice, Surface
from innerloop.analysis.spectrum import Spectrum
from innerloop.figures.landscape import draw, heights, is_wide, levels
from innerloop.figures.style import WIDTH, to_png
from innerloop.statistics import Interval

SIDE = (-1.0, 0.0, 1.0)


def one(value, observations=3):
    return Interval(value, 0.2 * abs(value), observations)


def surface(of, losses, marks=1):
    return Surface(of, tuple(tuple(row) for row in losses), (0.5,) * marks)


def plane(name, of=("support loss", "query loss"), marks=((0.0, 0.0),), explained=None):
    losses = [[2.0, 1.0, 2.0], [1.5, 0.01, 1.5], [2.0, None, 3.0]]
    named = tuple(Mark(str(number), at) for number, at in enumerate(marks))
    return Slice(name, SIDE, SIDE, tuple(surface(each, losses, len(marks)) for each in of), named, explained)


PATH = ((-1.0, 0.5), (0.2, 0.8), (0.0, 0.0))
RESULT = Landscape(
    1,
    10,
    (0, 1, 2),
    3,
    tuple(
        Line(name, SIDE, tuple(map(one, (2.0, 1.0, 0.05))), (one(2.0), one(1.0), None))
        for name in ("start", "adapted", "between")
    ),
    (
        plane("start"),
        plane("adapted"),
        plane("inner path", marks=PATH, explained=(0.8, 0.15)),
        plane("tasks", of=("query loss of task A", "query loss of task B"), marks=PATH),
        plane("outer path", of=("query loss after adapting",), marks=PATH, explained=(0.6, 0.3)),
    ),
    tuple(
        Bend(episode, place, of, Spectrum(2, (5.0 + episode, 1.0), (1e-6, 1e-5), 20, one(3.0)))
        for episode in range(3)
        for place in ("start", "adapted")
        for of in ("support", "query")
    ),
    (
        Layer("body.weight", "body", one(1.0), one(0.5), one(0.1), one(0.2)),
        Layer("head.weight", "head", one(2.0), one(1e-12), None, one(0.3)),
    ),
    (),
)


def test_one_run_has_a_figure_a_plane_with_its_losses_side_by_side():
    figures = draw({"a": RESULT})
    assert list(figures) == [
        *("start", "adapted", "inner_path", "tasks", "outer_path", "relief", "lines", "hessian", "layers")
    ]
    assert [len(figures[name].axes) for name in ("start", "tasks", "outer_path", "relief")] == [2, 2, 1, 2]
    assert [axes.get_title(loc="left") for axes in figures["start"].axes] == ["support loss", "query loss"]
    assert all(figure.get_figwidth() == WIDTH for figure in figures.values())


def test_several_runs_have_a_column_each_and_more_than_three_another_figure():
    figures = draw({"a": RESULT, "b": RESULT})
    assert [axes.get_title(loc="left") for axes in figures["start"].axes] == [
        *("support loss\na", "support loss\nb", "query loss\na", "query loss\nb")
    ]
    many = draw(dict.fromkeys("abcd", RESULT))
    assert [len(many[name].axes) for name in ("start", "start_2")] == [6, 2]
    assert {"relief", "relief_2", "relief_3", "relief_4"} <= set(many)


def test_a_path_is_drawn_through_its_points_and_tasks_as_two_ways_from_one_start():
    figures = draw({"a": RESULT})
    x, y = zip(*PATH, strict=True)
    for name in ("inner_path", "outer_path"):
        lines = figures[name].axes[0].lines
        assert (tuple(lines[0].get_xdata()), tuple(lines[0].get_ydata())) == (x, y)
        assert figures[name].axes[0].get_xlabel().endswith("% of variance")
    ways = figures["tasks"].axes[0].lines[:2]
    assert [tuple(way.get_xdata()) for way in ways] == [(x[0], x[1]), (x[0], x[2])]


def test_heights_are_ratios_where_losses_differ_in_their_powers_and_even_where_not():
    wide = heights(plane("start").surfaces[0])
    assert np.isnan(wide[2, 1])
    assert is_wide(wide)
    steps = levels(wide)
    assert steps[1:] / steps[:-1] == pytest.approx([steps[1] / steps[0]] * 10)
    assert (steps[0], steps[-1]) == (pytest.approx(0.01), pytest.approx(3.0))
    even = levels(np.array([[1.0, 2.0], [1.5, 2.0]]))
    assert np.diff(even) == pytest.approx([0.1] * 10)
    negative = levels(np.array([[-5.0, 2.0], [0.0, 2.0]]))
    assert (negative[0], negative[-1]) == (-5.0, 2.0)


def test_a_plain_and_a_surface_without_a_number_are_drawn():
    for losses in ([[1.6] * 3] * 3, [[None] * 3] * 3):
        flat = replace(plane("start"), surfaces=(surface("query loss", losses),))
        for figure in draw({"a": replace(RESULT, slices=(flat,))}).values():
            assert to_png(figure)[:4] == b"\x89PNG"


def test_what_is_left_out_has_no_figure_and_rounding_no_dot():
    figures = draw({"a": replace(RESULT, slices=(), lines=(), bends=())})
    assert list(figures) == ["lines", "hessian", "layers"]
    left, right = figures["layers"].axes
    assert sum(len(line.get_xdata()) for line in left.lines if line.get_marker() == "o") == 3  # not the 1e-12
    assert sum(len(line.get_xdata()) for line in right.lines if line.get_marker() == "o") == 3  # not the None


def test_eigenvalues_have_a_dot_an_episode_and_a_line_through_their_medians():
    axes = draw({"a": RESULT})["hessian"].axes[0]
    medians = [line for line in axes.lines if line.get_linestyle() in ("-", "--")]
    assert [list(line.get_ydata()) for line in medians] == [[6.0, 1.0]] * 2
    assert axes.get_yscale() == "log"
    below = tuple(replace(each, spectrum=replace(each.spectrum, eigenvalues=(5.0, -1.0))) for each in RESULT.bends)
    assert draw({"a": replace(RESULT, bends=below)})["hessian"].axes[0].get_yscale() == "symlog"
