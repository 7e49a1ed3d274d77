from innerloop.figures.head_memory import draw
from remembered import LOOPED, SILENT, SINGLE


def test_batches_and_training_are_drawn_where_there_are_several():
    assert list(draw({"a": LOOPED})) == ["share", "by_batch", "over_training"]
    assert list(draw({"a": SINGLE})) == ["share"]


def test_lines_have_the_colour_of_their_run_and_no_point_where_nothing_is_defined():
    figures = draw({"one": SINGLE, "two": LOOPED})
    alone = draw({"two": LOOPED})
    line = figures["over_training"].axes[0].lines[0]
    assert list(line.get_ydata()) == [3.0, 10.0]
    assert line.get_color() != alone["over_training"].axes[0].lines[0].get_color()


def test_nothing_is_drawn_by_batch_or_over_training_of_runs_that_say_nothing_there():
    assert list(draw({"a": SILENT})) == ["share"]
    figures = draw({"a": SILENT, "b": LOOPED})
    assert list(figures) == ["share", "by_batch", "over_training"]
    assert [figures[name].axes[0].get_legend_handles_labels()[1] for name in ("by_batch", "over_training")] == [
        ["b"]
    ] * 2
