from dataclasses import replace

from innerloop.analysis.head_memory import HeadMemory, Then
from innerloop.report.said.head_memory import captions, say
from innerloop.statistics import Interval


def of(mean):
    return Interval(mean, 0.01, 5)


MIXED = HeadMemory(
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


def test_a_mixed_signal_is_told_by_both_shares_signs_and_its_course():
    said = say({"learner": MIXED})
    assert "contrast with remembered examples for 10.0 ± 1.0% of the norms (5.0 ± 1.0% along the gradient)" in said
    assert "100.0 ± 1.0% of the examples of the same class and to 60.0 ± 1.0% of others" in said
    assert "3.0 ± 1.0% after 0 outer steps and 10.0 ± 1.0% after 50 outer steps" in said
    assert "noise" not in said


def test_pure_contrast_no_contrast_and_nothing_at_all_are_told_in_words():
    pure = replace(MIXED, interference=Interval(0.0, 0.0, 5))
    none = replace(MIXED, contrast=Interval(0.0, 0.0, 5), attracting_same=None, attracting_other=None)
    silent = replace(MIXED, share=None)
    assert "is contrast with remembered examples alone" in say({"a": pure})
    assert "has no contrast with remembered examples" in say({"a": none})
    assert "draws" not in say({"a": none})
    assert say({"a": silent}) == "Nothing in the a's inner loop trains its encoder: its head says nothing of features."


def test_noise_that_counts_is_told():
    assert "noise in the head adds 10% of both" in say({"a": replace(MIXED, rest=of(0.1))})


def test_every_figure_has_its_caption():
    assert list(captions({"a": MIXED})) == ["share", "by_batch", "over_training"]
    assert list(captions({"a": replace(MIXED, batches=2, over_training=())})) == ["share"]
    assert "over inner loops" in captions({"a": MIXED})["share"]
    assert "over episodes or inner loops" in captions({"a": MIXED, "b": replace(MIXED, is_joint=False)})["share"]
