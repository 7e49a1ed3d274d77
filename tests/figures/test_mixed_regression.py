import pytest

from innerloop.analysis.mixed_regression import MixedRegressionSettings, Regression, measure
from innerloop.figures.mixed_regression import BEST, SIMULATED, THEORY, draw
from innerloop.figures.style import WIDTH, to_png


@pytest.fixture(scope="module")
def result():
    return measure(
        MixedRegressionSettings(
            over=Regression(12, 2, 10, 2, 8),
            under=Regression(5, 6, 10, 3, 8),
            training_rates=(-1.0, 0.0, 0.5),
            adaptation_rates=(0.0, 0.3),
            worlds=40,
        )
    )


def lines(axes, shade):
    return [line for line in axes.lines if line.get_color() == shade]


@pytest.mark.parametrize(("name", "curve"), [("training_rate", "training"), ("adaptation_rate", "adaptation")])
def test_either_kind_of_world_has_a_panel_of_simulation_with_intervals_theory_and_the_predicted_best(
    result, name, curve
):
    figure = draw(result)[name]
    for axes, found in zip(figure.axes, (result.over, result.under), strict=True):
        own = getattr(found, curve)
        (points,) = axes.containers
        assert list(points[0].get_xdata()) == list(own.rates)
        assert list(points[0].get_ydata()) == [each.mean for each in own.loss]
        (segments,) = points[2]
        for segment, each in zip(segments.get_segments(), own.loss, strict=True):
            assert list(segment[:, 1]) == pytest.approx([each.low, each.high])
        (theory,) = lines(axes, THEORY)
        for rate, expected in zip(own.rates, own.predicted, strict=True):
            nearest = abs(theory.get_xdata() - rate).argmin()
            assert theory.get_ydata()[nearest] == pytest.approx(expected, rel=0.01)
        (best,) = lines(axes, BEST)
        assert set(best.get_xdata()) == {own.predicted_best}
        assert lines(axes, SIMULATED)
    assert figure.axes[0].get_title(loc="left") == "over-parameterised: 12 dimensions, 4 outer points"


def test_figures_have_their_legend_inside_and_become_pictures(result):
    for figure in draw(result).values():
        assert to_png(figure)[:4] == b"\x89PNG"
        assert figure.legends[0].get_window_extent().x1 <= WIDTH * figure.dpi
        assert [text.get_text() for text in figure.legends[0].get_texts()] == ["simulated", "theory", "best by theory"]
