import pytest

from assigned import result
from innerloop.figures.permutations import draw
from innerloop.figures.style import WIDTH, colour, to_png


def test_a_row_a_run_has_worst_mean_best_and_ensemble():
    axes = draw({"a": result(), "b": result(breadth=0.0, head="zero")})["accuracy"].axes[0]
    assert [each.get_text() for each in axes.get_yticklabels()] == ["a", "b"]
    shown = [each for each in axes.lines if each.get_marker() in "<o>*"]
    assert [each.get_xdata()[0] for each in shown if each.get_color() == colour(0)] == pytest.approx([50, 60, 70, 65])
    assert [each.get_marker() for each in shown[:4]] == ["<", "o", ">", "*"]
    bars = [each for each in axes.lines if each.get_linewidth() == 5]
    assert list(bars[0].get_xdata()) == pytest.approx([50, 70])


def test_the_curve_goes_from_the_worst_assignment_to_the_best():
    axes = draw({"a": result(), "b": result(breadth=0.0)})["sorted"].axes[0]
    curve, flat = axes.lines
    assert (curve.get_xdata()[0], curve.get_xdata()[-1]) == (0, 100)
    assert (curve.get_ydata()[0], curve.get_ydata()[-1]) == pytest.approx((50, 70))
    assert set(flat.get_ydata()) == {60.0}
    assert len(axes.collections) == 2


def test_one_episode_has_no_intervals_and_long_names_stay_within_the_column():
    assert not draw({"a": result(episodes=1)})["sorted"].axes[0].collections
    many = {f"omniglot 5w1s fomaml m{steps}": result(episodes=1) for steps in range(5)}
    for figure in draw(many).values():
        assert to_png(figure)[:4] == b"\x89PNG"
        assert figure.get_figwidth() == WIDTH
        for legend in figure.legends:
            assert legend.get_window_extent().x1 <= WIDTH * figure.dpi
