"""Flatness, distance and coherence over training, a line an arm, and what goes with accuracy across seeds."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from innerloop.analysis.coherence import AtStep, Coherence
from innerloop.analysis.coherence_over_seeds import MEASURES, arms, correlations, value_of
from innerloop.figures.style import HEIGHT, LINES, WIDTH, along_training, colour, legend, styled
from innerloop.statistics import Interval, mean_interval

PANELS = {
    "accuracy": "accuracy, %",
    "support_loss": "adapted support loss",
    "sharpness": "largest eigenvalue, log10",
    "distance": "distance",
    "trajectory": "trajectory coherence",
    "gradient": "gradient coherence",
}


def draw(results: Mapping[str, Coherence]) -> dict[str, Figure]:
    """Draw the figures: `measures` over training, and `correlations` where an arm has enough seeds."""
    figures = {"measures": _measures(results)}
    if correlations(results):
        figures["correlations"] = _correlations(results)
    return figures


def of_arm(runs: Sequence[Coherence], name: str) -> dict[int, Interval]:
    """Return a measure by outer step: over tasks for one run, for several over the runs' means."""
    by_step = [{at.step: at for at in run.path} for run in runs]
    found: dict[int, Interval] = {}
    for step in sorted(set.intersection(*(set(each) for each in by_step))):
        there = [each[step] for each in by_step]
        interval = _over_runs(there, name)
        if interval is not None:
            found[step] = interval
    return found


def _over_runs(there: Sequence[AtStep], name: str) -> Interval | None:
    if len(there) == 1:
        found: Interval | None = getattr(there[0], name)
        return found
    values = [value for at in there if (value := value_of(at, name)) is not None]
    return mean_interval(values) if len(values) == len(there) else None


def _measures(results: Mapping[str, Coherence]) -> Figure:
    """Draw six measures over outer steps; the head's part of gradient coherence is dotted."""
    groups = arms(results)
    with styled():
        figure = Figure(figsize=(WIDTH, 1.75 * HEIGHT), layout="constrained")
        grid = figure.subplots(3, 2, sharex=True)
        for axes, (name, title) in zip(grid.flat, PANELS.items(), strict=True):
            for index, labels in enumerate(groups.values()):
                runs = [results[label] for label in labels]
                _line(axes, of_arm(runs, name), index, 100.0 if name == "accuracy" else 1.0)
                if name == "gradient":
                    head = of_arm(runs, "gradient_head")
                    axes.plot(
                        list(head), [each.mean for each in head.values()], ":", color=colour(index), linewidth=1.4
                    )
            axes.set_title(title, loc="left", fontsize=7.5)
            axes.tick_params(labelsize=7)
            _scale(axes)
        if any(len(each.path) > 1 for each in results.values()):
            steps = sorted({at.step for each in results.values() for at in each.path})
            along_training(grid[0, 0], steps)
        figure.supxlabel("outer steps", fontsize=8)
        if len(groups) > 1:
            handles = [
                axes.plot([], [], color=colour(index), linestyle=LINES[index % len(LINES)], label=name)[0]
                for index, name in enumerate(groups)
            ]
            height = figure.get_figheight()
            legend(figure, len(handles), handles)
            figure.set_figheight(height + 0.2)
    return figure


def _line(axes: Axes, points: Mapping[int, Interval], index: int, scale: float) -> None:
    steps, means = list(points), [scale * each.mean for each in points.values()]
    style = LINES[index % len(LINES)]
    axes.plot(steps, means, color=colour(index), linestyle=style, marker="o", markersize=2.5, linewidth=1.4)
    low = [scale * (each.low if each.observations > 1 else each.mean) for each in points.values()]
    high = [scale * (each.high if each.observations > 1 else each.mean) for each in points.values()]
    axes.fill_between(steps, low, high, color=colour(index), alpha=0.13, linewidth=0)
    axes.margins(x=0.03)


def _scale(axes: Axes) -> None:
    """Show what has two signs and several powers of ten; bands may leave the picture."""
    values = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in axes.lines] or [np.zeros(1)])
    sizes = np.abs(values[values != 0])
    if sizes.size and sizes.max() > 20 * np.median(sizes):
        axes.set_yscale("symlog", linthresh=float(np.median(sizes)))
    if sizes.size:
        room = 0.3 * float(np.ptp(values) or sizes.max())
        axes.set_ylim(values.min() - room, values.max() + room)


def _correlations(results: Mapping[str, Coherence]) -> Figure:
    """Draw the mean rank correlation with accuracy for every measure, and small dots for single steps."""
    found = correlations(results)
    with styled():
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        axes: Axes = figure.subplots()
        for row, each in enumerate(found.values()):
            shades = np.linspace(0.25, 0.9, len(each.by_step))
            for shade, value in zip(shades, each.by_step.values(), strict=True):
                axes.plot(value, row + 0.22, "o", color=colour(2), alpha=shade, markersize=3, markeredgewidth=0)
            axes.barh(row - 0.12, each.mean, 0.32, color=colour(0))
            axes.text(1.06, row, f"p = {each.p:.2f}", va="center", fontsize=7.5)
        axes.axvline(0, color="#333333", linewidth=0.8)
        axes.set_xlim(-1.05, 1.05)
        axes.set_yticks(range(len(found)), [MEASURES[name] for name in found], fontsize=7.5)
        axes.invert_yaxis()
        axes.set_xlabel("rank correlation with accuracy")
    return figure
