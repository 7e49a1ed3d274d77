"""Losses over planes and lines of parameters, with the paths that lead through them; how they bend; layer by layer."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from innerloop.analysis.landscape import LINES, PLACES, SETS, Landscape, Layer, Place, Slice, Surface
from innerloop.figures.style import HEIGHT, WIDTH, colour, legend, styled
from innerloop.statistics import Interval

SLICES = ("start", "adapted", "inner path", "tasks", "outer path")
WORDS = {"start": "before adaptation", "adapted": "after", "between": "from before to after"}
MOST = 3  # runs side by side
SPREAD = 20.0  # from which ratio of the highest to the lowest loss on heights are logarithms
DEEPEST = 1e-4  # of the highest loss: what is lower is drawn as low as that
LEVELS = 10
PATH = colour(0)
LONGEST = 24  # letters of a layer's name
ROW = 0.17  # inches
ROUNDING = 1e-6  # of the largest effect: what is smaller is none, and would stretch the scale

Heights = NDArray[np.float64]
Style = Literal["-", "--"]


class Panel(NamedTuple):
    """One loss over one plane of one run."""

    label: str
    slice: Slice
    surface: Surface


def draw(results: Mapping[str, Landscape]) -> dict[str, Figure]:
    """Draw a figure a plane, a relief of the query loss, and `lines`, `hessian` and `layers` of all runs."""
    figures: dict[str, Figure] = {}
    for name in SLICES:
        runs = panels(results, name)
        groups = [runs[at : at + MOST] for at in range(0, len(runs), MOST)]
        for number, group in enumerate(groups, 1):
            key = name.replace(" ", "_") + ("" if number == 1 else f"_{number}")
            figures[key] = _planes(group, len(results) > 1)
    for number, found in enumerate(_reliefs(results), 1):
        figures["relief" if number == 1 else f"relief_{number}"] = _relief(found, len(results) > 1)
    figures["lines"] = _lines(results)
    figures["hessian"] = _hessian(results)
    figures["layers"] = _layers(results)
    return figures


def panels(results: Mapping[str, Landscape], name: str) -> list[list[Panel]]:
    """Return the losses over one kind of plane, for each run that has it."""
    return [
        [Panel(label, each, surface) for surface in each.surfaces]
        for label, result in results.items()
        for each in result.slices
        if each.name == name
    ]


def heights(surface: Surface) -> Heights:
    """Return a surface's losses [up across], NaN where they are not finite."""
    return np.array([[np.nan if value is None else value for value in row] for row in surface.losses])


def levels(values: Heights) -> Heights:
    """Return ascending heights for contours: by ratio where losses differ in their powers, else evenly spaced."""
    high = float(np.nanmax(values))
    low = max(float(np.nanmin(values)), DEEPEST * high)
    if is_wide(values):
        found: Heights = np.geomspace(low, high, LEVELS + 1)
    elif high > low:
        found = np.linspace(float(np.nanmin(values)), high, LEVELS + 1)
    else:
        found = np.linspace(low - 0.5, high + 0.5, LEVELS + 1)
    return found


def is_wide(values: Heights) -> bool:
    """Return whether losses differ so much that their logarithms are drawn."""
    high, low = float(np.nanmax(values)), float(np.nanmin(values))
    return low > 0 and high > SPREAD * low


def _planes(group: Sequence[Sequence[Panel]], several: bool) -> Figure:
    """Draw contours: losses side by side for one run, for several a column each and a loss a row."""
    across = len(group) if several else len(group[0])
    rows = len(group[0]) if several else 1
    with styled():
        width = WIDTH / across
        figure = Figure(figsize=(WIDTH, min(0.5 + rows * (0.35 + 0.9 * width), 1.2 * WIDTH)), layout="constrained")
        grid = figure.subplots(rows, across, squeeze=False)
        for column, of_run in enumerate(group):
            for row, panel in enumerate(of_run):
                axes = grid[row, column] if several else grid[0, row]
                _contours(axes, panel, 2 if across > 1 or rows > 1 else 3)
                title = panel.surface.of + (f"\n{panel.label}" if several else "")
                axes.set_title(title, loc="left", fontsize=7.5 if across < 3 else 6.5)
    return figure


def _contours(axes: Axes, panel: Panel, digits: int) -> None:
    own, values = panel.slice, heights(panel.surface)
    axes.grid(visible=False)
    axes.tick_params(labelsize=6.5)
    if np.isfinite(values).any():
        steps = levels(values)
        shades = mpl.colormaps["Blues"](np.linspace(0.05, 0.8, len(steps) - 1))
        held = np.clip(values, steps[0], steps[-1])
        axes.contourf(own.across, own.up, held, levels=steps, colors=list(shades))
        lines = axes.contour(own.across, own.up, held, levels=steps[1:-1:2], colors="#333333", linewidths=0.4)
        axes.clabel(lines, fontsize=5.5, fmt=lambda value: f"{value:.{digits}g}")
    _marks(axes, own)
    share = own.explained
    axes.set_xlabel("" if share is None else f"{100 * share[0]:.0f}% of variance", fontsize=6.5)
    axes.set_ylabel("" if share is None else f"{100 * share[1]:.0f}%", fontsize=6.5)


def _marks(axes: Axes, own: Slice) -> None:
    """Draw the points of a plane, those of a path joined; the first of them is hollow."""
    x, y = zip(*(each.at for each in own.marks), strict=True)
    if own.name == "tasks":
        for end in (1, 2):
            axes.plot([x[0], x[end]], [y[0], y[end]], color=PATH, linewidth=1.2)
            axes.annotate(" AB"[end], (x[end], y[end]), xytext=(3, 3), textcoords="offset points", fontsize=8)
    elif own.explained is not None:
        axes.plot(x, y, color=PATH, linewidth=1.2)
        for end in (0, -1):
            text = own.marks[end].name
            axes.annotate(text, (x[end], y[end]), xytext=(3, 3), textcoords="offset points", fontsize=6.5)
    axes.plot(x, y, "o", color=PATH, markersize=3)
    axes.plot(x[0], y[0], "o", color=PATH, markersize=4.5, markerfacecolor="white")


def _reliefs(results: Mapping[str, Landscape]) -> list[list[Panel]]:
    """Return the query loss around the start and around the adapted parameters, a run a figure."""
    kept = []
    for label in results:
        found = [panel for place in PLACES for each in panels({label: results[label]}, place) for panel in each]
        query = [panel for panel in found if panel.surface.of.startswith("query")]
        if query:
            kept.append(query)
    return kept


def _relief(group: Sequence[Panel], several: bool) -> Figure:
    with styled():
        figure = Figure(figsize=(WIDTH, 2.5 if len(group) > 1 else HEIGHT), layout="constrained")
        for number, panel in enumerate(group, 1):
            axes: Any = figure.add_subplot(1, len(group), number, projection="3d")
            values = heights(panel.surface)
            wide = bool(np.isfinite(values).any()) and is_wide(values)
            shown = np.log10(np.maximum(values, DEEPEST * np.nanmax(values))) if wide else values
            x, y = np.meshgrid(panel.slice.across, panel.slice.up)
            axes.plot_surface(x, y, shown, cmap="Blues", linewidth=0.15, edgecolor="#33333380", rstride=1, cstride=1)
            axes.tick_params(labelsize=5.5, pad=-3)
            axes.set_xticks([panel.slice.across[0], 0.0, panel.slice.across[-1]])
            axes.set_yticks([panel.slice.up[0], 0.0, panel.slice.up[-1]])
            words = f"query loss {WORDS[panel.slice.name]}{', log10' if wide else ''}"
            axes.set_title(words + (f"\n{panel.label}" if several else ""), loc="left", fontsize=7)
            axes.view_init(28, -55)
            axes.set_box_aspect((1, 1, 0.8), zoom=0.92)
    return figure


def _lines(results: Mapping[str, Landscape]) -> Figure:
    """Draw losses along lines, a panel each, a colour a run; support is solid, query dashed."""
    names = [name for name in LINES if any(line.name == name for each in results.values() for line in each.lines)]
    with styled():
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        grid = figure.subplots(1, max(1, len(names)), squeeze=False, sharey=True)[0]
        means: list[float] = []
        for axes, name in zip(grid, names, strict=False):
            for index, result in enumerate(results.values()):
                for line in (each for each in result.lines if each.name == name):
                    for of, style in (("support", "-"), ("query", "--")):
                        means += _curve(axes, line.places, getattr(line, of), colour(index), style)
            axes.set_title(WORDS[name], loc="left", fontsize=7.5)
            axes.tick_params(labelsize=7)
            axes.axvline(0, color="#333333", linewidth=0.5)
            if name == "between":
                axes.axvline(1, color="#333333", linewidth=0.5)
        positive = [value for value in means if value > 0]
        if positive and len(positive) == len(means) and max(means) > SPREAD * min(means):
            grid[0].set_yscale("log")
            grid[0].set_ylim(max(min(positive), DEEPEST * max(positive)) / 1.5, 1.5 * max(positive))
        elif means:
            margin = 0.06 * (max(means) - min(means)) or 0.5
            grid[0].set_ylim(min(means) - margin, max(means) + margin)
        grid[0].set_ylabel("loss")
        figure.supxlabel("along the line", fontsize=8)
        _legend(figure, results, {"-": "support", "--": "query"})
    return figure


def _curve(
    axes: Axes, places: Sequence[float], losses: Sequence[Interval | None], shade: str, style: str
) -> list[float]:
    there = [(place, each) for place, each in zip(places, losses, strict=True) if each is not None]
    if not there:
        return []
    x, means = [place for place, _ in there], [each.mean for _, each in there]
    axes.plot(x, means, color=shade, linestyle=style, linewidth=1.4)
    if all(each.observations > 1 for _, each in there):
        low, high = [each.low for _, each in there], [each.high for _, each in there]
        axes.fill_between(x, low, high, color=shade, alpha=0.08, linewidth=0)
    return means


def _hessian(results: Mapping[str, Landscape]) -> Figure:
    """Draw the largest eigenvalues by rank, a panel a loss: a dot an episode, a line through their medians."""
    with styled():
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        grid = figure.subplots(1, len(SETS), sharey=True)
        drawn: list[float] = []
        for axes, of in zip(grid, SETS, strict=True):
            for index, result in enumerate(results.values()):
                for place, style in zip(PLACES, ("--", "-"), strict=True):
                    spectra = [each.eigenvalues for each in result.values(place, of)]
                    drawn += _ranked(axes, spectra, colour(index), style)
            axes.set_title(f"{of} loss", loc="left", fontsize=7.5)
            axes.set_xlabel("rank", fontsize=8)
            axes.set_xticks(
                range(1, 1 + max((each.spectrum.asked for one in results.values() for each in one.bends), default=1))
            )
        if drawn and min(drawn) > 0:
            grid[0].set_yscale("log")
        elif drawn and max(map(abs, drawn)) > 0:
            grid[0].set_yscale("symlog", linthresh=max(1e-3 * max(map(abs, drawn)), 1e-12))
        grid[0].set_ylabel("eigenvalue")
        _legend(figure, results, {"--": WORDS["start"], "-": WORDS["adapted"]})
    return figure


def _ranked(axes: Axes, spectra: Sequence[Sequence[float]], shade: str, style: str) -> list[float]:
    longest = max(map(len, spectra), default=0)
    columns = [[each[rank] for each in spectra if len(each) > rank] for rank in range(longest)]
    ranks = list(range(1, longest + 1))
    face = shade if style == "-" else "white"
    for rank, column in zip(ranks, columns, strict=True):
        axes.plot([rank] * len(column), column, "o", color=shade, markersize=3, markerfacecolor=face, alpha=0.7)
    axes.plot(ranks, [float(np.median(column)) for column in columns], color=shade, linestyle=style, linewidth=1.3)
    return [value for column in columns for value in column]


def _layers(results: Mapping[str, Landscape]) -> Figure:
    """Draw what each layer does to the query loss: by its gradient, and by a relative step; hollow before adapting."""
    names = list(dict.fromkeys(layer.name for each in results.values() for layer in each.layers))
    with styled():
        figure = Figure(figsize=(WIDTH, 1.1 + ROW * max(4, len(names))), layout="constrained")
        grid = figure.subplots(1, 2, sharey=True)
        for axes, what, title in zip(grid, ("gradient", "change"), ("a unit", "a relative unit"), strict=True):
            smallest = []
            for index, result in enumerate(results.values()):
                offset = (index - (len(results) - 1) / 2) * 0.6 / len(results)
                for place in PLACES:
                    smallest += _dots(axes, names, result.layers, f"{what}_{place}", place, index, offset)
            if smallest:
                axes.set_xscale("log")
            axes.set_title(title, loc="left", fontsize=7.5)
            axes.tick_params(labelsize=6.5)
        grid[0].set_yticks(range(len(names)), [_shortened(name) for name in names], fontsize=6)
        grid[0].invert_yaxis()
        figure.supxlabel("change of the query loss", fontsize=8)
        handles = [Line2D([], [], color=colour(index), label=label) for index, label in enumerate(results)]
        handles = handles if len(results) > 1 else []
        for place in PLACES:
            face = "#333333" if place == "adapted" else "white"
            handles.append(
                Line2D([], [], color="#333333", marker="o", linestyle="", markerfacecolor=face, label=WORDS[place])
            )
        figure.legend(handles=handles, loc="outside upper left", ncols=2, fontsize=7.5)
    return figure


def _dots(
    axes: Axes, names: Sequence[str], layers: Sequence[Layer], what: str, place: Place, index: int, offset: float
) -> list[float]:
    there = {layer.name: getattr(layer, what) for layer in layers if getattr(layer, what) is not None}
    largest = max((each.mean for each in there.values()), default=0.0)
    positive = {name: each for name, each in there.items() if each.mean > ROUNDING * largest}
    rows = [names.index(name) + offset for name in positive]
    face = colour(index) if place == "adapted" else "white"
    means = [each.mean for each in positive.values()]
    axes.plot(means, rows, "o", color=colour(index), markersize=3.5, markerfacecolor=face)
    for row, each in zip(rows, positive.values(), strict=True):
        if each.observations > 1:
            low = max(each.low, 0.05 * each.mean)  # an interval that reaches 0 has no end on a logarithmic axis
            axes.plot([low, each.high], [row, row], color=colour(index), linewidth=0.6, alpha=0.6)
    return means


def _legend(figure: Figure, results: Mapping[str, Landscape], styles: Mapping[Style, str]) -> None:
    handles: list[Artist] = []
    if len(results) > 1:
        handles += [Line2D([], [], color=colour(index), label=label) for index, label in enumerate(results)]
    handles += [Line2D([], [], color="#333333", linestyle=style, label=text) for style, text in styles.items()]
    legend(figure, len(handles), handles)


def _shortened(name: str) -> str:
    return name if len(name) <= LONGEST else f"…{name[1 - LONGEST :]}"
