"""Tasks as points: a map with pictures, what combinations of seen tasks leave, and whether that tells the accuracy."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.offsetbox import AnnotationBbox, HPacker, OffsetImage

from innerloop.analysis.tasks import Related, Shown, TaskMap, Tasks
from innerloop.data.pictures import from_text
from innerloop.errors import on_one_line
from innerloop.figures.style import HEIGHT, WIDTH, colour, legend, show_picture, styled

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
CONTROLS = {
    "task": "the task",
    "shuffled": "labels at\nrandom",
    "others": "random\nneighbours",
    "direction": "random\ndirection",
}
GREY = "#9a9a9a"
PICTURES = 5  # of a task, at most
INCHES = 0.14  # a side of a picture on the map
FIRST = 8  # letters of a class's name under its picture


def draw(results: Mapping[str, Tasks]) -> dict[str, Figure]:
    """Draw the figures: `residuals` and `prediction` of all, `map` and `neighbours` of the first that has them."""
    figures = {"residuals": _residuals(results)}
    if next(iter(results.values())).accuracy.observations > 1:
        figures["prediction"] = _prediction(results)
    mapped = next((each.map for each in results.values() if each.map is not None), None)
    if mapped is not None:
        figures["map"] = _map(mapped)
    related = next((each.related for each in results.values() if _pictured(each.related)), ())
    if related:
        figures["neighbours"] = _neighbours(_pictured(related))
    return figures


def _pictured(related: Sequence[Related]) -> list[Related]:
    return [each for each in related if each.task.pictures and each.neighbours]


def _residuals(results: Mapping[str, Tasks]) -> Figure:
    """Draw what is left of tasks and controls as points: they lie close together, and far from nothing."""
    with styled():
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        axes: Axes = figure.subplots()
        for index, (label, each) in enumerate(results.items()):
            left = [getattr(each.nonnegative, name) for name in CONTROLS]
            places = [place + (index - (len(results) - 1) / 2) * 0.6 / len(results) for place in range(len(left))]
            errors = [100 * one.half_width if one.observations > 1 else 0.0 for one in left]
            means = [100 * one.mean for one in left]
            marker = MARKERS[index % len(MARKERS)]
            axes.errorbar(
                places, means, errors, fmt=marker, markersize=5, capsize=2.5, color=colour(index), label=label
            )
        axes.set_xticks(range(len(CONTROLS)), list(CONTROLS.values()))
        axes.set_xlim(-0.5, len(CONTROLS) - 0.5)
        axes.grid(visible=False, axis="x")
        axes.set_ylabel("left unexplained, % of length")
        legend(figure, len(results))
    return figure


def _prediction(results: Mapping[str, Tasks]) -> Figure:
    with styled():
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        axes: Axes = figure.subplots()
        for index, (label, each) in enumerate(results.items()):
            places = 100 * np.array(each.points)
            marker = MARKERS[index % len(MARKERS)]
            axes.plot(*places.T, linestyle="", marker=marker, markersize=3, alpha=0.6, color=colour(index), label=label)
        axes.set_xlabel("left unexplained, % of length")
        axes.set_ylabel("accuracy, %")
        legend(figure, len(results))
    return figure


def _map(mapped: TaskMap) -> Figure:
    """Draw the bank in grey, new tasks in the colour of their accuracy, and a few of both as pictures."""
    with styled(), mpl.rc_context({"axes.grid": False}):
        figure = Figure(figsize=(WIDTH, WIDTH), layout="constrained")
        axes: Axes = figure.subplots()
        if mapped.bank:
            across, along = np.array(mapped.bank).T
            axes.scatter(across, along, s=5, color="#c8c8c8", linewidths=0)
        across, along = np.array(mapped.tasks).T
        shade = 100 * np.array(mapped.accuracies)
        shades = axes.scatter(across, along, 16, shade, cmap="viridis", edgecolors="k", linewidths=0.3, zorder=3)
        bar = figure.colorbar(shades, ax=axes, shrink=0.6, aspect=25, pad=0.01)
        bar.set_label("accuracy of new tasks, %", fontsize=8)
        bar.ax.tick_params(labelsize=7.5)
        for each in mapped.shown:
            axes.add_artist(_strip(each.task, each.place, "#000000" if each.is_new else GREY))
        axes.set(xticks=[], yticks=[])
        axes.margins(0.13)
        for spine in axes.spines.values():
            spine.set(visible=True, color="#cccccc", linewidth=0.6)
        handles = [
            Line2D([], [], linestyle="", marker="o", markersize=4.5, color="#3b8a8a", markeredgecolor="k", label="new"),
            Line2D([], [], linestyle="", marker="o", markersize=3, color="#c8c8c8", label="of training classes"),
        ]
        figure.legend(handles=handles, loc="outside upper left", ncols=2, handlelength=1, borderaxespad=0.2)
    return figure


def _strip(task: Shown, place: tuple[float, float], edge: str) -> AnnotationBbox:
    """Return a task's pictures side by side, just above its place."""
    images: list[Artist] = []
    for text in task.pictures[:PICTURES]:
        image = from_text(text)
        picture = 1 - image[0] if len(image) == 1 else image.transpose(1, 2, 0)
        zoom = 72 * INCHES / picture.shape[0]
        images.append(OffsetImage(picture, zoom=zoom, cmap="gray", clim=(0, 1), interpolation="nearest"))
    return AnnotationBbox(
        HPacker(children=images, pad=0, sep=0.6),
        place,
        xybox=(0, 9),
        boxcoords="offset points",
        pad=0.1,
        bboxprops={"edgecolor": edge, "linewidth": 0.6, "alpha": 0.92},
        zorder=4,
    )


def _neighbours(related: Sequence[Related]) -> Figure:
    """Draw a block a new task: its pictures in the first row, the training tasks that weigh most in it below."""
    rows = [(task, said) for each in related for task, said in _rows(each)]
    columns = max(len(task.pictures[:PICTURES]) for task, _ in rows)
    pitch = 0.5
    heights = [pitch + (0.12 if said.startswith("new") else 0) for _, said in rows]
    height = sum(heights) + 0.05
    with styled(), mpl.rc_context({"axes.grid": False}):
        figure = Figure(figsize=(WIDTH, height))
        top = height
        for (task, said), tall in zip(rows, heights, strict=True):
            top -= tall
            figure.text(0.02, (top + pitch / 2) / height, said, va="center", fontsize=8)
            for column, text in enumerate(task.pictures[:PICTURES]):
                side = pitch - 0.14
                left = 1.15 + column * (WIDTH - 1.2) / columns
                axes = figure.add_axes((left / WIDTH, (top + 0.13) / height, side / WIDTH, side / height))
                show_picture(axes, from_text(text))
                axes.set_xlabel(_name(task.classes[column]), fontsize=5.5, labelpad=1)
    return figure


def _rows(related: Related) -> list[tuple[Shown, str]]:
    new = f"new task {related.task.number}:\n{100 * related.accuracy:.0f}% right"
    return [
        (related.task, new),
        *((each.task, f"  weight {each.weight:.2f}\n  cosine {each.cosine:.2f}") for each in related.neighbours),
    ]


def _name(name: str) -> str:
    """Return a class's name in two short parts, `Gujarati 27` of a long path."""
    parts = [part for part in on_one_line(name).split("/") if part] or [""]
    family = parts[-2].split("_(")[0][:FIRST] if len(parts) > 1 else ""
    return f"{family} {parts[-1].removeprefix('character')[-FIRST:]}".strip()
