"""Accuracy by inner steps: at test, with the head as trained and zeroed, and over runs by inner steps in training."""

from collections.abc import Mapping, Sequence
from typing import Literal

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from innerloop.analysis.inner_steps import InnerSteps
from innerloop.figures.alike import alike
from innerloop.figures.style import HEIGHT, WIDTH, colour, legend, styled
from innerloop.statistics import Interval

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
Style = Literal["-", "--"]
AS_TRAINED: Style = "-"
ZEROED: Style = "--"


def draw(results: Mapping[str, InnerSteps]) -> dict[str, Figure]:
    """Draw the figures: `accuracy`, and `training_steps` where runs were trained with different numbers of steps."""
    figures = {"accuracy": _accuracy(results)}
    if len({each.training_steps for each in results.values()}) > 1:
        figures["training_steps"] = _training_steps(results)
    return figures


def shown_from(results: Mapping[str, InnerSteps]) -> int:
    """Return the first number of steps that is drawn.

    Before adaptation most learners are near chance, which would squeeze what differs; 0 steps are drawn where they are
    among the best, or where there is too little else.
    """
    arms = [arm for each in results.values() for arm in (each.as_trained, each.zeroed)]
    return 0 if any(not arm.enough or arm.best == 0 or len(arm.accuracy) < 3 for arm in arms) else 1


def lines(results: Mapping[str, InnerSteps]) -> dict[str, list[str]]:
    """Return which runs share a line over inner steps in training, by the line's name: those of one head policy."""
    numbers = {label: each.training_steps for label, each in results.items()}
    return alike(
        numbers, {label: "zero head" if each.head_is_zero else "other head" for label, each in results.items()}
    )


def _accuracy(results: Mapping[str, InnerSteps]) -> Figure:
    """Draw accuracy by inner steps at test, a colour a run; a head that is zero anyway has one line, not two."""
    with styled():
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        axes: Axes = figure.subplots()
        first = shown_from(results)
        for index, each in enumerate(results.values()):
            steps = range(first, each.most + 1)
            _band(axes, index, steps, each.as_trained.accuracy[first:], AS_TRAINED)
            if not each.head_is_zero:
                _band(axes, index, steps, each.zeroed.accuracy[first:], ZEROED)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("inner steps at test")
        axes.set_ylabel("accuracy, %")
        axes.margins(x=0.02)
        zeroed = "" if all(each.head_is_zero for each in results.values()) else "head zeroed first"
        _legend(figure, list(results), "head as trained", zeroed)
    return figure


def _training_steps(results: Mapping[str, InnerSteps]) -> Figure:
    """Draw accuracy at test by inner steps in training, a line for all runs that treat the head alike."""
    with styled():
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        axes: Axes = figure.subplots()
        groups = lines(results)
        for index, members in enumerate(groups.values()):
            runs = sorted((results[label] for label in members), key=lambda each: each.training_steps)
            steps = [each.training_steps for each in runs]
            _points(axes, index, steps, [each.as_tested for each in runs], AS_TRAINED)
            _points(axes, index, steps, [each.zeroed.accuracy[1] for each in runs], ZEROED)
        axes.set_xticks(sorted({each.training_steps for each in results.values()}))
        axes.set_xlabel("inner steps in training")
        axes.set_ylabel("accuracy, %")
        _legend(figure, list(groups), "as tested", "head zeroed, 1 step")
    return figure


def _band(axes: Axes, index: int, steps: Sequence[int], accuracy: Sequence[Interval], style: Style) -> None:
    means = [100 * each.mean for each in accuracy]
    axes.plot(steps, means, color=colour(index), linestyle=style, marker=MARKERS[index % len(MARKERS)], markersize=4)
    if accuracy[0].observations > 1:
        low, high = [100 * each.low for each in accuracy], [100 * each.high for each in accuracy]
        axes.fill_between(steps, low, high, color=colour(index), alpha=0.13, linewidth=0)


def _points(axes: Axes, index: int, steps: Sequence[int], accuracy: Sequence[Interval], style: Style) -> None:
    errors = [100 * each.half_width if each.observations > 1 else 0.0 for each in accuracy]
    axes.errorbar(
        steps,
        [100 * each.mean for each in accuracy],
        errors,
        color=colour(index),
        linestyle=style,
        marker=MARKERS[index % len(MARKERS)],
        markersize=4,
        elinewidth=0.9,
        capsize=2,
    )


def _legend(figure: Figure, labels: Sequence[str], solid: str, dashed: str) -> None:
    """Say above the axes which colour is whose, and what a solid and a dashed line are."""
    handles: list[Artist] = [
        Line2D([], [], color=colour(index), marker=MARKERS[index % len(MARKERS)], markersize=4, label=label)
        for index, label in enumerate(labels)
    ]
    handles += [
        Line2D([], [], color="#333333", linestyle=style, label=text)
        for style, text in ((AS_TRAINED, solid), (ZEROED, dashed))
        if text
    ]
    legend(figure, len(handles), handles)
