"""How a grid's cells compare: a quantity over training, and the test against one axis; 95% intervals on both."""

from collections.abc import Mapping, Sequence
from math import isfinite
from textwrap import fill

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from innerloop.errors import on_one_line
from innerloop.figures.style import COLOURS, HEIGHT, LINES, WIDTH, colour, styled
from innerloop.figures.training import LABELS
from innerloop.runs.outcome import Band, Quantity
from innerloop.statistics import Interval

MOST = len(COLOURS)  # lines that a reader can tell apart
LETTERS = 52  # as many fit beside one another above the axes
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

Limits = tuple[float, float]


def named(quantity: Quantity) -> str:
    """Return what a quantity is called on an axis, with its unit where it has one."""
    kind, what = quantity
    return LABELS.get(quantity) or fill(f"{kind}: {what.replace('_', ' ')}", 28)


def is_share(quantity: Quantity) -> bool:
    """Return whether a quantity is shown in percent."""
    return LABELS.get(quantity, "").endswith("%")


def limits(values: Sequence[float], zero: bool = False) -> Limits:
    """Return an axis that spans the values with a margin, from zero on where asked and nothing lies below."""
    low, high = min(values), max(values)
    margin = 0.06 * (high - low or abs(high) or 1.0)
    return (0.0 if zero and low >= 0 else low - margin), high + margin


def over_training(bands: Mapping[str, Band], quantity: Quantity, within: Limits) -> Figure:
    """Draw one line a cell over outer steps, with the band of its interval, cut at the axis's ends.

    Args:
        bands: For each cell's label its outer steps and intervals; at most `MOST` can be told apart.
        quantity: What is drawn.
        within: Ends of the axis, in the quantity's unit.
    """
    scale = 100 if is_share(quantity) else 1
    with styled():
        figure, axes = _empty(list(bands))
        for index, (label, band) in enumerate(bands.items()):
            steps = [step for step, _ in band]
            means = [scale * each.mean for _, each in band]
            axes.plot(steps, means, label=_short(label), color=colour(index), linestyle=LINES[index % len(LINES)])
            sure = [isfinite(each.half_width) for _, each in band]
            lows = [scale * each.low if isfinite(each.low) else scale * each.mean for _, each in band]
            highs = [scale * each.high if isfinite(each.high) else scale * each.mean for _, each in band]
            axes.fill_between(steps, lows, highs, where=sure, color=colour(index), alpha=0.15, linewidth=0)
        axes.set_xlabel("outer steps")
        axes.set_ylabel(named(quantity))
        axes.margins(x=0.02)
        axes.set_ylim(scale * within[0], scale * within[1])
        _legend(figure, list(bands))
    return figure


def by_value(
    series: Mapping[str, Mapping[str, Interval | None]], axis: str, ylabel: str, within: Limits, percent: bool
) -> Figure:
    """Draw the test of every cell over one axis's values, a line for each crossing of the other axes.

    Args:
        series: For each crossing of the other axes an interval for every value of the axis; None where not tested.
        axis: The axis's name.
        ylabel: What the values are, with their unit.
        within: Ends of the axis, in the values' unit.
        percent: Whether values in [0, 1] are shown as percent.
    """
    scale = 100 if percent else 1
    with styled():
        figure, axes = _empty(list(series))
        names = list(dict.fromkeys(name for line in series.values() for name in line))
        for index, (label, line) in enumerate(series.items()):
            shift = 0.06 * (index - (len(series) - 1) / 2)  # intervals beside one another, not on top
            there = [(place, each) for place, name in enumerate(names) if (each := line.get(name)) is not None]
            axes.errorbar(
                [place + shift for place, _ in there],
                [scale * each.mean for _, each in there],
                [scale * each.half_width if isfinite(each.half_width) else 0.0 for _, each in there],
                label=_short(label),
                color=colour(index),
                linestyle=LINES[index % len(LINES)],
                marker=MARKERS[index % len(MARKERS)],
                markersize=4.5,
                elinewidth=1,
                capsize=2.5,
            )
        axes.set_xticks(range(len(names)), [_short(name, 20) for name in names])
        if sum(len(name) + 2 for name in names) > LETTERS:
            for tick in axes.get_xticklabels():
                tick.set(rotation=30, horizontalalignment="right", fontsize=7)
        axes.set_xlim(-0.5, len(names) - 0.5)
        axes.set_xlabel(on_one_line(axis))
        axes.set_ylabel(ylabel)
        axes.set_ylim(scale * within[0], scale * within[1])
        _legend(figure, list(series))
    return figure


def _columns(labels: Sequence[str]) -> int:
    """Return how many entries of the legend fit beside one another."""
    longest = max(len(_short(label)) for label in labels)
    return max(1, min(3, len(labels), LETTERS // (longest + 5)))


def _empty(labels: Sequence[str]) -> tuple[Figure, Axes]:
    """Return axes under room for the legend: the more rows it has, the higher the figure."""
    rows = -(-len(labels) // _columns(labels)) if len(labels) > 1 else 0
    figure = Figure(figsize=(WIDTH, HEIGHT + 0.17 * max(0, rows - 2)), layout="constrained")
    return figure, figure.subplots()


def _legend(figure: Figure, labels: Sequence[str]) -> None:
    if len(labels) > 1:
        figure.legend(
            loc="outside upper left",
            ncols=_columns(labels),
            fontsize=8.5,
            handlelength=1.9,
            columnspacing=1.2,
            borderaxespad=0.2,
            labelspacing=0.3,
        )


def _short(label: str, most: int = 38) -> str:
    """Return a label cut in its middle: names of neighbours differ at either end."""
    half = (most - 1) // 2
    return label if len(label) <= most else f"{label[:half]}…{label[-half:]}"
