import pytest

from assurances import related
from innerloop.figures.style import WIDTH, colour, to_png
from innerloop.figures.tasks import draw


def test_what_is_left_is_drawn_for_the_task_and_each_control_and_a_point_a_task_beside_its_accuracy():
    figures = draw({"a": related(), "b": related()})
    axes = figures["residuals"].axes[0]
    assert axes.get_xticklabels()[0].get_text() == "the task"
    for index in range(2):
        points = axes.containers[index].lines[0]
        assert list(points.get_ydata()) == pytest.approx([90, 92, 97, 98])
        assert points.get_color() == colour(index)
    line = figures["prediction"].axes[0].lines[0]
    assert list(line.get_xdata())[:2] == pytest.approx([80, 81])
    assert list(line.get_ydata())[:2] == pytest.approx([50, 52])


def test_the_map_has_every_task_and_pictures_of_a_few():
    axes = draw({"a": related()})["map"].axes[0]
    assert [len(each.get_offsets()) for each in axes.collections] == [4, 12]
    assert list(axes.collections[1].get_array()) == pytest.approx([50 + 2 * number for number in range(12)])
    assert len(axes.artists) == 1


def test_a_task_stands_above_those_that_weigh_most_in_it_with_short_names():
    figure = draw({"a": related()})["neighbours"]
    assert figure.get_figwidth() == WIDTH
    assert [each.get_text() for each in figure.texts] == ["new task 5:\n64% right", "  weight 0.30\n  cosine 0.20"]
    names = [each.get_xlabel() for each in figure.axes]
    assert names[:3] == ["Gujarati 27", "plain", "Old_Chur 01"]


def test_without_pictures_or_a_map_the_rest_is_drawn():
    assert set(draw({"a": related(pictures=0)})) == {"residuals", "prediction", "map"}
    assert set(draw({"a": related(pictures=0, map=None)})) == {"residuals", "prediction"}
    assert set(draw({"a": related(observations=1, map=None)})) == {"residuals", "neighbours"}


def test_six_runs_are_drawn_with_every_legend_inside():
    for figure in draw({f"omniglot 5w1s fomaml m{number}": related() for number in range(6)}).values():
        assert to_png(figure)[:4] == b"\x89PNG"
        assert all(each.get_window_extent().x1 <= WIDTH * figure.dpi for each in figure.legends)
