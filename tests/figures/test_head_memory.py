from dataclasses import replace

from innerloop.analysis.head_memory import HeadMemory, Then
from innerloop.figures.head_memory import draw
from innerloop.statistics import Interval


def of(mean):
    return Interval(mean, 0.01, 5)


LOOPED = HeadMemory(
    "entropy",
    True,
    3,
    0.01,
    of(0.1),
    of(0.9),
    of(0.0),
    of(0.1),
    of(0.05),
    (of(0.0), of(0.1), of(0.2)),
    of(1.0),
    of(0.6),
    (Then(0, of(0.03)), Then(1, None), Then(50, of(0.1))),
)
SINGLE = replace(LOOPED, order="first", is_joint=False, batches=2, by_batch=(None, of(0.4)), over_training=())


def test_batches_and_training_are_drawn_where_there_are_several():
    assert list(draw({"a": LOOPED})) == ["share", "by_batch", "over_training"]
    assert list(draw({"a": SINGLE})) == ["share"]


def test_lines_have_the_colour_of_their_run_and_no_point_where_nothing_is_defined():
    figures = draw({"one": SINGLE, "two": LOOPED})
    alone = draw({"two": LOOPED})
    line = figures["over_training"].axes[0].lines[0]
    assert list(line.get_ydata()) == [3.0, 10.0]
    assert line.get_color() != alone["over_training"].axes[0].lines[0].get_color()
