from dataclasses import replace

import pytest

from innerloop.figures.head_memory import draw
from innerloop.report.said.head_memory import captions, say
from innerloop.statistics import Interval
from remembered import LOOPED, SILENT, SINGLE, of


def test_a_mixed_signal_is_told_by_both_shares_signs_and_its_course():
    said = say({"learner": LOOPED})
    assert "contrast with remembered examples for 10.0 ± 1.0% of the norms (5.0 ± 1.0% along the gradient)" in said
    assert "100.0 ± 1.0% of the examples of the same class and to 60.0 ± 1.0% of others" in said
    assert "3.0 ± 1.0% after 0 outer steps and 10.0 ± 1.0% after 50 outer steps" in said
    assert "noise" not in said


def test_pure_contrast_no_contrast_and_nothing_at_all_are_told_in_words():
    pure = replace(LOOPED, interference=Interval(0.0, 0.0, 5))
    none = replace(LOOPED, contrast=Interval(0.0, 0.0, 5), attracting_same=None, attracting_other=None)
    assert "is contrast with remembered examples alone" in say({"a": pure})
    assert "has no contrast with remembered examples" in say({"a": none})
    assert "draws" not in say({"a": none})
    assert say({"a": SILENT}) == "Nothing in the a's inner loop trains its encoder: its head says nothing of features."


def test_noise_that_counts_is_told():
    assert "noise in the head adds 10% of both" in say({"a": replace(LOOPED, rest=of(0.1))})


@pytest.mark.parametrize("several", [(LOOPED,), (SINGLE,), (SILENT,), (SILENT, LOOPED), (SINGLE, SILENT)])
def test_every_figure_has_its_caption(several):
    results = dict(zip("ab", several, strict=False))
    assert list(captions(results)) == list(draw(results))


def test_captions_tell_inner_loops_from_episodes():
    assert "over inner loops" in captions({"a": LOOPED})["share"]
    assert "over episodes or inner loops" in captions({"a": LOOPED, "b": SINGLE})["share"]
