"""Confidence on new tasks: which scores tell the accuracy, whether bounds hold, and what is guaranteed."""

from collections.abc import Mapping

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from innerloop.analysis.confidence import Confidence, Coverage
from innerloop.figures.style import HEIGHT, WIDTH, colour, legend, styled
from innerloop.statistics import Share

NAMES = {
    "margin": "margin",
    "certainty": "largest softmax",
    "left_out": "left-out accuracy",
    "separation": "class separation",
    "distance": "centroid distance",
    "residual": "what a bank leaves",
    "predicted": "all of them",
}
BOUNDS = {"line": "along the line", "spread": "whole spread", "shots": "few-shot centroids"}
HOME, NEW = "s", "o"


def draw(results: Mapping[str, Confidence]) -> dict[str, Figure]:
    """Draw the figures: `scores`, `coverage`, `prediction`, and `guarantee` where there is one."""
    figures = {"coverage": _coverage(results), "prediction": _prediction(results)}
    if any(_correlations(each) for each in results.values()):
        figures["scores"] = _scores(results)
    if any(each.representation for each in results.values()):
        figures["guarantee"] = _guarantee(results)
    return figures


def _correlations(result: Confidence) -> bool:
    return any(each.held_out or each.explained for each in result.scores)


def _scores(results: Mapping[str, Confidence]) -> Figure:
    """Draw every score's rank correlation with accuracy, a line a run and kind of episode."""
    with styled():
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        axes: Axes = figure.subplots()
        names = list(dict.fromkeys(score.name for each in results.values() for score in each.scores))
        rows = [(label, side) for label in results for side in ("held_out", "explained")]
        for place, (label, side) in enumerate(rows):
            for score in results[label].scores:
                found = getattr(score, side)
                if found is not None:
                    y = names.index(score.name) + (place - (len(rows) - 1) / 2) * 0.7 / len(rows)
                    ends = [[found.value - found.low], [found.high - found.value]]
                    tint = colour(list(results).index(label))
                    axes.errorbar(
                        [found.value],
                        [y],
                        xerr=ends,
                        fmt=_marker(side),
                        markersize=4,
                        color=tint,
                        markerfacecolor=_filled(side, tint),
                        elinewidth=1.1,
                    )
        axes.axvline(0, color="#333333", linewidth=0.8)
        axes.set_yticks(range(len(names)), [NAMES[name] for name in names])
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("rank correlation with a task's accuracy")
        _legend(figure, results)
    return figure


def _coverage(results: Mapping[str, Confidence]) -> Figure:
    """Draw how often bounds held by how often they should, with exact intervals."""
    with styled():
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        axes: Axes = figure.subplots()
        levels = sorted({100 * level.level for each in results.values() for level in each.levels})
        # Side by side, so that intervals do not hide one another: a step of a fraction of the gap between levels.
        gap = min(np.diff(levels), default=5.0)
        count = 2 * len(results)
        for index, each in enumerate(results.values()):
            for number, side in enumerate(("held_out", "explained")):
                shift = (2 * index + number - (count - 1) / 2) * 0.6 * gap / count
                held: list[Share] = [_at(level, side).held for level in each.levels]
                places = [100 * level.level + shift for level in each.levels]
                values = [100 * one.value for one in held]
                ends = [
                    [value - 100 * one.low for one, value in zip(held, values, strict=True)],
                    [100 * one.high - value for one, value in zip(held, values, strict=True)],
                ]
                tint = colour(index)
                axes.errorbar(
                    places,
                    values,
                    ends,
                    fmt=_marker(side),
                    markersize=4.5,
                    color=tint,
                    markerfacecolor=_filled(side, tint),
                    elinewidth=1.1,
                    capsize=2,
                )
        for level in levels:
            axes.plot([level - gap / 2, level + gap / 2], [level, level], color="#333333", linewidth=1, linestyle="--")
        axes.set_xticks(levels, [f"{level:g}%" for level in levels])
        axes.set_xlabel("how often the bound should hold")
        axes.set_ylabel("how often it held, %")
        axes.grid(visible=False, axis="x")
        _legend(figure, results)
    return figure


def _at(level: object, side: str) -> Coverage:
    found: Coverage = getattr(level, side)
    return found


def _prediction(results: Mapping[str, Confidence]) -> Figure:
    """Draw every explained task's prediction and accuracy, and the line below which it fell short of the prediction."""
    with styled():
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        axes: Axes = figure.subplots()
        handles: list[Artist] = []
        for index, (label, each) in enumerate(results.items()):
            predicted, true = 100 * np.array(each.points).T
            axes.plot(predicted, true, linestyle="", marker=NEW, markersize=3, alpha=0.55, color=colour(index))
            handles.append(Line2D([], [], linestyle="", marker=NEW, color=colour(index), label=label))
        places = [place for each in results.values() for place, _ in each.points]
        low, high = 100 * min(places), 100 * max(places)
        axes.plot([low, high], [low, high], color="#333333", linewidth=1, linestyle="--")
        axes.set_xlabel("accuracy predicted from the support set, %")
        axes.set_ylabel("accuracy, %")
        legend(figure, len(handles), handles)
    return figure


def _guarantee(results: Mapping[str, Confidence]) -> Figure:
    """Draw bounds on the nearest centroid's error as open bars, and what was observed as filled ones within."""
    with styled():
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        axes: Axes = figure.subplots()
        there = {label: each.representation for label, each in results.items() if each.representation}
        width = 0.8 / len(there)
        for index, (label, each) in enumerate(there.items()):
            tint = colour(list(results).index(label))
            places = [place + (index - (len(there) - 1) / 2) * width for place in range(len(each.bounds))]
            bounds = [100 * one.bound for one in each.bounds]
            axes.bar(places, bounds, 0.9 * width, facecolor="none", edgecolor=tint, linewidth=1.2)
            axes.bar(places, [100 * one.error for one in each.bounds], 0.9 * width, color=tint, label=label)
        chance = next(iter(there.values())).chance
        axes.axhline(100 * chance, color="#333333", linewidth=1, linestyle="--")
        axes.text(-0.48, 100 * chance + 1, "guessing", fontsize=7.5, va="bottom")
        axes.set_ylim(0, 108)
        names = [BOUNDS[one.name] for one in next(iter(there.values())).bounds]
        axes.set_xticks(range(len(names)), names)
        axes.tick_params(axis="x", length=0)
        axes.grid(visible=False, axis="x")
        axes.set_ylabel("error of the nearest centroid, %")
        legend(figure, len(there))
    return figure


def _marker(side: str) -> str:
    return HOME if side == "held_out" else NEW


def _filled(side: str, tint: str) -> str:
    return "white" if side == "held_out" else tint


def _legend(figure: Figure, results: Mapping[str, Confidence]) -> None:
    """Say whose colour is which where there are several, and which marker is of which episodes."""
    handles: list[Artist] = []
    if len(results) > 1:
        handles += [Line2D([], [], color=colour(index), label=label) for index, label in enumerate(results)]
    tint = "#333333" if len(results) > 1 else colour(0)
    for side, text in (("held_out", "validation, held out"), ("explained", "explained")):
        filled = _filled(side, tint)
        handles.append(
            Line2D([], [], linestyle="", marker=_marker(side), color=tint, markerfacecolor=filled, label=text)
        )
    legend(figure, len(handles), handles)
