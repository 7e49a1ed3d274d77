"""First and second order side by side: the parts each is made of, and how far apart they point."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from innerloop.analysis.orders import Norms, Orders
from innerloop.analysis.parts import PARTS
from innerloop.figures.contrast import SHORT
from innerloop.figures.style import HATCHES, HEIGHT, WIDTH, bars, colour, legend, styled


def draw(results: Mapping[str, Orders]) -> dict[str, Figure]:
    """Draw the figures: `parts` and `added`."""
    return {
        "parts": _parts(results),
        "added": bars(
            {
                label: {
                    "1st and 2nd\norder, split": each.cosine_split,
                    "1st and 2nd\norder, true": each.cosine_true,
                    "query side and\nsupport side": each.cosine_sides,
                }
                for label, each in results.items()
            },
            "cosine between\nencoder gradients",
        ),
    }


def _parts(results: Mapping[str, Orders]) -> Figure:
    """Draw a row of bars an order, at one scale, so that the second order's additions stand under empty places."""
    with styled():
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True, sharey=True)
        _row(above, [each.first for each in results.values()], "first order")
        _row(below, [each.second for each in results.values()], "second order", list(results))
        above.text(2.5, 0, "held constant:\nno support side\n", ha="center", va="bottom", color="#555555", fontsize=8)
        below.set_xticks(range(len(PARTS)), [SHORT[name] for name in PARTS])
        figure.supylabel("norm, loss per feature unit", fontsize=9.5)
        legend(figure, len(results))
    return figure


def _row(axes: Axes, norms: Sequence[Norms], title: str, labels: Sequence[str] | None = None) -> None:
    """Draw one order's parts, a bar a run; labels are given to one row alone, since the legend collects them all."""
    width = 0.8 / max(1, len(norms))
    for index, of_run in enumerate(norms):
        each = [getattr(of_run, name) for name in PARTS]
        # A part that is exactly 0 has no bar and no interval: an empty place says it.
        there = [(place, interval) for place, interval in enumerate(each) if interval is not None and interval.mean]
        places = [place + (index - (len(norms) - 1) / 2) * width for place, _ in there]
        means = [interval.mean for _, interval in there]
        errors = [interval.half_width if interval.observations > 1 else 0.0 for _, interval in there]
        axes.bar(
            places,
            means,
            0.9 * width,
            color=colour(index),
            hatch=HATCHES[index % len(HATCHES)],
            label=labels[index] if labels else None,
        )
        axes.errorbar(places, means, errors, fmt="none", ecolor="#333333", elinewidth=0.9, capsize=2)
    axes.axhline(0, color="#333333", linewidth=0.6)
    axes.set_title(title, fontsize=9.5, loc="left", pad=3)
    axes.tick_params(axis="x", length=0)
    axes.grid(visible=False, axis="x")
