from dataclasses import replace

import pytest

from innerloop.analysis.cosine import Pair, Separation
from innerloop.analysis.products import Products
from innerloop.figures import cosine as figures
from innerloop.report.said import cosine
from innerloop.statistics import Interval


def at(mean):
    return Interval(mean, 0.01, 100)


def pair(same, different):
    return Pair(at(same), at(different), at(same - different))


SQUARE = ((0.9, 0.2), (0.4, 0.3))


def result(**changes):
    plain = Separation(
        inner_lr=0.4,
        inner_steps=1,
        adapts="all",
        query_support=pair(0.5, 0.2),
        query_query=pair(0.6, 0.2),
        support_support=pair(0.7, 0.2),
        adapted=pair(0.4, 0.3),
        number=0,
        classes=("cat", "dog"),
        by_class=SQUARE,
        products=Products("cross_entropy", 0.4, SQUARE, SQUARE, 1.25, 1.25),
    )
    return replace(plain, **changes)


def test_the_gap_and_where_adaptation_takes_it_are_said():
    said = cosine.say({"a": result()})
    assert "0.50 ± 0.01 within a class and 0.20 ± 0.01 between classes, a gap of 0.30 ± 0.01, for the a." in said
    assert "Adaptation takes the gap from 0.300 ± 0.010 to 0.100 ± 0.010 for the a." in said


@pytest.mark.parametrize(
    "still", [{"adapts": "head"}, {"inner_steps": 0}, {"inner_lr": 0.0}, {"adapted": pair(0.5, 0.2)}]
)
def test_features_that_stay_are_said_to(still):
    assert "In adaptation the features of the a stay where they are." in cosine.say({"a": result(**still)})
    both = cosine.say({"a": result(**still), "b": result()})
    assert "to 0.100 ± 0.010 for the b; the features of the a stay where they are." in both


def test_the_loss_of_products_and_of_the_algorithm_stand_side_by_side():
    said = cosine.say({"a": result(), "none": result(products=None)})
    assert said.endswith("of episode 0 is 1.25 from inner products alone and 1.25 by the algorithm itself for the a.")
    assert "inner products" not in cosine.say({"none": result(products=None)})


def test_captions_are_there_for_every_figure():
    for results in ({"a": result()}, {"a": result(products=None)}, {str(n): result() for n in range(6)}):
        assert cosine.captions(results).keys() == figures.draw(results).keys()


def test_what_is_not_drawn_is_said():
    captions = cosine.captions({str(n): result() for n in range(6)})
    assert "Drawn for the first 4 of 6 learners." in captions["classes"]
    assert "Drawn for the first 2 of 6 learners." in captions["products"]
    assert "Drawn" not in "".join(cosine.captions({"a": result(), "b": result()}).values())
    wide = tuple((0.1,) * 24 for _ in range(24))
    many = result(
        classes=tuple(map(str, range(24))), by_class=wide, products=Products("mse", 0.4, wide, wide, 1.0, 1.0)
    )
    captions = cosine.captions({"a": many})
    assert "Too many classes to name" in captions["classes"]
    assert "Too many slots to write the numbers." in captions["products"]


def test_captions_count_the_classes_nearest_to_their_own_support():
    assert "nearest to their own support: 1 of 2 for the a." in cosine.captions({"a": result()})["classes"]
    lonely = result(by_class=((0.9, 0.2), (None, None)))
    assert "nearest to their own support: 1 of 1 for the a." in cosine.captions({"a": lonely})["classes"]


def test_the_target_is_told_by_the_loss():
    squared = result(products=Products("mse", 0.4, SQUARE, SQUARE, 1.0, 1.0))
    assert "the target that squared error pulls them to." in cosine.captions({"a": squared})["products"]
    assert "softmax" not in cosine.captions({"a": squared})["products"]
    assert "softmax" in cosine.captions({"a": result()})["products"]


def test_one_shot_is_said_to_have_no_pairs_of_support():
    one = result(support_support=Pair(None, at(0.2), None))
    assert "0.40 ± 0.01 for two queries in the a. One shot has no two" in cosine.captions({"a": one})["pairs"]
    assert "One shot" not in cosine.captions({"a": result()})["pairs"]
