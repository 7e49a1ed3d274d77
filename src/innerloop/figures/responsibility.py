"""Mistakes with the support pictures to blame for them, and what taking these out does."""

from collections.abc import Mapping

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from innerloop.analysis.responsibility import Mistake, Responsibility
from innerloop.data.pictures import from_text
from innerloop.figures.style import WIDTH, bars, short, show_picture, styled

BLAMED, DEFENDED = 3, 2  # pictures a mistake: those that made it, and those that spoke against it


def draw(results: Mapping[str, Responsibility]) -> dict[str, Figure]:
    """Draw the figures: `mistakes` of the first learner that has pictures, `removal` of all."""
    figures = {}
    told = next((label for label, each in results.items() if any(one.picture for one in each.shown)), None)
    if told is not None:
        figures["mistakes"] = _mistakes([one for one in results[told].shown if one.picture])
    if any(each.removal for each in results.values()):
        figures["removal"] = bars(
            {
                label: {"the most blamed": each.removal.blamed, "a random one of its class": each.removal.random}
                for label, each in results.items()
                if each.removal
            },
            "mistakes corrected without it, %",
            percent=True,
        )
    return figures


def _mistakes(shown: list[Mistake]) -> Figure:
    close = ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02, wspace=0.02, hspace=0.04)
    columns = 1 + BLAMED + DEFENDED
    with styled(), mpl.rc_context({"axes.grid": False}):
        figure = Figure(figsize=(WIDTH, 1.08 * len(shown) + 0.3), layout=close)
        widths = [1.0, 0.25, *[1.0] * BLAMED, 0.25, *[1.0] * DEFENDED]
        grid = figure.add_gridspec(len(shown), columns + 2, width_ratios=widths)
        titled = False
        for row, mistake in enumerate(shown):
            _query(figure.add_subplot(grid[row, 0]), mistake, row == 0)
            for place in range(min(BLAMED, len(mistake.support))):
                axes = figure.add_subplot(grid[row, 2 + place])
                _support(axes, mistake, place, "to blame" if (row, place) == (0, 0) else "")
            against = [place for place in range(-1, -1 - DEFENDED, -1) if _speaks_against(mistake, place)]
            for column, place in enumerate(against):
                axes = figure.add_subplot(grid[row, 3 + BLAMED + column])
                _support(axes, mistake, place, "" if titled else "against it")
                titled = True
    return figure


def _speaks_against(mistake: Mistake, place: int) -> bool:
    """Return whether the support example is not among those blamed, and against the mistake as far as is shown."""
    return len(mistake.support) + place >= BLAMED and round(mistake.support[place].share, 2) < 0


def _query(axes: Axes, mistake: Mistake, first: bool) -> None:
    show_picture(axes, from_text(mistake.picture))
    said = f"is {short(mistake.true)}\nsaid {short(mistake.predicted)}"
    axes.set_xlabel(said, fontsize=6.5, labelpad=2)
    if first:
        axes.set_title("query", fontsize=8.5, loc="left", pad=3)


def _support(axes: Axes, mistake: Mistake, place: int, title: str) -> None:
    blamed = mistake.support[place]
    show_picture(axes, from_text(blamed.picture))
    axes.set_xlabel(f"{short(blamed.name)}\n{blamed.share:+.2f}", fontsize=6.5, labelpad=2)
    if title:
        axes.set_title(title, fontsize=8.5, loc="left", pad=3)
