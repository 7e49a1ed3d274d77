"""How every figure looks: one column wide, readable on a phone, colours that colour-blind readers tell apart."""

import io
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito's palette, in the order that keeps neighbours apart for every kind of colour vision.
COLOURS = ("#d55e00", "#56b4e9", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#000000")
LINES = ("-", "--", "-", "-.", ":", "--", "-")
WIDTH, HEIGHT = 4.4, 2.9  # inches; a card of the report is as wide
SETTINGS: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "axes.axisbelow": True,
    "lines.linewidth": 1.9,
    "legend.frameon": False,
    "svg.hashsalt": "innerloop",
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
        figure.legend(loc="outside upper left", ncols=3, handlelength=1.6, columnspacing=1.2, borderaxespad=0.2)
    return figure


def colour(index: int) -> str:
    """Return the colour of the `index`-th run, the same in every figure."""
    return COLOURS[index % len(COLOURS)]


def to_png(figure: Figure) -> bytes:
    """Return the figure as PNG, at twice the screen's resolution."""
    with styled():
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=200, metadata={"Software": None})
    return buffer.getvalue()


def to_svg(figure: Figure) -> str:
    """Return the figure as SVG, the same bytes for the same figure."""
    with styled():
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()
