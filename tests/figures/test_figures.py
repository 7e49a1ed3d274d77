from matplotlib.backends.backend_agg import FigureCanvasAgg

from innerloop.figures import episode
from innerloop.figures.style import colour, curves, short, to_svg
from worlds import image_episode


def test_the_same_figure_is_the_same_bytes():
    first, again = (to_svg(curves({"a": ([0, 1], [0.1, 0.2])}, "accuracy, %", percent=True)) for _ in range(2))
    assert first == again
    assert first.startswith("<?xml")


def test_letters_that_the_font_does_not_have_are_no_complaint():
    assert to_svg(curves({"a": ([0, 1], [0.1, 0.2])}, "漢字")).startswith("<?xml")


def test_curves_are_drawn_in_percent_where_asked_and_the_axis_can_start_at_zero():
    axes = curves({"a": ([0, 1], [0.1, 0.2]), "b": ([0, 1], [0.3, 0.4])}, "y", percent=True, zero=True).axes[0]
    assert list(axes.lines[0].get_ydata()) == [10, 20]
    assert [line.get_color() for line in axes.lines] == [colour(0), colour(1)]
    assert axes.get_ylim()[0] == 0


def test_an_episode_is_drawn_with_a_row_a_class_and_ink_dark():
    figure = episode.draw(image_episode(n_way=3, k_shot=2, n_queries=3))
    assert len(figure.axes) == 3 * (2 + 3)
    assert titles(figure) == ["support", "query"]


def titles(figure):
    return [axes.get_title(loc="left") for axes in figure.axes if axes.get_title(loc="left")]


def test_a_sheet_has_large_images_whatever_the_names_and_says_where_not_all_is_shown():
    made = image_episode(n_way=2, k_shot=6, n_queries=9)
    plain, named = (episode.draw(made, class_names=names) for names in (None, ["a", 40 * "long/" + "telling end"]))
    widths = {round(axes.get_position().width, 6) for figure in (plain, named) for axes in figure.axes}
    assert len(widths) == 1
    assert min(widths) * (5 + 7 + 1) > 0.9
    assert len(named.axes) == 2 * (5 + 7)
    assert titles(plain) == ["support (5 of 6)", "query (7 of 9)"]
    assert [text.get_text() for text in named.texts] == ["support (5 of 6) on the left; query (7 of 9) on the right"]
    assert titles(named)[0] == "a"
    renderer = FigureCanvasAgg(named).get_renderer()
    for axes in named.axes:
        assert axes.title.get_window_extent(renderer).x1 <= named.bbox.x1
        assert axes._left_title.get_window_extent(renderer).x1 <= named.bbox.x1
    assert titles(named)[1].endswith("telling end")


def test_values_outside_zero_to_one_are_scaled_by_their_range():
    made = image_episode(n_way=2, k_shot=1, n_queries=1)
    shown = [axes.images[0].get_array() for axes in episode.draw(made).axes]
    assert (min(each.min() for each in shown), max(each.max() for each in shown)) == (0, 1)


def test_only_grey_and_colour_images_are_pictures():
    assert episode.is_picture((1, 8, 8))
    assert episode.is_picture((3, 8, 8))
    assert not any(map(episode.is_picture, [(2, 8, 8), (8, 8, 3), (8,), (1, 8)]))


def test_a_long_class_name_keeps_the_end_that_tells_it_apart():
    assert short("images_evaluation/Angelic/character07") == "character07"
    assert short("n02106662_german_shepherd") == "…n_shepherd"
