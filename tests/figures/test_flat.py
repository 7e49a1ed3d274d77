import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb

from innerloop.analysis.flat import Picture, mapped, stage
from innerloop.figures.flat import PALE, flattened, region, shade
from innerloop.figures.style import HEIGHT, to_png
from worlds import vector_episode


def picture(n_way=3, k_shot=2, zero=False, number=0):
    """An episode whose head is its class means, after a head of zeros or of the means turned round."""
    (support, labels), (query, targets) = vector_episode(n_way=n_way, k_shot=k_shot, n_queries=4)
    means = torch.stack([support[labels == slot].mean(0) for slot in range(n_way)])
    placed = mapped(support, labels, query)
    before, after = (
        stage(support, labels, query, weight, -weight.square().sum(1) / 2, placed)
        for weight in (0 * means if zero else means.flip(0), means)
    )
    classes = tuple(f"alphabet/character{slot:02}" for slot in range(n_way))
    return Picture(number, classes, tuple(labels.tolist()), tuple(targets.tolist()), before, after)


def test_the_region_of_a_point_is_the_class_of_its_largest_logit():
    after = picture().after
    found = region(after, (-2.0, 3.0, -1.0, 4.0), 6)
    for row, column in np.ndindex(6, 6):
        logits = np.array(after.slopes) @ (-2.0 + column, -1.0 + row) + np.array(after.offsets)
        assert found[row, column] == logits.argmax()
    assert len(set(found.flat)) == 3


@pytest.mark.parametrize("k_shot", [1, 2])
def test_points_have_their_classs_colour_and_misnamed_queries_are_crosses(k_shot):
    one = picture(k_shot=k_shot)
    before, after = flattened({"a": [one]}, "plane").axes
    for axes, here in ((before, one.before), (after, one.after)):
        for slot in range(3):
            drawn = {
                marker: sum(
                    len(each.get_xdata())
                    for each in axes.lines
                    if each.get_marker() == marker and each.get_color() == shade(slot)
                )
                for marker in "osx*"
            }
            named = [name for name, true in zip(here.named, one.query, strict=True) if true == slot]
            right = sum(name == slot for name in named)
            assert drawn == {"o": right, "x": 4 - right, "s": k_shot, "*": int(k_shot > 1)}
        assert len(axes.images) == 1


def test_a_head_that_says_nothing_has_no_ground_and_no_crosses_and_a_map_has_no_ground_at_all():
    before, after = flattened({"a": [picture(zero=True)]}, "plane").axes
    assert (len(before.images), len(after.images)) == (0, 1)
    assert not [each for each in before.lines if each.get_marker() == "x" and len(each.get_xdata())]
    assert not any(axes.images for axes in flattened({"a": [picture()]}, "map").axes)


def test_the_ground_of_a_class_is_its_colour_made_pale():
    axes = flattened({"a": [picture()]}, "plane").axes[1]
    found = np.unique(axes.images[0].get_array().reshape(-1, 3), axis=0)
    pale = [[1 - PALE * (1 - part) for part in to_rgb(shade(slot))] for slot in range(3)]
    np.testing.assert_allclose(found, sorted(pale))


def test_two_runs_and_several_episodes_stand_in_rows_that_say_whose_they_are():
    figure = flattened({"a": [picture(), picture(number=4)], "an other": [picture()]}, "plane")
    assert [axes.get_ylabel() for axes in figure.axes[::2]] == ["a, episode 0", "a, episode 4", "an other"]
    assert flattened({"a": [picture()]}, "map").axes[0].get_ylabel() == ""
    assert figure.get_figheight() > 2 * HEIGHT


def test_the_legend_names_few_classes_and_leaves_out_what_is_not_drawn():
    def named(**how):
        return [each.get_text() for each in flattened({"a": [picture(**how)]}, "plane").legends[0].get_texts()]

    assert named() == [*(f"character0{slot}" for slot in range(3)), "support", "centroid", "query", "misnamed"]
    assert "centroid" not in named(k_shot=1)
    assert named(n_way=9) == ["support", "centroid", "query", "misnamed"]


def test_where_t_sne_has_nothing_to_place_the_panel_says_so():
    (support, labels), (query, targets) = vector_episode()
    flat = stage(0 * support, labels, 0 * query, torch.zeros(3, 6), None, None)
    empty = Picture(0, ("a", "b", "c"), tuple(labels.tolist()), tuple(targets.tolist()), flat, flat)
    for kind in ("plane", "map"):
        assert to_png(flattened({"a": [empty]}, kind))[:4] == b"\x89PNG"
    assert "nothing to tell apart" in {each.get_text() for each in flattened({"a": [empty]}, "map").axes[0].texts}
