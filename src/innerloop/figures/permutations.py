"""How accuracy spreads over assignments of classes to slots, and what all of them together name."""

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from innerloop.analysis.permutations import PARTS, Permutations
from innerloop.figures.style import HEIGHT, LINES, WIDTH, colour, legend, styled
from innerloop.statistics import Interval

# What stands in a row of `accuracy`: marker, and whether it is filled.
MARKS = {
    "worst": ("<", False),
    "mean": ("o", True),
    "best": (">", False),
    "ensemble": ("*", True),
}


def draw(results: Mapping[str, Permutations]) -> dict[str, Figure]:
    """Draw the figures: `accuracy` (worst, mean and best assignment, ensemble) and `sorted` (all of them in order)."""
    return {"accuracy": _accuracy(results), "sorted": _sorted(results)}


def _accuracy(results: Mapping[str, Permutations]) -> Figure:
    """Draw a row a run: the worst assignment, the mean, the best, and the ensemble by logits."""
    with styled():
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        axes: Axes = figure.subplots()
        for index, each in enumerate(results.values()):
            axes.plot(
                [100 * each.worst.mean, 100 * each.best.mean],
                [index, index],
                color=colour(index),
                linewidth=5,
                alpha=0.25,
                solid_capstyle="butt",
            )
            shown = {"worst": each.worst, "mean": each.mean, "best": each.best, "ensemble": each.logits.accuracy}
            for name, value in shown.items():
                lift = {"mean": 0.16, "ensemble": -0.16}.get(name, 0.0)
                _dot(axes, index, index + lift, value, name)
        axes.set_yticks(range(len(results)), list(results))
        axes.set_ylim(len(results) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("accuracy, %")
        handles = [
            Line2D(
                [],
                [],
                color="#333333",
                linestyle="",
                marker=marker,
                markerfacecolor="#333333" if is_full else "white",
                label=name,
            )
            for name, (marker, is_full) in MARKS.items()
        ]
        legend(figure, len(handles), handles)
        extra = figure.get_figheight() - HEIGHT
        figure.set_figheight(1.1 + extra + 0.42 * len(results))
    return figure


def _dot(axes: Axes, index: int, place: float, value: Interval, name: str) -> None:
    marker, is_full = MARKS[name]
    axes.errorbar(
        [100 * value.mean],
        [place],
        xerr=[100 * value.half_width if value.observations > 1 else 0.0],
        color=colour(index),
        marker=marker,
        markersize=7 if marker == "*" else 5,
        markerfacecolor=colour(index) if is_full else "white",
        elinewidth=0.9,
        capsize=0,
    )


def _sorted(results: Mapping[str, Permutations]) -> Figure:
    """Draw accuracy from the worst assignment of an episode to its best, mean over episodes: a line a run."""
    with styled():
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        axes: Axes = figure.subplots()
        places = [100 * part / PARTS for part in range(PARTS + 1)]
        for index, (label, each) in enumerate(results.items()):
            means = [100 * value.mean for value in each.by_share]
            axes.plot(places, means, label=label, color=colour(index), linestyle=LINES[index % len(LINES)])
            if each.mean.observations > 1:
                low, high = [100 * value.low for value in each.by_share], [100 * value.high for value in each.by_share]
                axes.fill_between(places, low, high, color=colour(index), alpha=0.13, linewidth=0)
        axes.set_xlabel("assignments that are worse, %")
        axes.set_ylabel("accuracy, %")
        axes.margins(x=0.02)
        legend(figure, len(results))
    return figure
