from dataclasses import fields, replace

import pytest

from innerloop.analysis.orders import Norms, Orders
from innerloop.figures.orders import draw
from innerloop.report.said.orders import captions, say
from innerloop.statistics import Interval


def interval(mean, width=0.01, observations=20):
    return Interval(mean, width, observations)


def orders(**changes):
    measured = {each.name: interval(0.5) for each in fields(Orders) if each.type == Interval | None}
    norms = Norms(*[interval(0.1)] * 4)
    return replace(Orders("second", 1, False, norms, norms, **measured), **changes)


RANDOM = orders(
    share_support_contrast=interval(0.237, 0.042),
    share_support_curvature=interval(0.077, 0.026),
    cosine_true=interval(0.06),
    cosine_split=interval(0.81),
    cosine_head=interval(0.99),
    ratio_head=interval(1.05),
    equation_8_error=interval(0.439, 0.025),
)
ZEROING = orders(
    is_exact=True,
    share_support_contrast=interval(0.708, 0.031),
    share_support_curvature=interval(0.0, 0.0),
    cosine_true=interval(0.53),
    cosine_split=interval(0.53),
    equation_8_error=interval(0.0, 0.0),
)


def test_what_the_second_order_adds_is_said_by_term_for_every_run():
    said = say({"random": RANDOM, "zeroing": ZEROING})
    assert (
        "makes 23.7 ± 4.2% by contrast and 7.7 ± 2.6% by curvature for the random; "
        "70.8 ± 3.1% by contrast and nothing by curvature for the zeroing." in said
    )
    assert (
        "true gradients of first and second order is 0.06 ± 0.01 for the random and 0.53 ± 0.01 for the zeroing; "
        "with the encoder held still, it is 0.81 ± 0.01 for the random." in said
    )
    assert "of the head it is 0.99 ± 0.01 for the random, first order being 1.05 ± 0.01 times as large;" in said
    assert said.endswith("relative to its norm, 43.9 ± 2.5% for the random and nothing for the zeroing.")


@pytest.mark.parametrize(("mean", "words"), [(-0.1, True), (0.1, False)])
def test_a_part_that_works_against_the_whole_is_said_to(mean, words):
    said = say({"a": replace(RANDOM, share_support_curvature=interval(mean))})
    assert ("(below 0 works against it)" in said) == words
    assert f"{100 * mean:.1f} ± 1.0% by curvature for the a" in said


def test_what_is_not_defined_is_left_out_and_what_adds_nothing_is_said_to():
    nothing = dict.fromkeys(each.name for each in fields(Orders) if each.type == Interval | None)
    assert say({"a": orders(**nothing)}) == ""
    still = replace(RANDOM, share_support_contrast=interval(0.0, 0.0), share_support_curvature=interval(0.0, 0.0))
    said = say({"a": replace(still, equation_8_error=None)})
    assert "makes nothing for the a." in said
    assert "Equation 8" not in said
    assert "one episode" in say({"a": replace(RANDOM, cosine_true=Interval(0.1, float("inf"), 1))})


def test_every_figure_has_a_caption_that_names_exact_runs():
    results = {"random": RANDOM, "zeroing": ZEROING}
    said = captions(results)
    assert set(said) == set(draw(results))
    assert "Both are one and the same for the zeroing, whose encoder stands still" in said["added"]
    assert "0.50 ± 0.01 for the random and 0.50 ± 0.01 for the zeroing" in said["added"]
    alone = captions({"random": replace(RANDOM, cosine_sides=None)})["added"]
    assert "one and the same" not in alone
    assert "both sides" not in alone
