from dataclasses import replace

import pytest

from innerloop.analysis.memorization import Agreement, Memorization, RowChanges
from innerloop.analysis.slots import Slots
from innerloop.figures import memorization as figures
from innerloop.report.said import memorization
from innerloop.statistics import Interval


def at(mean, half_width=0.01):
    return Interval(mean, half_width, 100)


def change(own=0.9, rank=5.0, in_span=1.0):
    return RowChanges(at(0.7), at(-0.1), at(own), at(-0.2), at(0.95), at(in_span, 0.0), at(rank, 0.0))


def slots(survives=None, survives_before=None):
    return Slots(at(0.5), at(0.25), at(0.8), at(0.6), survives_before, survives)


def result(**changes):
    agree = Agreement(at(0.9), at(0.75))
    plain = Memorization(
        labels="shuffled",
        adapts="all",
        loss="cross_entropy",
        inner_lr=0.4,
        inner_steps=1,
        ways=5,
        shots=1,
        features=64,
        chance=0.2,
        before=(change(),),
        moved=(change(own=0.4),),
        head=at(0.8),
        inner_product=agree,
        euclidean=replace(agree, accuracy=at(0.85)),
        cosine=agree,
        slots=slots(at(0.99, 0.02)),
    )
    return replace(plain, **changes)


def test_directions_are_those_after_the_last_step():
    said = memorization.say({"a": result(before=(change(own=0.1), change(own=0.8)))})
    assert "a cosine of 0.80 ± 0.01 with the mean support feature of its own class, -0.20 ± 0.01" in said
    assert "0.95 ± 0.01 with its own less the mean of all, for the a." in said


def test_how_much_of_the_span_comes_for_free_is_said():
    said = memorization.say({"a": result(), "b": result(before=(change(rank=64.0),))})
    assert "100.0 ± 0.0% for the a, whose span has 5 of 64 dimensions, in which a random direction has 8%" in said
    assert "100.0 ± 0.0% for the b, whose span fills all 64 dimensions, so that it could lie nowhere else" in said


def test_rows_that_did_not_change_are_said_to_have_not():
    said = memorization.say({"a": result(before=(RowChanges(*[None] * 7),))})
    assert said.startswith("No row of a head changed in the inner loop.\nThe adapted head names")


@pytest.mark.parametrize(
    ("survives", "words"),
    [
        (at(0.6, 0.1), "60.0 ± 10.0% of what it has above chance survives, and the rest hung on the slots."),
        (at(0.97, 0.1), "survives, no loss that these episodes can tell."),
        (at(1.2, 0.1), "120.0 ± 10.0% of what it has above chance survives, no loss that these episodes can tell."),
        (at(1.0, 0.0), "all of what it has above chance survives, in every episode."),
        (None, "that is not clearly above chance, so that there is nothing to lose."),
    ],
)
def test_what_survives_permuted_slots_is_said_as_the_intervals_allow(survives, words):
    said = memorization.say({"a": result(slots=slots(survives))})
    assert (
        "The a is right about 80.0 ± 1.0% of queries after adaptation, and 60.0 ± 1.0% with the slots permuted: "
        in said
    )
    assert said.endswith(words)
    assert "fixed" not in said


@pytest.mark.parametrize(
    ("survives_before", "words"),
    [
        (at(0.1, 0.1), "it has memorised slots."),
        (at(0.95, 0.1), "no loss that these episodes can tell."),
        (None, "it has not clearly memorised the slots of these classes."),
    ],
)
def test_fixed_slots_are_the_memorisation_test(survives_before, words):
    said = memorization.say({"a": result(labels="fixed", slots=slots(at(0.6, 0.1), survives_before))})
    assert "The a was trained with fixed slots, in which it can memorise which class sits where; it is right" in said
    assert "Before adaptation it is 50.0 ± 1.0%, and 25.0 ± 1.0% with the slots permuted: " in said
    assert said.endswith(words)


def test_captions_are_there_for_every_figure_and_name_the_most_accurate():
    results = {"a": result(), "b": result(head=at(0.9), adapts="head", moved=(change(),))}
    captions = memorization.captions(results)
    assert captions.keys() == figures.draw(results).keys()
    assert captions["accuracy"].startswith(
        "The highest mean accuracy is 85.0 ± 1.0% by the centroid by Euclidean distance for the a; "
        "90.0 ± 1.0% by the adapted head for the b."
    )
    assert captions["cosines"].endswith("goes from 0.90 ± 0.01 to 0.40 ± 0.01 for the a.")
    assert "exactly 1" in captions["cosines"]
    assert "exactly 1" not in memorization.captions({"a": result(loss="mse")})["cosines"]


def test_equally_accurate_ones_are_named_together():
    tied = {"a": result(head=at(0.85))}
    assert (
        "85.0 ± 1.0% by the adapted head and the centroid by Euclidean distance for the a"
        in (memorization.captions(tied)["accuracy"])
    )
