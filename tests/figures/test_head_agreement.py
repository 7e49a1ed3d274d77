import numpy as np
import pytest

from agreements import cells, result, side
from innerloop.figures.head_agreement import READINGS, draw, names, pane, square
from innerloop.figures.style import WIDTH, colour, to_png

SMALL = {"inner_product": 0.0, "lda": 0.1}
RESULT = result(before=side(agreement=0.5), after=side(agreement=0.8), grid=cells())


def test_the_square_has_before_above_the_diagonal_after_below_and_each_with_itself_on_it():
    found = square(RESULT)
    assert set(found[np.triu_indices(6, 1)]) == {0.5}
    assert set(found[np.tril_indices(6, -1)]) == {0.8}
    assert list(np.diag(found)) == [1.0, *[0.7] * 5]
    texts = [each.get_text() for each in draw({"a": RESULT})["agreement"].axes[0].texts]
    assert texts == [f"{100 * share:.0f}" for share in found.flat]


def test_readings_stand_in_rows_in_reading_order_hollow_before_and_filled_after():
    axes = draw({"a": RESULT})["accuracy"].axes[0]
    assert [each.get_text() for each in axes.get_yticklabels()] == [
        "adapted head",
        *(READINGS[name] for name in names({"a": RESULT})),
    ]
    dots = [each for each in axes.lines if each.get_marker() == "o"]
    assert len(dots) == 1 + 2 * 5
    assert [each.get_markerfacecolor() for each in dots] == [colour(0), *["white"] * 5, *[colour(0)] * 5]
    assert [each.get_xdata()[0] for each in dots[1:6]] == pytest.approx([60, 59, 70, 50, 58])


def test_features_that_stay_are_drawn_once():
    still = result(is_still=True, after=side(SMALL))
    axes = draw({"a": still})["accuracy"].axes[0]
    assert len([each for each in axes.lines if each.get_marker() == "o"]) == 3
    assert not draw({"a": still})["accuracy"].legends


def test_differences_have_the_90_percent_interval_thick_and_the_margin_behind():
    axes = draw({"a": RESULT})["difference"].axes[0]
    band = axes.patches[0]
    assert (band.get_x(), band.get_width()) == pytest.approx((-2, 4))
    thick = [each for each in axes.lines if each.get_linewidth() == 2.6]
    gaps = [each.gap.tested for part in (RESULT.before, RESULT.after) for each in part.readings]
    assert [list(each.get_xdata()) for each in thick] == [
        pytest.approx([100 * one.low, 100 * one.high]) for one in gaps
    ]
    assert {each.get_text() for each in draw({"a": RESULT})["difference"].legends[0].get_texts()} == {
        *("features before", "features adapted", "within 2 points")
    }


def test_runs_with_other_readings_share_the_rows_of_all():
    figures = draw({"a": result(after=side(SMALL)), "b": RESULT})
    axes = figures["difference"].axes[0]
    labels = [each.get_text() for each in axes.get_yticklabels()]
    assert labels == [READINGS[name] for name in ("inner_product", "logistic", "ridge", "lda", "global")]
    dots = [each for each in axes.lines if each.get_marker() == "o" and each.get_color() == colour(0)]
    assert [labels[round(each.get_ydata()[0])] for each in dots] == [READINGS[name] for name in SMALL] * 2
    assert [each.get_title(loc="left") for each in figures["agreement"].axes] == ["a: agreement, %", "b: agreement, %"]


def test_the_grid_has_a_row_a_rate_and_a_column_a_number_of_steps():
    np.testing.assert_allclose(pane(RESULT, "logistic_after"), [[0.5, 0.6], [0.7, 0.8]])
    axes = draw({"a": RESULT})["grid"].axes
    assert len(axes) == 4
    assert [each.get_text() for each in axes[0].texts] == ["50", "60", "70", "80"]
    assert [each.get_text() for each in axes[0].get_yticklabels()] == ["×0.5", "×2"]
    assert "grid" not in draw({"a": result()})


def test_diverged_cells_and_those_that_nothing_matches_are_marked():
    some = draw({"a": result(grid=cells(diverged=2))})["grid"].axes[0]
    assert [each.get_text() for each in some.texts] == ["50", "60", "70", "80", "div."]
    every = draw({"a": result(grid=cells(diverged=5))})["grid"].axes[0]
    assert [each.get_text() for each in every.texts] == ["50", "60", "70", "div."]
    unmatched = draw({"a": result(grid=cells(matches=False), reach=0.0)})["grid"].axes
    assert [each.get_text() for each in unmatched[0].texts] == ["–"] * 4
    assert [each.get_text() for each in unmatched[2].texts] == ["50", "60", "70", "80"]


def test_many_runs_of_long_names_and_one_episode_are_drawn_one_column_wide():
    for episodes in (1, 40):
        each = result(after=side(episodes=episodes), grid=cells(diverged=1))
        for figure in draw({f"omniglot 5w1s fomaml m{steps}": each for steps in range(4)}).values():
            assert to_png(figure)[:4] == b"\x89PNG"
            assert figure.get_figwidth() == WIDTH
            for legend in figure.legends:
                assert legend.get_window_extent().x1 <= WIDTH * figure.dpi
