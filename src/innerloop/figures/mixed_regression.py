"""Mixed linear regression: test loss by training rate and by adaptation rate, simulated and by theory."""

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from innerloop.analysis.mixed_regression import Curve, MixedRegression
from innerloop.figures.style import HEIGHT, WIDTH, colour, legend, styled

SIMULATED, THEORY, BEST = colour(2), colour(0), colour(3)


def draw(result: MixedRegression) -> dict[str, Figure]:
    """Draw the figures: test loss by `training_rate` and by `adaptation_rate`, a panel for either kind of world."""
    return {
        "training_rate": _panels(
            {_title(result, name): getattr(result, name).training for name in ("over", "under")},
            "training rate",
        ),
        "adaptation_rate": _panels(
            {_title(result, name): getattr(result, name).adaptation for name in ("over", "under")},
            "adaptation rate",
        ),
    }


def _title(result: MixedRegression, name: str) -> str:
    model = getattr(result, name).model
    return f"{name}-parameterised: {model.dimensions} dimensions, {model.equations} outer points"


def _panels(curves: dict[str, Curve], rate: str) -> Figure:
    with styled():
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        panels = figure.subplots(len(curves), 1, sharex=True)
        for axes, (title, curve) in zip(panels, curves.items(), strict=True):
            _panel(axes, curve)
            axes.set_title(title, loc="left", fontsize=8.5)
            axes.set_ylabel("test loss")
        panels[-1].set_xlabel(rate)
        legend(figure, 3, _handles())
        figure.set_figheight(1.55 * HEIGHT)
    return figure


def _panel(axes: Axes, curve: Curve) -> None:
    axes.axvline(0, color="#bbbbbb", linewidth=0.9)
    axes.axvline(curve.predicted_best, color=BEST, linestyle="--", linewidth=1.4)
    axes.plot(curve.rates, curve.predicted, color=THEORY)
    axes.errorbar(
        curve.rates,
        [each.mean for each in curve.loss],
        [each.half_width for each in curve.loss],
        color=SIMULATED,
        linestyle="none",
        marker="o",
        markersize=3.5,
        elinewidth=1.1,
        capsize=2,
    )


def _handles() -> list[Artist]:
    return [
        Line2D([], [], color=SIMULATED, linestyle="none", marker="o", markersize=4, label="simulated"),
        Line2D([], [], color=THEORY, label="theory"),
        Line2D([], [], color=BEST, linestyle="--", linewidth=1.4, label="best by theory"),
    ]
