"""How every figure looks: one column wide, readable on a phone, colours that colour-blind readers tell apart."""

import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from math import ceil
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import Formatter, LogFormatter
from numpy.typing import NDArray

from innerloop.errors import on_one_line
from innerloop.statistics import Interval

# Okabe and Ito's palette, in the order that keeps neighbours apart for every kind of colour vision.
COLOURS = ("#d55e00", "#56b4e9", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#000000")
HATCHES = ("", "//", "..", "xx", "\\\\", "--", "")
LINES = ("-", "--", "-", "-.", ":", "--", "-")
RAISED = str.maketrans("0123456789-−", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁻")
WIDTH, HEIGHT = 4.4, 2.9  # inches; a card of the report is as wide
SETTINGS: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    # Names are shown as they are: one with two dollars in it is no formula.
    "text.parse_math": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "axes.axisbelow": True,
    "lines.linewidth": 1.9,
    "legend.frameon": False,
    "svg.hashsalt": "innerloop",
    "hatch.linewidth": 0.5,
    "hatch.color": "#ffffff",
}

Curve = tuple[Sequence[int], Sequence[float]]


def styled() -> AbstractContextManager[None]:
    """Return a context in which figures are drawn in this style, and nothing else is changed."""
    return mpl.rc_context(SETTINGS)


def curves(lines: Mapping[str, Curve], ylabel: str, *, percent: bool = False, zero: bool = False) -> Figure:
    """Draw one line a run over outer steps, with the legend above the axes where it can hide nothing.

    Args:
        lines: For each label the outer steps and the values there.
        ylabel: What the values are, with their unit.
        percent: Whether values in [0, 1] are shown as percent.
        zero: Whether the axis starts at zero.
    """
    with styled():
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        axes: Axes = figure.subplots()
        for index, (label, (steps, values)) in enumerate(lines.items()):
            shown = [100 * value for value in values] if percent else list(values)
            axes.plot(steps, shown, label=label, color=colour(index), linestyle=LINES[index % len(LINES)])
        axes.set_xlabel("outer steps")
        axes.set_ylabel(ylabel)
        axes.margins(x=0.02)
        if zero:
            axes.set_ylim(bottom=min(0, axes.get_ylim()[0]) if percent else 0)
        legend(figure, len(lines))
    return figure


def bars(
    groups: Mapping[str, Mapping[str, Interval | None]],
    ylabel: str,
    *,
    percent: bool = False,
    line: float | None = None,
) -> Figure:
    """Draw a group of bars for each quantity, one bar a run, with its interval; what is not defined has no bar.

    Args:
        groups: For each run's label its quantities, by the name under the group.
        ylabel: What the values are, with their unit.
        percent: Whether shares are shown as percent.
        line: A value every bar is to be held against.
    """
    with styled():
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        axes: Axes = figure.subplots()
        names = list(dict.fromkeys(name for group in groups.values() for name in group))
        width, scale = 0.8 / max(1, len(groups)), 100 if percent else 1
        for index, (label, group) in enumerate(groups.items()):
            there = [(place, group[name]) for place, name in enumerate(names) if group.get(name) is not None]
            places = [place + (index - (len(groups) - 1) / 2) * width for place, _ in there]
            means = [scale * value.mean for _, value in there if value is not None]
            errors = [scale * value.half_width if value.observations > 1 else 0.0 for _, value in there if value]
            axes.bar(places, means, 0.9 * width, label=label, color=colour(index), hatch=HATCHES[index % len(HATCHES)])
            axes.errorbar(places, means, errors, fmt="none", ecolor="#333333", elinewidth=0.9, capsize=2)
        if line is not None:
            axes.axhline(scale * line, color="#333333", linewidth=1, linestyle="--")
        axes.axhline(0, color="#333333", linewidth=0.6)
        axes.set_xticks(range(len(names)), names, fontsize=9.5 if len(names) < 5 else 7)
        axes.tick_params(axis="x", length=0)
        axes.grid(visible=False, axis="x")
        axes.set_ylabel(ylabel)
        legend(figure, len(groups))
    return figure


def short(name: str, most: int = 11) -> str:
    """Return a class's name as the end that tells it apart from its neighbours: `character07` of a long path."""
    last = on_one_line(name.rsplit("/", 1)[-1])
    return last if len(last) <= most else f"…{last[1 - most :]}"


def show_picture(axes: Axes, image: NDArray[np.floating]) -> None:
    """Show [channel height width] in [0, 1]: dark ink on light paper, as a reader knows letters; colour as it is."""
    picture = 1 - image[0] if len(image) == 1 else image.transpose(1, 2, 0)
    axes.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(visible=True, color="#cccccc", linewidth=0.6)


def legend(figure: Figure, entries: int, handles: Sequence[Artist] | None = None) -> None:
    """Put the legend above the axes, where it can hide nothing; a single entry needs none.

    It has as many columns as its longest word allows, and the figure grows where they make more than two rows.

    Args:
        figure: Drawn at its usual size.
        entries: How many runs there are.
        handles: What the legend shows; by default all that has a label.
    """
    if entries < 2:
        return
    found = [each for axes in figure.axes for each in axes.get_legend_handles_labels()[0]]
    shown = found if handles is None else list(handles)
    longest = max((len(str(each.get_label())) for each in shown), default=1)
    columns = max(1, min(3, int(72 * WIDTH / (35 + 5.8 * longest))))  # points: a handle with its margins, a letter
    figure.set_figheight(HEIGHT + 0.2 * max(0, ceil(len(shown) / columns) - 2))
    above = {"handlelength": 1.6, "columnspacing": 1.2, "borderaxespad": 0.2}
    figure.legend(handles=shown, loc="outside upper left", ncols=columns, **above)


def along_training(axes: Axes, steps: Sequence[int]) -> None:
    """Lay outer steps of very different sizes, from 0 on, along the axis: ticks where there is room for their numbers.

    Args:
        axes: Drawn on already.
        steps: In rising order.
    """
    shown: list[int] = []
    for step in steps:
        if not shown or step >= 4 * max(shown[-1], 0.5):
            shown.append(step)
    axes.set_xscale("symlog", linthresh=1, linscale=0.4)
    axes.set_xticks(shown, [str(step) for step in shown])
    axes.minorticks_off()
    axes.set_xlim(steps[0] - 0.2, 1.2 * max(1, steps[-1]))


def colour(index: int) -> str:
    """Return the colour of the `index`-th run, the same in every figure."""
    return COLOURS[index % len(COLOURS)]


def to_png(figure: Figure) -> bytes:
    """Return the figure as PNG, at twice the screen's resolution."""
    with _saving(figure):
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=200, metadata={"Software": None})
    return buffer.getvalue()


def to_pdf(figure: Figure) -> bytes:
    """Return the figure as PDF, for a paper; the same bytes for the same figure."""
    with _saving(figure), mpl.rc_context({"pdf.fonttype": 42}):
        buffer = io.BytesIO()
        figure.savefig(buffer, format="pdf", metadata={"CreationDate": None, "Creator": None, "Producer": None})
    return buffer.getvalue()


def to_svg(figure: Figure) -> str:
    """Return the figure as SVG, the same bytes for the same figure."""
    with _saving(figure):
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


@contextmanager
def _saving(figure: Figure) -> Iterator[None]:
    """Draw powers of ten without formulas, and letters that the font does not have as boxes, in silence."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            for formatter, put in (
                (axis.get_major_formatter(), axis.set_major_formatter),
                (axis.get_minor_formatter(), axis.set_minor_formatter),
            ):
                if isinstance(formatter, LogFormatter):
                    put(_Powers(formatter))
    with styled(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        yield


class _Powers(Formatter):
    """Another formatter's numbers, `10⁻²` for what it writes as a formula."""

    def __init__(self, formatter: Formatter) -> None:
        self._formatter = formatter

    def __call__(self, x: float, pos: int | None = None) -> str:
        """Return a tick's label."""
        shown = str(self._formatter(x, pos)).replace("\\times", "×")
        shown = re.sub(r"\^\{(.*?)\}", lambda found: found[1].translate(RAISED), shown)
        return re.sub(r"[${}]|\\mathdefault", "", shown)

    def set_locs(self, locs: Any) -> None:
        """Tell where the ticks are."""
        self._formatter.set_locs(locs)
