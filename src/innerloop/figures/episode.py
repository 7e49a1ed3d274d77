"""An episode as a picture: a row a class, its support on the left and queries on the right."""

from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from innerloop.data.episode import Episode, spelled
from innerloop.errors import on_one_line
from innerloop.figures.style import WIDTH, show_picture, styled

EDGE, BETWEEN, HEAD, LINE = 0.05, 0.03, 0.24, 0.2  # inches: margin, between images, top line, a class's name
GAP = 0.5  # between support and queries, in images
LONGEST = 56  # letters of a class's name that fit the width


def is_picture(shape: Sequence[int]) -> bool:
    """Return whether examples of this shape can be drawn: [channel height width], grey or colour."""
    return len(shape) == 3 and shape[0] in (1, 3)


def draw(
    episode: Episode, most_queries: int = 7, most_support: int = 5, class_names: Sequence[str] | None = None
) -> Figure:
    """Draw one episode, and say where not all of it is shown.

    Args:
        episode: Images [example channel height width], targets class slots; values outside [0, 1] are scaled by the
            episode's range.
        most_queries: How many queries of a class are shown.
        most_support: How many support examples of a class are shown.
        class_names: What each slot's class is called, written above its row; of long names the end.
    """
    slots = sorted(set(episode.support.targets.tolist()))
    sides = [
        [inputs[examples.targets == slot] for slot in slots]
        for examples, inputs in zip(episode, _in_unit_range(episode), strict=True)
    ]
    shown = [min(most, max(map(len, side))) for side, most in zip(sides, (most_support, most_queries), strict=True)]
    heads = [_head(word, side, most) for word, side, most in zip(("support", "query"), sides, shown, strict=True)]
    size = (WIDTH - 2 * EDGE) / (sum(shown) + GAP)
    pitch = size + (0 if class_names is None else LINE)
    height = HEAD + len(slots) * pitch + EDGE
    # Placed by hand: a layout engine would make room for the names by making the images small.
    with styled(), mpl.rc_context({"axes.grid": False}):
        figure = Figure(figsize=(WIDTH, height))
        for row in range(len(slots)):
            bottom = height - HEAD - (row + 1) * pitch
            for number, (side, most, start) in enumerate(zip(sides, shown, (0, shown[0] + GAP), strict=True)):
                for column, image in enumerate(side[row][:most]):
                    corner = ((EDGE + (start + column) * size) / WIDTH, bottom / height)
                    inches = size - BETWEEN
                    axes = figure.add_axes((*corner, inches / WIDTH, inches / height))
                    if column == 0:
                        _write(axes, row, number, heads, class_names)
                    show_picture(axes, image.numpy())
        if class_names is not None:
            left, right = heads
            figure.text(EDGE / WIDTH, 1 - EDGE / height, f"{left} on the left; {right} on the right", va="top", size=8)
    return figure


def _write(axes: Axes, row: int, side: int, heads: Sequence[str], class_names: Sequence[str] | None) -> None:
    if class_names is None and row == 0:
        axes.set_title(heads[side], fontsize=9, loc="left", pad=3)
    elif class_names is not None and side == 0:
        name = on_one_line(class_names[row])
        short = name if len(name) <= LONGEST else f"…{name[1 - LONGEST :]}"
        axes.set_title(short, fontsize=8, loc="left", pad=2)


def _head(word: str, side: Sequence[Tensor], most: int) -> str:
    sizes = [len(images) for images in side]
    return word if max(sizes) <= most else f"{word} ({most} of {spelled((min(sizes), max(sizes)))})"


def _in_unit_range(episode: Episode) -> list[Tensor]:
    inputs = [examples.inputs for examples in episode]
    low, high = (float(each) for each in (min(x.min() for x in inputs), max(x.max() for x in inputs)))
    if low >= 0 and high <= 1:
        return inputs
    return [(x - low) / (high - low or 1) for x in inputs]
