from dataclasses import replace

import pytest

from innerloop.analysis.representation import LOGITS
from innerloop.figures.representation import COLLAPSE, MARKERS, MEASURES, draw, layers, stages
from innerloop.figures.style import WIDTH, colour, to_png
from represented import result, still


def marked(axes, index=0):
    """The lines of a run that have points."""
    return [each for each in axes.lines if each.get_color() == colour(index) and each.get_marker() in MARKERS]


def test_layers_stand_in_the_order_in_which_they_run_with_logits_last():
    other = result(cka={"block1": 0.9, "norm": 0.8, LOGITS: 0.1})
    assert layers({"a": result(), "b": other}) == ["block1", "block2", "norm", LOGITS]
    above, below = draw({"a": result()})["similarity"].axes
    assert [each.get_text() for each in below.get_xticklabels()] == ["block1", "block2", LOGITS]
    assert list(marked(above)[0].get_ydata()) == pytest.approx([0.99, 0.9, 0.4])
    dotted = [each for each in above.lines if each.get_linestyle() == ":"]
    assert list(dotted[0].get_ydata()) == pytest.approx([0.1] * 3)


def test_a_layer_without_a_likeness_has_no_point():
    above, _ = draw({"a": still()})["similarity"].axes
    assert list(marked(above)[0].get_ydata()) == pytest.approx([1, 1])


def test_freezing_has_accuracy_above_and_differences_with_their_margin_below():
    figure = draw({"a": result()})["freezing"]
    above, below = figure.axes
    assert [each.get_text() for each in below.get_xticklabels()] == ["none", "1", "body", "all", "NIL"]
    assert list(marked(above)[0].get_ydata()) == pytest.approx([60, 61, 50, 20])
    assert list(marked(above)[0].get_xdata()) == [0, 1, 2, 3]
    assert list(marked(above)[1].get_ydata()) == pytest.approx([60.5])
    band = below.patches[0]
    assert (band.get_y(), band.get_height()) == pytest.approx((-2, 4))
    thick = [each for each in below.lines if each.get_linewidth() == 2.6]
    gap = result().frozen[2].gap.tested
    assert list(thick[2].get_ydata()) == pytest.approx([100 * gap.low, 100 * gap.high])
    low, high = below.get_ylim()
    assert -20 < low < -10
    assert 3 <= high <= 5.1


def test_runs_with_fewer_blocks_share_the_places_of_none_body_and_all():
    short = result(cka={"one": 0.9, LOGITS: 0.4}, frozen={"": 0.0, "one": 0.0, LOGITS: -0.4})
    bare = result(cka={LOGITS: 0.4}, frozen={"": 0.0, LOGITS: -0.4})
    assert stages({"a": result(), "b": short}) == ["none", "1", "body", "all", "NIL"]
    assert stages({"b": short}) == ["none", "body", "all", "NIL"]
    assert stages({"c": bare}) == ["none", "all", "NIL"]
    above, _ = draw({"a": result(), "b": short})["freezing"].axes
    assert [round(each) for each in marked(above, 1)[0].get_xdata()] == [0, 2, 3]


def test_where_nothing_adapts_there_is_nothing_to_freeze():
    assert "freezing" not in draw({"a": still(steps=0)})
    assert "freezing" in draw({"a": still(steps=0), "b": result()})


def test_measures_are_hollow_before_and_filled_after_and_features_that_stay_stand_once():
    for name, words in (("gathering", MEASURES), ("collapse", COLLAPSE)):
        figure = draw({"a": result(), "b": still()})[name]
        panels = [axes for axes in figure.axes if axes.get_visible()]
        assert [axes.get_title(loc="left") for axes in panels] == list(words.values())
        faces = [each.get_markerfacecolor() for each in marked(panels[0])]
        assert faces == ["white", colour(0)]
        assert [each.get_xdata()[0] for each in marked(panels[0])] == pytest.approx([1.0, 1.2])
        assert len(marked(panels[0], 1)) == 1


def test_a_measure_that_no_run_has_has_no_panel_and_where_there_is_none_there_is_no_figure():
    assert set(draw({"a": result(spread=None)})) == {"similarity", "freezing"}
    only = replace(
        result(), gathering=tuple(each for each in result(spread=None).gathering[:7]) + result().gathering[7:]
    )
    panels = [axes for axes in draw({"a": only})["collapse"].axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in panels] == [COLLAPSE["nc3"], COLLAPSE["nc4"]]


def test_many_runs_of_long_names_and_one_episode_are_drawn_one_column_wide():
    for episodes in (1, 40):
        for figure in draw(
            {f"omniglot 5w1s fomaml m{steps}": result(episodes=episodes) for steps in range(6)}
        ).values():
            assert to_png(figure)[:4] == b"\x89PNG"
            assert figure.get_figwidth() == WIDTH
            for legend in figure.legends:
                assert legend.get_window_extent().x1 <= WIDTH * figure.dpi
