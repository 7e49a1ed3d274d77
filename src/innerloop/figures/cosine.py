"""How features of one class lie to those of others, by kind of pair and by class; and the loss as inner products."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from innerloop.analysis.cosine import Separation
from innerloop.analysis.products import Matrix, Products
from innerloop.errors import on_one_line
from innerloop.figures.style import HEIGHT, WIDTH, colour, legend, styled

KINDS = {
    "query_support": "query,\nsupport",
    "query_query": "query,\nquery",
    "support_support": "support,\nsupport",
    "adapted": "query,\nsupport,\nadapted",
}
MOST_MAPS, MOST_PRODUCTS = 4, 2  # as many runs as stay readable in one figure
MOST_NAMES, MOST_NUMBERS = 20, 8  # classes a map names, and writes numbers for
LONGEST = 10


def draw(results: Mapping[str, Separation]) -> dict[str, Figure]:
    """Draw the figures: `pairs`, `classes`, and `products` where a run has them."""
    figures = {"pairs": pairs(results), "classes": classes(dict(list(results.items())[:MOST_MAPS]))}
    multiplied = shown_products(results)
    return figures | ({"products": products(multiplied, results)} if multiplied else {})


def shown_products(results: Mapping[str, Separation]) -> dict[str, Products]:
    """Return the first runs' products, as many as are drawn."""
    there = [(label, each.products) for label, each in results.items() if each.products is not None]
    return dict(there[:MOST_PRODUCTS])


def pairs(results: Mapping[str, Separation]) -> Figure:
    """Draw, for each kind of pair and each run, the mean cosine of one class (full) and of different classes (hollow).

    The line between both is the gap.
    """
    with styled():
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        axes: Axes = figure.subplots()
        for index, (label, each) in enumerate(results.items()):
            aside = 0.7 * (index - (len(results) - 1) / 2) / len(results)
            for place, kind in enumerate(KINDS):
                pair, x = getattr(each, kind), place + aside
                if pair.same is not None and pair.different is not None:
                    axes.plot([x, x], [pair.same.mean, pair.different.mean], color=colour(index), linewidth=2.4)
                for value, face in ((pair.same, colour(index)), (pair.different, "white")):
                    if value is not None:
                        error = value.half_width if value.observations > 1 else 0.0
                        axes.errorbar(
                            x, value.mean, error, color=colour(index), marker="o", mfc=face, markersize=6, capsize=3,
                            elinewidth=0.9,
                        )  # fmt: skip
            axes.plot([], [], color=colour(index), marker="o", label=label)
        axes.set_xticks(range(len(KINDS)), KINDS.values(), fontsize=8.5)
        axes.set_xlim(-0.5, len(KINDS) - 0.5)
        axes.tick_params(axis="x", length=0)
        axes.grid(visible=False, axis="x")
        axes.set_ylabel("cosine of features")
        legend(figure, len(results))
    return figure


def classes(results: Mapping[str, Separation]) -> Figure:
    """Draw the first episode's cosines class by class, a map a run, on one scale of colour."""
    columns = min(2, len(results))
    rows = -(-len(results) // columns)
    maps = {label: _array(each.by_class) for label, each in results.items()}
    low, high = (float(edge(list(map(edge, maps.values())))) for edge in (np.nanmin, np.nanmax))
    with styled():
        figure = Figure(figsize=(WIDTH, 0.6 + 2.6 * rows if rows == 1 else 1 + 2.1 * rows), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes in grid.flat[len(results) :]:
            axes.set_axis_off()
        image = None
        for number, (axes, (label, each)) in enumerate(zip(grid.flat, results.items(), strict=False)):
            image = _map(axes, maps[label], low, high)
            names = shortened(each.classes) if len(each.classes) <= MOST_NAMES else []
            _names(axes, names, "x" if number + columns >= len(results) else "")
            if number % columns == 0:
                _names(axes, names, "y")
                axes.set_ylabel("query")
            if number + columns >= len(results):
                axes.set_xlabel("support")
            if len(results) > 1:
                axes.set_title(label, fontsize=9, pad=4)
        if image is not None:
            figure.colorbar(image, ax=list(grid.flat), shrink=0.8, aspect=25, label="mean cosine")
    return figure


def products(multiplied: Mapping[str, Products], results: Mapping[str, Separation]) -> Figure:
    """Draw the first episode's mean logits, and beside them what the loss compares: probabilities, or the target."""
    with styled():
        figure = Figure(figsize=(WIDTH, 0.5 + 2.3 * len(multiplied)), layout="constrained")
        grid = figure.subplots(len(multiplied), 2, squeeze=False)
        for row, (label, each) in zip(grid, multiplied.items(), strict=True):
            logits = _array(each.logits)
            if each.loss == "mse":
                beside, title = np.eye(*logits.shape), "target"
            else:
                beside, title = _array(each.predicted), "probabilities"
            names = shortened(results[label].classes) if len(logits) <= MOST_NAMES else []
            where = f"{label}: " if len(results) > 1 else ""
            for axes, values, name in ((row[0], logits, f"{where}logits"), (row[1], beside, title)):
                low, high = (0.0, 1.0) if values is beside else (float(np.nanmin(values)), float(np.nanmax(values)))
                _map(axes, values, low, high, numbers=max(values.shape) <= MOST_NUMBERS)
                axes.set_title(name, fontsize=8, pad=4)
            _names(row[0], names, "y")
        for axes in grid[-1]:
            axes.set_xlabel("slot")
        for axes in grid[:, 0]:
            axes.set_ylabel("query")
    return figure


def shortened(names: Sequence[str]) -> list[str]:
    """Return class names that fit an axis: without words that all share, all but the last cut to three letters."""
    words = [on_one_line(name).replace("/", " ").replace("_", " ").split() for name in names]
    shared = set.intersection(*map(set, words)) if len(words) > 1 else set()
    own = [[word for word in each if word not in shared] or each for each in words]
    return [_fitting(each) for each in own]


def _fitting(words: Sequence[str]) -> str:
    whole = " ".join(words)
    if len(whole) <= LONGEST:
        return whole
    short = " ".join([*(word[:3] for word in words[:-1]), words[-1]])
    return short if len(short) <= LONGEST else f"{short[:4].rstrip()}…{short[-5:].lstrip()}"


def _array(matrix: Matrix) -> NDArray[np.float64]:
    return np.array([[np.nan if value is None else value for value in row] for row in matrix])


def _map(axes: Axes, values: NDArray[np.float64], low: float, high: float, *, numbers: bool = False) -> AxesImage:
    """Draw a matrix as colours from dark (low) to bright (high), with its numbers in the cells where asked."""
    image = axes.imshow(values, cmap="cividis", vmin=low, vmax=high, aspect="auto")
    axes.grid(visible=False)
    axes.set_xticks([])
    axes.set_yticks([])
    for (row, column), value in np.ndenumerate(values):
        if numbers and not np.isnan(value):
            bright = value > (low + high) / 2
            text = f"{value:z.2f}" if abs(value) < 100 else f"{value:.0f}"
            axes.text(column, row, text, ha="center", va="center", fontsize=7, color="black" if bright else "white")
    return image


def _names(axes: Axes, names: Sequence[str], side: str) -> None:
    size = 7 if len(names) <= 8 else 5
    if side == "x":
        axes.set_xticks(range(len(names)), names, fontsize=size, rotation=90)
    if side == "y":
        axes.set_yticks(range(len(names)), names, fontsize=size)
    axes.tick_params(length=0)
