"""Learned inner rates: by layer and inner step as they are, and over training, with their sign to be seen."""

from collections.abc import Mapping, Sequence
from typing import Literal

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from innerloop.analysis.learned_rates import Layer, LearnedInnerRates, Rates, pooled
from innerloop.figures.style import HEIGHT, WIDTH, colour, curves, legend, styled

SIGNS = LinearSegmentedColormap.from_list("signs", [colour(0), "#ffffff", colour(2)])  # negative, 0, positive
HEAD = colour(3)
LONGEST = 30  # letters of a layer's name
ROW = 0.2  # inches


def draw(results: Mapping[str, LearnedInnerRates]) -> dict[str, Figure]:
    """Draw the figures: for each run `rates` as they are and `layers` over training, and `negative` for all runs."""
    figures = {}
    for name, (label, each) in zip(numbered("rates", len(results)), results.items(), strict=True):
        figures[name] = _table(each, label if len(results) > 1 else "")
    for name, (label, each) in zip(numbered("layers", len(results)), results.items(), strict=True):
        if len(each.recorded) > 1:
            figures[name] = _over_training(each, label if len(results) > 1 else "")
    shares = {label: (each.recorded, _negative(each)) for label, each in results.items() if len(each.recorded) > 1}
    if shares:
        figures["negative"] = curves(shares, "rates below 0, %", percent=True, zero=True)
        axes = figures["negative"].axes[0]
        axes.set_ylim(0, max(1.0, axes.get_ylim()[1]))  # a share, and not less than one of a hundred
    return figures


def numbered(name: str, count: int) -> list[str]:
    """Return `name`, `name_2`, ..., one for each run."""
    return [name, *(f"{name}_{number}" for number in range(2, count + 1))]


def columns(result: LearnedInnerRates) -> list[str]:
    """Return what the columns of a run's table are."""
    if result.kind == "layer_step":
        return [f"step {number + 1}" for number in range(len(result.layers[0].now))]
    return ["first", "smallest", "mean", "largest", "below 0"] if result.kind == "weight" else ["first", "now"]


def _row(layer: Layer, kind: str) -> list[float]:
    if kind == "layer_step":
        return [each.mean for each in layer.now]
    now = layer.now[0]
    return [layer.first[0].mean, *([now.smallest, now.mean, now.largest] if kind == "weight" else [now.mean])]


def _table(result: LearnedInnerRates, title: str) -> Figure:
    """Draw a field for each layer and inner step, coloured by sign and size; shares below 0 are written beside."""
    rows = np.array([_row(layer, result.kind) for layer in result.layers])
    names = columns(result)
    with styled():
        figure = Figure(figsize=(WIDTH, 0.75 + ROW * max(3, len(rows))), layout="constrained")
        axes: Axes = figure.subplots()
        size = float(abs(rows).max()) or 1.0
        axes.imshow(rows, cmap=SIGNS, norm=Normalize(-size, size), aspect="auto")
        for (row, column), value in np.ndenumerate(rows):
            shade = "white" if abs(value) > 0.6 * size else "#222222"
            axes.text(column, row, f"{value:.2g}", ha="center", va="center", fontsize=6.5, color=shade)
        if result.kind == "weight":
            for row, layer in enumerate(result.layers):
                share = f"{100 * layer.now[0].negative:.1f}%"
                axes.text(len(names) - 1, row, share, ha="center", va="center", fontsize=6.5)
            axes.set_xlim(-0.5, len(names) - 0.5)
        axes.set_xticks(range(len(names)), names, fontsize=7.5)
        axes.set_yticks(range(len(rows)), [_shortened(layer.name) for layer in result.layers], fontsize=6.5)
        axes.tick_params(length=0)
        axes.grid(visible=False)
        if title:
            axes.set_title(title, loc="left", fontsize=8.5)
    return figure


def _over_training(result: LearnedInnerRates, title: str) -> Figure:
    """Draw each layer's mean rate over outer steps: the body's from light to dark, the head's in another colour."""
    with styled():
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        axes: Axes = figure.subplots()
        body, head = result.of("body", "all"), result.of("head")
        for layer, shade in zip(body, _shades(len(body)), strict=True):
            axes.plot(result.recorded, _means(layer), color=shade, linewidth=1.2)
        for layer in head:
            axes.plot(result.recorded, _means(layer), color=HEAD, linestyle=_line(layer))
        axes.axhline(0, color="#333333", linewidth=0.8)
        axes.set_xlabel("outer steps")
        axes.set_ylabel("mean inner rate")
        axes.margins(x=0.02)
        if title:
            axes.set_title(title, loc="left", fontsize=8.5)
        handles = _handles(body, head)
        legend(figure, len(handles), handles)
    return figure


def _handles(body: Sequence[Layer], head: Sequence[Layer]) -> list[Artist]:
    shades = _shades(len(body))
    ends = [(layer, shade) for layer, shade in zip(body, shades, strict=True) if layer in (body[0], body[-1])]
    handles: list[Artist] = [
        Line2D([], [], color=shade, linewidth=1.2, label=_shortened(layer.name)) for layer, shade in ends
    ]
    return [
        *handles,
        *(Line2D([], [], color=HEAD, linestyle=_line(layer), label=_shortened(layer.name)) for layer in head),
    ]


def _line(layer: Layer) -> Literal["-", "--"]:
    return "--" if "bias" in layer.name else "-"


def _shades(count: int) -> list[tuple[float, float, float, float]]:
    return [mpl.colormaps["Blues"](place) for place in np.linspace(0.4, 1.0, count)]


def _means(layer: Layer) -> list[float]:
    return [_over_steps(rates) for rates in layer.path]


def _over_steps(rates: Sequence[Rates]) -> float:
    return sum(each.mean for each in rates) / len(rates)


def _negative(result: LearnedInnerRates) -> list[float]:
    return [
        pooled((layer.count, layer.path[at]) for layer in result.layers).negative for at in range(len(result.recorded))
    ]


def _shortened(name: str) -> str:
    return name if len(name) <= LONGEST else f"…{name[1 - LONGEST :]}"
