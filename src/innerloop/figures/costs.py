"""The figure of a race: how many times as fast as the one ratios are taken against, a panel a cell."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from innerloop.bench.table import Cell, Row
from innerloop.figures.style import COLOURS, WIDTH, styled

BAR, MARGIN = 0.2, 0.55  # inches: a contender, a panel's title and axis
COLOUR = {"ours": COLOURS[0], "peer": COLOURS[1], "plain": COLOURS[2]}


def draw(cells: Sequence[Cell]) -> Figure:
    """Draw a bar a contender: its middle ratio with the range over the rounds, and beside it its milliseconds."""
    panels = [(cell, [row for row in cell.rows() if row["kind"] != "product"]) for cell in cells]
    heights = [MARGIN + BAR * len(rows) for _, rows in panels]
    with styled():
        figure = Figure(figsize=(WIDTH, sum(heights)), layout="constrained")
        grid = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights, sharex=True)[:, 0]
        for axes, (cell, rows) in zip(grid, panels, strict=True):
            _draw(axes, rows)
            against = cell.against
            axes.set_title(cell.name, loc="left", fontsize=9.5)
            axes.set_xlabel(f"times as fast as {against.contender.label}" if against else "", fontsize=8)
    return figure


def _draw(axes: Axes, rows: Sequence[Row]) -> None:
    middle = [row.get("times_as_fast") or 0.0 for row in rows]
    places = range(len(rows))
    axes.barh(places, middle, 0.8, color=[COLOUR[row["kind"]] for row in rows])
    for place, row in zip(places, rows, strict=True):
        faster = row.get("times_as_fast_rounds") or [0.0]
        if len(faster) > 1:
            axes.plot([min(faster), max(faster)], [place, place], color="#333333", linewidth=0.9)
        said = "fails" if "failed" in row else f"{row['milliseconds']:.0f} ms"
        beside = axes.get_yaxis_transform()
        axes.text(1.02, place, said, transform=beside, va="center", fontsize=7)
    axes.axvline(1, color="#333333", linewidth=1, linestyle="--")
    axes.set_yticks(places, [row["contender"] for row in rows], fontsize=8)
    axes.invert_yaxis()
    axes.tick_params(axis="x", labelsize=8)
    axes.set_xlim(left=0)
    axes.grid(visible=False, axis="y")
