"""The interference by origin: bars for the head's first value and for what came since, lines by age."""

from collections.abc import Mapping
from math import log2

from matplotlib.figure import Figure

from innerloop.analysis.interference import Interference
from innerloop.figures.style import HEIGHT, WIDTH, bars, colour, legend, styled


def draw(results: Mapping[str, Interference]) -> dict[str, Figure]:
    """Draw the figures: `origins`; `ages` where heads were recorded; `queries` where past queries were traced."""
    figures = {
        "origins": bars(
            {
                label: {
                    "contrast": each.contrast,
                    "interference": each.total,
                    "of the\nfirst head": each.initialisation,
                    "of later\nsteps": each.cross_task,
                }
                for label, each in results.items()
            },
            "norm, loss per feature unit",
        )
    }
    if any(each.ages for each in results.values()):
        figures["ages"] = _ages(results)
    if any(each.queries for each in results.values()):
        figures["queries"] = bars(
            {
                label: {
                    "same slot:\nattract": each.queries.attracting_same,
                    "other slots:\nattract": each.queries.attracting_other,
                }
                for label, each in results.items()
                if each.queries
            },
            "share of past queries, %",
            percent=True,
        )
    return figures


def _ages(results: Mapping[str, Interference]) -> Figure:
    with styled():
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        axes = figure.subplots()
        ticks: set[int] = set()
        drawn = 0
        for index, (label, each) in enumerate(results.items()):
            if not each.ages:
                continue
            places = [log2(age.first) for age in each.ages]
            ticks |= {age.first for age in each.ages}
            means = [100 * age.share.mean for age in each.ages]
            widths = [100 * age.share.half_width if age.share.observations > 1 else 0.0 for age in each.ages]
            axes.errorbar(places, means, widths, label=label, color=colour(index), marker="o", markersize=3, capsize=2)
            drawn += 1
        axes.axhline(0, color="#333333", linewidth=0.6)
        axes.set_xticks([log2(tick) for tick in sorted(ticks)], [str(tick) for tick in sorted(ticks)])
        axes.set_xlabel("outer steps ago: from here to the next mark")
        axes.set_ylabel("share of the interference, %")
        legend(figure, drawn)
    return figure
