import pytest

from innerloop.figures import sweep
from innerloop.figures.style import to_svg
from innerloop.statistics import Interval

ACCURACY = ("validation", "accuracy")


def test_a_cell_is_a_line_of_means_with_a_band_where_there_are_two_seeds():
    bands = {
        "a": [(0, Interval(0.2, 0.1, 2)), (5, Interval(0.5, 0.1, 2))],
        "b": [(0, Interval(0.3, float("inf"), 1)), (5, Interval(0.4, float("inf"), 1))],
    }
    axes = sweep.over_training(bands, ACCURACY, (0.1, 0.6)).axes[0]
    assert [list(line.get_ydata()) for line in axes.lines] == [[20, 50], [30, 40]]
    extents = [each.get_datalim(axes.transData) for each in axes.collections]
    assert (extents[0].y0, extents[0].y1) == pytest.approx((10, 60))
    assert not [path for path in axes.collections[1].get_paths() if len(path.vertices)]
    assert axes.get_ylim() == pytest.approx((10, 60))


def test_what_is_no_share_is_drawn_as_it_is_under_its_own_name():
    axes = sweep.over_training({"a": [(0, Interval(0.2, 0.1, 2))]}, ("contrast", "cosine_split"), (0.0, 1.0)).axes[0]
    assert axes.get_ylabel() == "contrast: cosine split"
    assert list(axes.lines[0].get_ydata()) == [0.2]


def test_a_value_that_was_not_tested_is_a_gap_and_an_unknown_width_no_interval():
    series = {"x": {"M1": Interval(0.5, 0.1, 3), "M2": None, "M3": Interval(0.7, float("inf"), 1)}}
    axes = sweep.by_value(series, "steps", "accuracy, %", (0.0, 1.0), percent=True).axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["M1", "M2", "M3"]
    assert list(axes.lines[0].get_xdata()) == [0, 2]
    assert list(axes.lines[0].get_ydata()) == pytest.approx([50, 70])
    bars = axes.collections[0].get_segments()
    assert [end[1] - start[1] for start, end in bars] == pytest.approx([20, 0])


def test_an_axis_spans_all_values_and_starts_at_zero_where_asked_and_true():
    assert sweep.limits([1.0, 2.0]) == pytest.approx((0.94, 2.06))
    assert sweep.limits([1.0, 2.0], zero=True)[0] == 0
    assert sweep.limits([-1.0, 2.0], zero=True)[0] < -1
    low, high = sweep.limits([0.0])
    assert low < 0 < high


@pytest.mark.parametrize("length", [2, 15, 200])
def test_the_legend_stays_inside_the_figure_however_long_the_names(length):
    bands = {f"{index}{'w' * length}{index}": [(0, Interval(0.2, 0.1, 2))] for index in range(sweep.MOST)}
    figure = sweep.over_training(bands, ACCURACY, (0.0, 1.0))
    to_svg(figure)  # lays it out
    box = figure.legends[0].get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.x1
    assert figure.axes[0].get_window_extent().height > 0.4 * sweep.HEIGHT * figure.dpi
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(set(names)) == sweep.MOST


def test_a_single_line_needs_no_legend():
    assert not sweep.over_training({"a": [(0, Interval(0.2, 0.1, 2))]}, ACCURACY, (0.0, 1.0)).legends
