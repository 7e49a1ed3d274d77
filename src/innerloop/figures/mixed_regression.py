"""Mixed linear regression: test loss by training rate and by adaptation rate, simulated and by theory."""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from innerloop.analysis.mixed_regression import Curve, MixedRegression, Regime, distance, loss_at_test
from innerloop.figures.style import HEIGHT, WIDTH, colour, legend, styled

Theory = Callable[[float], float]
SIMULATED, THEORY, BEST = colour(2), colour(0), colour(3)


def draw(result: MixedRegression) -> dict[str, Figure]:
    """Draw the figures: test loss by `training_rate` and by `adaptation_rate`, a panel for either kind of world."""
    worlds = {"over-parameterised": result.over, "under-parameterised": result.under}
    return {
        "training_rate": _panels(
            "training rate",
            {
                _title(name, each): (each.training, partial(_by_training, each, result.adaptation_rate))
                for name, each in worlds.items()
            },
        ),
        "adaptation_rate": _panels(
            "adaptation rate",
            {_title(name, each): (each.adaptation, partial(_by_adaptation, each)) for name, each in worlds.items()},
        ),
    }


def _title(name: str, found: Regime) -> str:
    return f"{name}: {found.model.dimensions} dimensions, {found.model.equations} outer points"


def _by_training(found: Regime, adaptation_rate: float, rate: float) -> float:
    return loss_at_test(found.model, adaptation_rate, distance(found.model, rate))


def _by_adaptation(found: Regime, rate: float) -> float:
    return loss_at_test(found.model, rate, distance(found.model, found.training_rate))


def _panels(rate: str, curves: Mapping[str, tuple[Curve, Theory]]) -> Figure:
    with styled():
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        panels = figure.subplots(len(curves), 1, sharex=True)
        for axes, (title, (curve, theory)) in zip(panels, curves.items(), strict=True):
            _panel(axes, curve, theory)
            axes.set_title(title, loc="left", fontsize=8.5)
            axes.set_ylabel("test loss")
        panels[-1].set_xlabel(rate)
        legend(figure, 3, _handles())
        figure.set_figheight(1.55 * HEIGHT)
    return figure


def _panel(axes: Axes, curve: Curve, theory: Theory) -> None:
    """Draw what was simulated as points with intervals, and theory as a line through all rates between."""
    places = np.linspace(curve.rates[0], curve.rates[-1], 201).tolist()
    axes.axvline(0, color="#bbbbbb", linewidth=0.9)
    axes.axvline(curve.predicted_best, color=BEST, linestyle="--", linewidth=1.4)
    axes.plot(places, [theory(rate) for rate in places], color=THEORY)
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
