from dataclasses import replace

import pytest

from innerloop.analysis import Subject
from innerloop.analysis.cosine import Pair, measure
from innerloop.figures import cosine
from innerloop.figures.style import to_svg
from worlds import algorithm_of, conv_learner, image_episode, probes_of


@pytest.fixture(scope="module")
def result():
    learner, params = conv_learner(filters=8)
    algorithm = algorithm_of("maml", learner, lr=0.4)
    return measure(Subject(algorithm, algorithm, params, probes_of([image_episode(seed=seed) for seed in range(2)])))


def many(result, count):
    return {f"run {number}": result for number in range(count)}


@pytest.mark.parametrize("count", [1, 2, 3, 6])
def test_every_figure_is_drawn_for_one_run_and_for_several(result, count):
    drawn = cosine.draw(many(result, count))
    assert list(drawn) == ["pairs", "classes", "products"]
    assert all(to_svg(figure).startswith("<?xml") for figure in drawn.values())
    maps = [axes for axes in drawn["classes"].axes if axes.images]
    assert len(maps) == min(count, 4)
    assert len(drawn["products"].axes) == 2 * min(count, 2)


def test_a_run_without_a_linear_head_has_no_products_and_others_keep_theirs(result):
    none = replace(result, products=None)
    assert list(cosine.draw({"none": none})) == ["pairs", "classes"]
    products = cosine.draw({"none": none, "a": result})["products"]
    assert [axes.get_title() for axes in products.axes] == ["a: logits", "probabilities"]


def test_points_stand_at_the_means_and_the_line_between_them_is_the_gap(result):
    lines = cosine.pairs({"one": result}).axes[0].lines
    gaps = [line for line in lines if line.get_linewidth() == 2.4]
    kinds = (result.query_support, result.query_query, result.support_support, result.adapted)
    assert [list(line.get_ydata()) for line in gaps] == [[each.same.mean, each.different.mean] for each in kinds]
    hollow = [line.get_ydata()[0] for line in lines if line.get_markerfacecolor() == "white"]
    assert hollow == [each.different.mean for each in kinds]


def test_pairs_that_are_not_there_are_not_drawn(result):
    lonely = replace(result, support_support=Pair(None, result.support_support.different, None))
    lines = cosine.pairs({"one": lonely}).axes[0].lines
    assert len([line for line in lines if line.get_linewidth() == 2.4]) == 3


def test_maps_share_one_scale_and_show_what_was_measured(result):
    lower = replace(result, by_class=tuple(tuple(value - 1 for value in row) for row in result.by_class))
    figure = cosine.classes({"one": result, "lower": lower})
    images = [axes.images[0] for axes in figure.axes if axes.images]
    values = [value for row in result.by_class for value in row]
    assert [image.get_clim() for image in images] == [(min(values) - 1, max(values))] * 2
    assert images[0].get_array().tolist() == [list(row) for row in result.by_class]


def test_products_stand_as_numbers_in_the_cells_beside_the_target_of_squared_error(result):
    squared = replace(result, products=replace(result.products, loss="mse", predicted=result.products.logits))
    left, right = cosine.draw({"one": squared})["products"].axes
    assert [text.get_text() for text in left.texts] == [f"{v:z.2f}" for row in result.products.logits for v in row]
    assert [text.get_text() for text in right.texts] == [f"{float(i == j):.2f}" for i in range(3) for j in range(3)]
    assert right.get_title() == "target"
    beside = cosine.draw({"one": result})["products"].axes[1]
    assert [text.get_text() for text in beside.texts] == [f"{v:.2f}" for row in result.products.predicted for v in row]


def test_many_classes_have_neither_names_nor_numbers_and_a_missing_one_no_colour(result):
    rows = tuple(tuple(None if row == 3 else 0.1 * row for _ in range(24)) for row in range(24))
    wide = replace(
        result,
        classes=tuple(f"class {number}" for number in range(24)),
        by_class=rows,
        products=replace(result.products, logits=rows, predicted=rows),
    )
    drawn = cosine.draw({"one": wide})
    assert all(not axes.texts and not axes.get_yticklabels() for axes in drawn["products"].axes)
    assert all(not axes.get_xticklabels() for axes in drawn["classes"].axes if axes.images)
    assert all(to_svg(figure) for figure in drawn.values())


def test_class_names_are_shortened_to_what_tells_them_apart():
    letters = ["GREEK CAPITAL LETTER XI", "GREEK SMALL LETTER XI", "GREEK SMALL LETTER ALPHA WITH TONOS"]
    assert cosine.shortened(letters) == ["CAPITAL XI", "SMALL XI", "SMA…TONOS"]
    assert cosine.shortened(["Korean/character01", "Korean/character02"]) == ["char…ter01", "char…ter02"]
    assert cosine.shortened(["cat", "dog"]) == ["cat", "dog"]
    assert cosine.shortened(["same", "same"]) == ["same", "same"]
