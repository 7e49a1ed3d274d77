"""What the head stores, by inner step; whom it agrees with; and what is left of it when the slots are permuted."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from innerloop.analysis.memorization import Memorization
from innerloop.figures.style import HEIGHT, LINES, WIDTH, bars, colour, legend, styled
from innerloop.statistics import Interval

KINDS = {"inner_product": "inner\nproduct", "euclidean": "Euclidean\ndistance", "cosine": "cosine"}
PANELS = {
    "own class": ("own_mean", "own_support"),
    "other classes": ("other_means", "other_support"),
    "own less mean\nof all classes": ("centred_mean",),
}


def draw(results: Mapping[str, Memorization]) -> dict[str, Figure]:
    """Draw the figures: `cosines`, `agreement`, `accuracy` and `slots`."""
    return {
        "cosines": cosines(results),
        "agreement": bars(
            {
                label: {name: getattr(each, kind).agreement for kind, name in KINDS.items()}
                for label, each in results.items()
            },
            "agreement with the head, %",
            percent=True,
        ),
        "accuracy": bars(
            {
                label: {"adapted\nhead": each.head}
                | {name: getattr(each, kind).accuracy for kind, name in KINDS.items()}
                for label, each in results.items()
            },
            "accuracy, %",
            percent=True,
            line=_chance(results),
        ),
        "slots": bars(
            {
                label: {
                    "before,\nas drawn": each.slots.before,
                    "before,\npermuted": each.slots.before_permuted,
                    "adapted,\nas drawn": each.slots.after,
                    "adapted,\npermuted": each.slots.after_permuted,
                }
                for label, each in results.items()
            },
            "accuracy, %",
            percent=True,
            line=_chance(results),
        ),
    }


def cosines(results: Mapping[str, Memorization]) -> Figure:
    """Draw the cosines of row changes by inner step, a panel each: class means bold, single support features pale."""
    with styled():
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        panels: Sequence[Axes] = figure.subplots(1, len(PANELS), sharey=True)
        most = max(each.inner_steps for each in results.values())
        for axes, (title, names) in zip(panels, PANELS.items(), strict=True):
            for index, (label, each) in enumerate(results.items()):
                aside = 0.6 * (index - (len(results) - 1) / 2) / len(results)
                for name, pale in zip(names, (False, True), strict=False):
                    _line(axes, [getattr(step, name) for step in each.before], index, aside, pale)
                if axes is panels[-1]:
                    axes.plot([], [], label=label, color=colour(index), linestyle=LINES[index % len(LINES)], marker="o")
            axes.set_title(title, fontsize=9, pad=4)
            axes.axhline(0, color="#333333", linewidth=0.6)
            axes.set_xlim(0.5, most + 0.5)
            axes.set_xticks(sorted({1, (most + 1) // 2, most}))
        panels[0].set_ylabel("cosine with a row's change")
        panels[1].set_xlabel("inner steps")
        legend(figure, len(results))
    return figure


def _line(axes: Axes, values: Sequence[Interval | None], index: int, aside: float, pale: bool) -> None:
    """Draw one run's line with its intervals, a little aside, so that runs of one step stand beside one another."""
    there = [(step + aside, value) for step, value in enumerate(values, 1) if value is not None]
    axes.errorbar(
        [place for place, _ in there],
        [value.mean for _, value in there],
        [value.half_width if value.observations > 1 else 0.0 for _, value in there],
        color=colour(index),
        linestyle=LINES[index % len(LINES)],
        linewidth=1 if pale else 1.9,
        alpha=0.45 if pale else 1,
        marker="o",
        markersize=3 if pale else 4.5,
        elinewidth=0.9,
        capsize=2,
    )


def _chance(results: Mapping[str, Memorization]) -> float:
    return next(iter(results.values())).chance
