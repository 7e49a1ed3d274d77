from innerloop.figures import episode
from innerloop.figures.style import colour, curves, to_svg
from worlds import image_episode


def test_the_same_figure_is_the_same_bytes():
    first, again = (to_svg(curves({"a": ([0, 1], [0.1, 0.2])}, "accuracy, %", percent=True)) for _ in range(2))
    assert first == again
    assert first.startswith("<?xml")


def test_curves_are_drawn_in_percent_where_asked_and_the_axis_can_start_at_zero():
    axes = curves({"a": ([0, 1], [0.1, 0.2]), "b": ([0, 1], [0.3, 0.4])}, "y", percent=True, zero=True).axes[0]
    assert list(axes.lines[0].get_ydata()) == [10, 20]
    assert [line.get_color() for line in axes.lines] == [colour(0), colour(1)]
    assert axes.get_ylim()[0] == 0


def test_an_episode_is_drawn_with_a_row_a_class_and_ink_dark():
    figure = episode.draw(image_episode(n_way=3, k_shot=2, n_queries=3))
    assert len(figure.axes) == 3 * (2 + 3)
    assert [axes.get_title(loc="left") for axes in figure.axes if axes.get_title(loc="left")] == ["support", "query"]
