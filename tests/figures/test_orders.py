from dataclasses import fields, replace

from innerloop.analysis.orders import Norms, Orders
from innerloop.figures.orders import draw
from innerloop.figures.style import WIDTH, to_png
from innerloop.statistics import Interval


def interval(mean, width=0.01, observations=20):
    return Interval(mean, width, observations)


def orders(curvature=0.3, **changes):
    measured = {each.name: interval(0.5) for each in fields(Orders) if each.type == Interval | None}
    second = Norms(interval(0.1), interval(0.2), interval(0.4), interval(curvature))
    first = replace(second, support_contrast=interval(0.0, 0.0), support_curvature=interval(0.0, 0.0))
    return replace(Orders("second", 1, False, first, second, **measured), **changes)


def heights(axes):
    return [bar.get_height() for bar in axes.patches]


def test_first_order_has_no_bars_at_the_support_where_second_order_has_them_at_one_scale():
    figure = draw({"a": orders(), "b": orders(curvature=0.0)})["parts"]
    above, below = figure.axes
    assert heights(above) == [0.1, 0.2, 0.1, 0.2]
    assert heights(below) == [0.1, 0.2, 0.4, 0.3, 0.1, 0.2, 0.4]
    assert above.get_ylim() == below.get_ylim()
    assert [each.get_title(loc="left") for each in figure.axes] == ["first order", "second order"]
    assert [each.get_text() for each in figure.legends[0].get_texts()] == ["a", "b"]


def test_added_shows_three_cosines_and_no_bar_for_what_is_not_defined():
    axes = draw({"a": orders(cosine_split=interval(0.9), cosine_sides=None)})["added"].axes[0]
    assert heights(axes) == [0.9, 0.5]


def test_six_runs_of_long_names_and_one_episode_are_drawn_with_every_legend_inside():
    single = Interval(0.3, float("inf"), 1)
    nothing = Norms(single, None, None, None)
    results = {f"omniglot 5w1s fomaml zeroing {n}": orders(first=nothing, second=nothing) for n in range(6)}
    for figure in draw(results).values():
        assert to_png(figure)[:4] == b"\x89PNG"
        assert figure.legends[0].get_window_extent().x1 <= WIDTH * figure.dpi
        assert len(figure.legends[0].get_texts()) == 6
