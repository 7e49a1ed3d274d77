"""What trains the encoder: the share of contrast with remembered batches, by batch and over training."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from innerloop.analysis.head_memory import HeadMemory
from innerloop.figures.style import HEIGHT, WIDTH, along_training, bars, colour, legend, styled
from innerloop.statistics import Interval

MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def draw(results: Mapping[str, HeadMemory]) -> dict[str, Figure]:
    """Draw the figures: `share`; `by_batch` where several train the encoder; `over_training` where it was kept."""
    figures = {
        "share": bars(
            {
                label: {
                    "contrast,\nof the norms": each.share,
                    "contrast, along\nthe gradient": each.along,
                    "attract:\nsame class": each.attracting_same,
                    "attract:\nothers": each.attracting_other,
                }
                for label, each in results.items()
            },
            "share, %",
            percent=True,
        )
    }
    looped = {label: each for label, each in results.items() if each.batches > 2}
    if looped:
        lines = {
            label: [(place + 1, share) for place, share in enumerate(each.by_batch) if share is not None]
            for label, each in looped.items()
        }
        figures["by_batch"] = _lines(list(results), lines, "batch of the inner loop")
    kept = {label: each for label, each in results.items() if len(each.over_training) > 1}
    if kept:
        lines = {
            label: [(then.step, then.share) for then in each.over_training if then.share is not None]
            for label, each in kept.items()
        }
        figures["over_training"] = _lines(list(results), lines, "outer steps")
        along_training(
            figures["over_training"].axes[0], sorted({step for points in lines.values() for step, _ in points})
        )
    return figures


def _lines(labels: Sequence[str], lines: Mapping[str, Sequence[tuple[int, Interval]]], xlabel: str) -> Figure:
    """Draw a line a run in that run's colour, with its intervals."""
    with styled():
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        axes = figure.subplots()
        for label, points in lines.items():
            index = labels.index(label)
            axes.errorbar(
                [place for place, _ in points],
                [100 * share.mean for _, share in points],
                [100 * share.half_width if share.observations > 1 else 0.0 for _, share in points],
                label=label,
                color=colour(index),
                marker=MARKERS[index % len(MARKERS)],
                markersize=4,
                elinewidth=0.9,
                capsize=2,
            )
        axes.set_ylim(-4, 104)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel(xlabel)
        axes.set_ylabel("contrast, share of the norms, %")
        legend(figure, len(lines))
    return figure
