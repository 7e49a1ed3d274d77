"""Accuracy by rate of adaptation and inner steps: a map a run, lines over rates, and by rate of training."""

from collections.abc import Mapping, Sequence
from math import ceil

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from innerloop.analysis.inner_lr import InnerLr, Place, RateArm
from innerloop.analysis.rate_grid import RateGrid
from innerloop.figures.style import HEIGHT, LINES, WIDTH, colour, legend, styled

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
MAPS = 3  # runs whose maps fit under one another
COLOURS = "cividis"  # the same for every kind of colour vision, and in grey


def draw(results: Mapping[str, InnerLr]) -> dict[str, Figure]:
    """Draw the figures: `by_rate`, the `map` of few runs, and both `_zeroed` where some head is not zero anyway."""
    figures = {"by_rate": _by_rate(results, zeroed=False)}
    if len(results) <= MAPS:
        figures["map"] = _maps(results, zeroed=False)
    others = {label: each for label, each in results.items() if not each.head_is_zero}
    if others:
        figures["by_rate_zeroed"] = _by_rate(others, zeroed=True)
        if len(others) <= MAPS:
            figures["map_zeroed"] = _maps(others, zeroed=True)
    return figures


def grid(found: RateGrid) -> Figure:
    """Draw accuracy by rate of training (rows) and of adaptation (columns), mean over seeds."""
    with styled():
        rows = len(found.training)
        figure = Figure(figsize=(WIDTH, 1.5 + 0.25 * rows), layout="constrained")
        axes: Axes = figure.subplots()
        means = [[None if each is None else each.mean for each in row] for row in found.accuracy]
        _map(axes, figure, means, found.best, found.as_good, [])
        _rates(axes, found.adaptation)
        axes.set_yticks(range(rows), [f"{rate:g}" for rate in found.training], fontsize=8)
        axes.set_ylabel("rate of training")
    return figure


def _by_rate(results: Mapping[str, InnerLr], zeroed: bool) -> Figure:
    """Draw accuracy over rates after the test's number of steps, a line a run; each sign has its own logarithm."""
    with styled():
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        axes: Axes = figure.subplots()
        least = min(abs(rate) for each in results.values() for rate in each.rates)
        for index, (label, each) in enumerate(results.items()):
            arm, column = (each.zeroed if zeroed else each.as_trained), max(1, each.tested[1])
            cells = [(rate, row[column]) for rate, row in zip(each.rates, arm.accuracy, strict=True)]
            for sign in (-1, 1):
                there = [(rate, cell) for rate, cell in cells if cell is not None and rate * sign > 0]
                rates, means = [rate for rate, _ in there], [100 * cell.mean for _, cell in there]
                axes.plot(
                    rates,
                    means,
                    color=colour(index),
                    linestyle=LINES[index % len(LINES)],
                    marker=MARKERS[index % len(MARKERS)],
                    markersize=3.5,
                    label=label if sign > 0 else None,
                )
                if all(cell.observations > 1 for _, cell in there):
                    ends = [[100 * end for end in (cell.low, cell.high)] for _, cell in there]
                    lows, highs = [low for low, _ in ends], [high for _, high in ends]
                    axes.fill_between(rates, lows, highs, color=colour(index), alpha=0.13, linewidth=0)
        chances = {each.chance for each in results.values()}
        for chance in chances:
            axes.axhline(100 * chance, color="#333333", linewidth=0.9, linestyle=":")
        axes.axvline(0, color="#333333", linewidth=0.6)
        axes.set_xscale("symlog", linthresh=least, linscale=0.7)
        axes.set_xticks(*_decades(results, least))
        axes.minorticks_off()
        axes.set_xlabel("rate of adaptation")
        axes.set_ylabel("accuracy, %")
        axes.margins(x=0.02)
        legend(figure, len(results))
    return figure


def _decades(results: Mapping[str, InnerLr], least: float) -> tuple[list[float], list[str]]:
    """Return sizes that were tried, of both signs, as ticks: from the largest on, four at most."""
    sizes = sorted({abs(rate) for each in results.values() for rate in each.rates}, reverse=True)
    chosen = sizes[:: ceil(len(sizes) / 4)]
    if chosen[-1] == least and sizes[0] > 100 * least:
        chosen.pop()  # both signs of the smallest would touch
    ticks = [sign * size for size in chosen for sign in (-1, 1)]
    return ticks, [f"{tick:g}" for tick in ticks]


def _maps(results: Mapping[str, InnerLr], zeroed: bool) -> Figure:
    """Draw a map a run: steps upwards, rates to the right, all in one scale of colours."""
    with styled():
        figure = Figure(figsize=(WIDTH, 0.6 + 2.5 * len(results)), layout="constrained")
        panels: list[Axes] = list(figure.subplots(len(results), 1, squeeze=False)[:, 0])
        arms = [each.zeroed if zeroed else each.as_trained for each in results.values()]
        means = [_upright(arm) for arm in arms]
        every = [value for mean in means for row in mean for value in row if value is not None]
        for axes, arm, mean, (label, each) in zip(panels, arms, means, results.items(), strict=True):
            turned = None if arm.as_good is None else [_turned(place) for place in arm.as_good]
            _map(axes, figure, mean, _turned(arm.best), turned, [_turned(each.tested)], (min(every), max(every)))
            _rates(axes, each.rates)
            steps = range(0, each.most + 1, 1 if each.most < 6 else 2)
            axes.set_yticks(list(steps), [str(step) for step in steps], fontsize=8)
            axes.set_ylabel("inner steps")
            if len(results) > 1:
                axes.set_title(label, fontsize=9, loc="left")
    return figure


def _upright(arm: RateArm) -> list[list[float | None]]:
    """Return mean accuracies with a row for every number of steps."""
    return [[None if cell is None else cell.mean for cell in column] for column in zip(*arm.accuracy, strict=True)]


def _turned(place: Place) -> Place:
    return place[1], place[0]


def _map(
    axes: Axes,
    figure: Figure,
    means: Sequence[Sequence[float | None]],
    best: Place,
    as_good: Sequence[Place] | None,
    usual: Sequence[Place],
    ends: tuple[float, float] | None = None,
) -> None:
    """Colour cells by accuracy; a star on the best, dots on those as good, a ring round the usual, hatches on none."""
    values = np.array([[np.nan if each is None else 100 * each for each in row] for row in means])
    low, high = (100 * each for each in ends) if ends else (np.nanmin(values), np.nanmax(values))
    image = axes.imshow(values, cmap=COLOURS, aspect="auto", origin="lower", vmin=low, vmax=high)
    axes.set_facecolor("#dddddd")
    axes.grid(visible=False)
    for row, column in np.argwhere(np.isnan(values)):
        axes.text(column, row, "×", ha="center", va="center", fontsize=7, color="#666666")
    middle = (low + high) / 2
    for place, mark, size in (*((each, ".", 3.0) for each in as_good or ()), (best, "*", 7.0)):
        if mark == "." and place == best:
            continue
        shade = "#000000" if values[place] > middle else "#ffffff"
        axes.plot(place[1], place[0], mark, color=shade, markersize=size, markeredgewidth=0)
    for place in usual:
        axes.plot(place[1], place[0], "o", color="none", markeredgecolor="#d55e00", markersize=8.5, markeredgewidth=1.3)
    bar = figure.colorbar(image, ax=axes, pad=0.02, fraction=0.06)
    bar.set_label("accuracy, %", fontsize=8.5)
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_visible(False)


def _rates(axes: Axes, rates: Sequence[float]) -> None:
    axes.set_xticks(range(len(rates)), [f"{rate:g}" for rate in rates], rotation=90, fontsize=7.5)
    axes.tick_params(length=0)
    axes.set_xlabel("rate of adaptation")
    negative = sum(rate < 0 for rate in rates)
    if 0 < negative < len(rates):
        axes.axvline(negative - 0.5, color="#ffffff", linewidth=1.2)
