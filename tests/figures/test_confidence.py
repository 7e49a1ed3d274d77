import pytest

from assurances import level, sure
from innerloop.analysis.confidence import Score
from innerloop.figures.confidence import draw
from innerloop.figures.style import WIDTH, colour, to_png


def test_coverage_is_drawn_open_for_held_out_and_filled_for_explained_episodes_beside_what_was_asked():
    axes = draw({"a": sure()})["coverage"].axes[0]
    home, new = (each.lines[0] for each in axes.containers)
    assert list(home.get_ydata()) == pytest.approx([92, 92])
    assert list(new.get_ydata()) == pytest.approx([80, 80])
    assert (home.get_markerfacecolor(), new.get_markerfacecolor()) == ("white", colour(0))
    dashed = [each for each in axes.lines if each.get_linestyle() == "--"]
    assert [each.get_ydata()[0] for each in dashed] == pytest.approx([80, 90])


def test_scores_have_a_point_on_each_side_where_there_is_one():
    axes = draw({"a": sure()})["scores"].axes[0]
    assert len(axes.containers) == 3
    assert [each.get_text() for each in axes.get_yticklabels()] == ["margin", "all of them"]
    assert "scores" not in draw({"a": sure(scores=(Score("predicted", None, None),))})


def test_bounds_are_outlines_around_what_was_observed():
    axes = draw({"a": sure()})["guarantee"].axes[0]
    outlines, filled = axes.containers
    assert [each.get_height() for each in outlines] == pytest.approx([50, 100, 100])
    assert [each.get_height() for each in filled] == pytest.approx([6, 6, 20])
    assert "guarantee" not in draw({"a": sure(representation=None)})
    assert set(draw({"a": sure(representation=None), "b": sure()})) == {
        "scores",
        "coverage",
        "prediction",
        "guarantee",
    }


def test_six_runs_of_long_names_and_one_level_are_drawn_with_every_legend_inside():
    results = {f"omniglot 5w1s fomaml m{number}": sure(levels=(level(),)) for number in range(6)}
    for figure in draw(results).values():
        assert to_png(figure)[:4] == b"\x89PNG"
        assert all(each.get_window_extent().x1 <= WIDTH * figure.dpi for each in figure.legends)
