"""An episode in two dimensions, before adaptation and after: points, centroids, and the regions a head decides on."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from innerloop.analysis.flat import Picture, Points, Stage
from innerloop.figures.style import COLOURS, WIDTH, legend, short, styled

Kind = Literal["plane", "map"]
STAGES = {"before": "before adaptation", "after": "after"}
PALE = 0.22  # how much of a class's colour its region has
CELLS = 160


def flattened(pictures: Mapping[str, Sequence[Picture]], kind: Kind) -> Figure:
    """Draw a row an episode of each run, with a panel before adaptation and one after.

    Args:
        pictures: At least one for every label.
        kind: `plane` has regions, `map` has none.
    """
    rows = [(label, each) for label, several in pictures.items() for each in several]
    with styled(), mpl.rc_context({"axes.grid": False}):
        figure = Figure(figsize=(WIDTH, 2.3 * len(rows)), layout="constrained")
        panels = figure.subplots(len(rows), 2, squeeze=False)
        for axes_row, (label, picture) in zip(panels, rows, strict=True):
            for axes, (when, title) in zip(axes_row, STAGES.items(), strict=True):
                stage: Stage = getattr(picture, when)
                if kind == "plane":
                    _regions(axes, stage)
                _points(axes, picture, stage, stage.plane if kind == "plane" else stage.map)
                axes.set_title(title, fontsize=8.5, loc="left", pad=3)
            if len(rows) > 1:
                several = len(pictures[label]) > 1
                axes_row[0].set_ylabel(f"{label}, episode {picture.number}" if several else label, fontsize=8)
        handles = _handles([picture for _, picture in rows])
        legend(figure, len(handles), handles)
        figure.set_figheight(2.2 * len(rows) + 0.2 * -(-len(handles) // 3) + 0.1)
    return figure


def shade(slot: int) -> str:
    """Return the colour of a class; after seven they come again."""
    return COLOURS[slot % len(COLOURS)]


def region(stage: Stage, corners: tuple[float, float, float, float], cells: int = CELLS) -> NDArray[np.int64]:
    """Return the slot with the largest logit on a lattice of the plane [row column], rows from below.

    Args:
        stage: Whose head.
        corners: Left, right, lower and upper end.
        cells: Along either side.
    """
    across, along = np.linspace(*corners[:2], cells), np.linspace(*corners[2:], cells)
    places = np.stack(np.meshgrid(across, along), axis=-1)
    logits = places @ np.array(stage.slopes).T + np.array(stage.offsets)
    found: NDArray[np.int64] = logits.argmax(-1)
    return found


def _regions(axes: Axes, stage: Stage) -> None:
    """Colour the plane by what the head says there; a head that says the same of all classes leaves it white."""
    corners = _corners(stage.plane)
    axes.set(xlim=corners[:2], ylim=corners[2:])
    if not stage.is_blank:
        pale = np.array([[1 - PALE * (1 - part) for part in to_rgb(shade(slot))] for slot in range(len(stage.slopes))])
        axes.imshow(pale[region(stage, corners)], extent=corners, origin="lower", aspect="auto", zorder=0)


def _corners(points: Points) -> tuple[float, float, float, float]:
    """Return a square around all points, with a margin."""
    places = np.array([*points.support, *points.query, *points.centroids])
    low, high = places.min(0), places.max(0)
    middle, half = (low + high) / 2, 0.54 * max(float((high - low).max()), 1e-9)
    return middle[0] - half, middle[0] + half, middle[1] - half, middle[1] + half


def _points(axes: Axes, picture: Picture, stage: Stage, points: Points | None) -> None:
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(visible=True, color="#cccccc", linewidth=0.6)
    if points is None:
        axes.text(0.5, 0.5, "nothing to tell apart", ha="center", transform=axes.transAxes, fontsize=8)
        return
    query, asked, named = (np.array(each) for each in (points.query, picture.query, stage.named))
    support, labels = np.array(points.support), np.array(picture.support)
    for slot in sorted({*picture.support, *picture.query}):
        is_right = (named == asked) | stage.is_blank
        for right in (True, False):
            axes.plot(*query[(asked == slot) & (is_right == right)].T, **_query(shade(slot), right))
        axes.plot(*support[labels == slot].T, **_support(shade(slot)))
    for place, slot in zip(points.centroids, sorted(set(picture.support)), strict=True):
        if picture.support.count(slot) > 1:  # else the support example is the centroid
            axes.plot(*place, **_centroid(shade(slot)))


def _query(tint: str, is_right: bool) -> dict[str, Any]:
    if is_right:
        return {"marker": "o", "markersize": 3, "color": tint, "linestyle": "", "markeredgewidth": 0}
    return {"marker": "x", "markersize": 3.6, "color": tint, "linestyle": "", "markeredgewidth": 1}


def _support(tint: str) -> dict[str, Any]:
    return {"marker": "s", "markersize": 6, "color": tint, "linestyle": "", "markeredgecolor": "k"}


def _centroid(tint: str) -> dict[str, Any]:
    return {"marker": "*", "markersize": 8, "color": tint, "linestyle": "", "markeredgecolor": "k"}


def _handles(pictures: Sequence[Picture]) -> list[Artist]:
    """Return what the legend shows: classes where all pictures have the same few, and the kinds of points."""
    grey = "#777777"
    handles: list[Artist] = []
    first = pictures[0].classes
    if len(first) <= len(COLOURS) and all(each.classes == first for each in pictures):
        handles += [
            Line2D([], [], label=short(name, 16), **_query(shade(slot), True) | {"markersize": 6})
            for slot, name in enumerate(first)
        ]
    kinds = {
        "support": _support(grey),
        "centroid": _centroid(grey),
        "query": _query(grey, True) | {"markersize": 4.5},
        "misnamed": _query(grey, False) | {"markersize": 5},
    }
    if all(each.support.count(slot) == 1 for each in pictures for slot in each.support):
        del kinds["centroid"]
    return [*handles, *(Line2D([], [], label=name, **how) for name, how in kinds.items())]
