"""An episode as a picture: a row a class, its support on the left and queries on the right."""

from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from torch import Tensor

from innerloop.data.episode import Episode
from innerloop.figures.style import WIDTH, show_picture, styled


def draw(
    episode: Episode, most_queries: int = 7, most_support: int = 5, class_names: Sequence[str] | None = None
) -> Figure:
    """Draw one episode.

    Args:
        episode: Images [example channel height width] in [0, 1], targets class slots.
        most_queries: How many queries of a class are shown.
        most_support: How many support examples of a class are shown.
        class_names: What each slot's class is called, written above its row.
    """
    slots = sorted(set(episode.support.targets.tolist()))
    support = [episode.support.inputs[episode.support.targets == slot][:most_support] for slot in slots]
    query = [episode.query.inputs[episode.query.targets == slot][:most_queries] for slot in slots]
    left, right = max(map(len, support)), max(map(len, query))
    close = ConstrainedLayoutEngine(w_pad=0.01, h_pad=0.01, wspace=0.02, hspace=0.02)
    with styled(), mpl.rc_context({"axes.grid": False}):
        figure = Figure(
            figsize=(
                WIDTH,
                WIDTH * len(slots) / (left + right + 0.5) + (0.35 if class_names is None else 0.3 + 0.25 * len(slots)),
            ),
            layout=close,
        )
        grid = figure.add_gridspec(len(slots), left + right + 1, width_ratios=[*[1] * left, 0.5, *[1] * right])
        for row in range(len(slots)):
            for column, image in enumerate(support[row]):
                head = "support" if row == 0 else ""
                title = head if class_names is None else class_names[row]
                _show(figure.add_subplot(grid[row, column]), image, title if column == 0 else "")
            for column, image in enumerate(query[row]):
                head = "query" if (row, column) == (0, 0) and class_names is None else ""
                _show(figure.add_subplot(grid[row, left + 1 + column]), image, head)
        if class_names is not None:
            figure.suptitle("support on the left, queries on the right", fontsize=8, x=0.01, ha="left")
    return figure


def _show(axes: Axes, image: Tensor, title: str) -> None:
    show_picture(axes, image.numpy())
    if title:
        axes.set_title(title, fontsize=9, loc="left", pad=3)
