"""Who agrees with the adapted head, who is as accurate, and what an episode looks like in two dimensions."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from innerloop.analysis.head_agreement import HeadAgreement, Reading
from innerloop.figures.flat import flattened
from innerloop.figures.style import COLOURS, HEIGHT, WIDTH, colour, legend, styled
from innerloop.statistics import Interval

HEAD = "adapted head"
READINGS = {
    "inner_product": "centroid, inner product",
    "euclidean": "centroid, Euclidean",
    "cosine": "centroid, cosine",
    "nil": "NIL",
    "logistic": "logistic, matching",
    "logistic_usual": "logistic, C = 1",
    "ridge": "ridge, matching",
    "lda": "LDA",
    "global": "logistic on global centres",
}
PANELS = {
    "logistic_before": "logistic,\nbefore",
    "logistic_after": "logistic,\nadapted",
    "centroid_before": "centroid,\nbefore",
    "centroid_after": "centroid,\nadapted",
}
SHADES = "Blues"
BAND = "#e9e4d6"
BARE: dict[Any, Any] = {"axes.grid": False, "axes.spines.left": False, "axes.spines.bottom": False}


def draw(results: Mapping[str, HeadAgreement]) -> dict[str, Figure]:
    """Draw the figures: `agreement`, `accuracy`, `difference`; where there is what to draw `grid`, `plane`, `map`."""
    figures = {"agreement": _agreement(results), "accuracy": _accuracy(results), "difference": _difference(results)}
    if any(each.cells for each in results.values()):
        figures["grid"] = _grid({label: each for label, each in results.items() if each.cells})
    pictures = {label: each.pictures for label, each in results.items() if each.pictures}
    if pictures:
        figures["plane"] = flattened(pictures, "plane")
        figures["map"] = flattened(pictures, "map")
    return figures


def names(results: Mapping[str, HeadAgreement]) -> list[str]:
    """Return the readings that at least one run has, in reading order."""
    there = {reading.name for each in results.values() for reading in each.after.readings}
    return [name for name in READINGS if name in there]


def _agreement(results: Mapping[str, HeadAgreement]) -> Figure:
    """Draw a square of numbers a run: above the diagonal before adaptation, below after, on it before with after."""
    squares = {label: square(each) for label, each in results.items()}
    low = min(float(each.min()) for each in squares.values())
    with styled(), mpl.rc_context(BARE):
        figure = Figure(figsize=(WIDTH, (WIDTH + 0.2) * len(results)), layout="constrained")
        panels = figure.subplots(len(results), 1, squeeze=False)[:, 0]
        for axes, (label, each) in zip(panels, results.items(), strict=True):
            words = [HEAD, *(READINGS[reading.name] for reading in each.after.readings)]
            _shaded(axes, squares[label], low, 6.5)
            axes.set_xticks(range(len(words)), words, rotation=50, ha="right", rotation_mode="anchor", fontsize=7.5)
            axes.set_yticks(range(len(words)), words, fontsize=7.5)
            axes.set_title(f"{label + ': ' if len(results) > 1 else ''}agreement, %", fontsize=9, loc="left", pad=4)
    return figure


def square(result: HeadAgreement) -> NDArray[np.float64]:
    """Return agreements before adaptation above the diagonal, after it below, and on it of each with itself."""
    above, below = np.triu(np.array(result.before.matrix), 1), np.tril(np.array(result.after.matrix), -1)
    found: NDArray[np.float64] = above + below + np.diag(result.kept)
    return found


def _shaded(axes: Axes, shares: NDArray[np.float64], low: float, size: float) -> None:
    """Show shares as shades from `low` to 1, each with its percent; what is not there is left white."""
    low = min(low, 0.95)
    axes.imshow(shares, cmap=SHADES, vmin=low, vmax=1 + 0.2 * (1 - low), aspect="auto")
    axes.tick_params(length=0, pad=2)
    for row, column in np.ndindex(*shares.shape):
        share = shares[row, column]
        if not np.isnan(share):
            tint = "white" if share - low > 0.6 * (1 - low) else "black"
            axes.text(column, row, f"{100 * share:.0f}", ha="center", va="center", fontsize=size, color=tint)


def _accuracy(results: Mapping[str, HeadAgreement]) -> Figure:
    """Draw the accuracy of every reading with its interval, a colour a run; the head has one."""
    rows = ["head", *names(results)]
    with styled():
        figure, axes = _rows([HEAD, *(READINGS[name] for name in rows[1:])])
        for index, each in enumerate(results.values()):
            aside = 0.72 * (index - (len(results) - 1) / 2) / len(results)
            _dot(axes, index, aside, each.head, is_after=True)
        for place, index, reading, is_after in _spots(results, rows):
            _dot(axes, index, place, reading.accuracy, is_after)
        axes.set_xlabel("accuracy, %")
        _legend(figure, results, len(rows))
    return figure


def _difference(results: Mapping[str, HeadAgreement]) -> Figure:
    """Draw the adapted head's accuracy less every reading's: thick the 90% interval, thin the 95%, and the margin."""
    rows = names(results)
    with styled():
        figure, axes = _rows([READINGS[name] for name in rows])
        margin = 100 * next(iter(results.values())).margin
        axes.axvspan(-margin, margin, color=BAND, linewidth=0, zorder=0)
        axes.axvline(0, color="#333333", linewidth=0.8)
        for place, index, reading, is_after in _spots(results, rows):
            tested = reading.gap.tested
            if tested.observations > 1:
                ends = (100 * tested.low, 100 * tested.high)
                axes.plot(ends, (place, place), color=colour(index), linewidth=2.6, solid_capstyle="butt")
            _dot(axes, index, place, reading.gap.difference, is_after)
        low, high = axes.get_xlim()
        axes.set_xlim(min(low, -1.5 * margin), max(high, 1.5 * margin))
        axes.set_xlabel("adapted head less reading, points")
        _legend(figure, results, len(rows), [Patch(color=BAND, label=f"within {margin:g} points")])
    return figure


def _rows(words: Sequence[str]) -> tuple[Figure, Axes]:
    """Return axes with a row for each of the words, from above."""
    figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
    axes: Axes = figure.subplots()
    axes.set_yticks(range(len(words)), words, fontsize=8)
    axes.set_ylim(len(words) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    for place in range(1, len(words)):
        axes.axhline(place - 0.5, color="#e6e6e6", linewidth=0.6)
    return figure, axes


def _spots(results: Mapping[str, HeadAgreement], rows: Sequence[str]) -> Iterator[tuple[float, int, Reading, bool]]:
    """Yield where each reading stands, its run, and whether it is of adapted features; those that stay stand once."""
    lanes = [
        (index, side, is_after)
        for index, each in enumerate(results.values())
        for side, is_after in ((each.before, False), (each.after, True))
        if is_after or not each.is_still
    ]
    for lane, (index, side, is_after) in enumerate(lanes):
        aside = 0.72 * (lane - (len(lanes) - 1) / 2) / len(lanes)
        for reading in side.readings:
            yield rows.index(reading.name) + aside, index, reading, is_after


def _dot(axes: Axes, index: int, place: float, value: Interval, is_after: bool) -> None:
    axes.errorbar(
        [100 * value.mean],
        [place],
        xerr=[100 * value.half_width if value.observations > 1 else 0.0],
        color=colour(index),
        marker="o",
        markersize=4.5,
        markerfacecolor=colour(index) if is_after else "white",
        elinewidth=0.9,
        capsize=0,
    )


def _legend(figure: Figure, results: Mapping[str, HeadAgreement], rows: int, more: Sequence[Artist] = ()) -> None:
    """Say above the axes whose a colour is and what a hollow dot is, and make the figure as high as its dots need."""
    handles: list[Artist] = []
    if len(results) > 1:
        handles += [Line2D([], [], color=colour(index), marker="o", label=each) for index, each in enumerate(results)]
    moved = sum(not each.is_still for each in results.values())
    if moved:
        for label, face in (("features before", "white"), ("features adapted", "#333333")):
            dot = Line2D([], [], color="#333333", linestyle="", marker="o", markerfacecolor=face, label=label)
            handles.append(dot)
    handles += more
    legend(figure, max(2, len(handles)) if handles else 0, handles)
    extra = figure.get_figheight() - HEIGHT
    figure.set_figheight(0.9 + rows * max(0.25, 0.1 * (len(results) + moved)) + 0.2 * bool(handles) + extra)


def _grid(results: Mapping[str, HeadAgreement]) -> Figure:
    """Draw four small squares a run: whom the head agrees with at every rate (row) and number of steps (column)."""
    panes = {(label, measure): pane(each, measure) for label, each in results.items() for measure in PANELS}
    low = min(float(np.nanmin(each, initial=1.0)) for each in panes.values())
    with styled(), mpl.rc_context(BARE):
        figure = Figure(figsize=(WIDTH, 0.75 + 1.1 * len(results)), layout="constrained")
        panels = figure.subplots(len(results), len(PANELS), squeeze=False, sharey="row")
        for row, (axes_row, (label, each)) in enumerate(zip(panels, results.items(), strict=True)):
            for axes, (measure, title) in zip(axes_row, PANELS.items(), strict=True):
                _shaded(axes, panes[label, measure], low, 7.0)
                _marks(axes, each, panes[label, measure])
                axes.set_title(title if row == 0 else "", fontsize=8.5, pad=3)
            axes_row[0].set_ylabel(f"{label}\nrate" if len(results) > 1 else "rate", fontsize=8)
        figure.supxlabel("inner steps at test", fontsize=8.5)
    return figure


def pane(result: HeadAgreement, measure: str) -> NDArray[np.float64]:
    """Return one of `PANELS` by rate (row) and number of steps (column); NaN where it is defined in no episode."""
    factors, steps = _sides(result)
    shares = np.full((len(factors), len(steps)), np.nan)
    for each in result.cells:
        agreement: Interval | None = getattr(each, measure)
        if agreement is not None:
            shares[factors.index(each.factor), steps.index(each.steps)] = agreement.mean
    return shares


def _sides(result: HeadAgreement) -> tuple[list[float], list[int]]:
    return sorted({each.factor for each in result.cells}), sorted({each.steps for each in result.cells})


def _marks(axes: Axes, result: HeadAgreement, shares: NDArray[np.float64]) -> None:
    """Name rates and steps, and mark cells where an episode diverged or where nothing matches."""
    factors, steps = _sides(result)
    for each in result.cells:
        row, column = factors.index(each.factor), steps.index(each.steps)
        is_there = not np.isnan(shares[row, column])
        if each.diverged:
            below = 0.3 if is_there else 0.0
            axes.text(column, row + below, "div.", ha="center", va="center", fontsize=6, color=COLOURS[0])
        elif not is_there:
            axes.text(column, row, "–", ha="center", va="center", fontsize=7)
    axes.set_xticks(range(len(steps)), [str(each) for each in steps], fontsize=7.5)
    axes.set_yticks(range(len(factors)), [f"×{each:g}" for each in factors], fontsize=7.5)
