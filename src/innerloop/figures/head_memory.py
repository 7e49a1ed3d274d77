"""What trains the encoder: the share of contrast with remembered batches, by batch and over training."""

from collections.abc import Iterable, Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from innerloop.analysis.head_memory import HeadMemory
from innerloop.figures.style import HEIGHT, WIDTH, along_training, bars, colour, legend, styled
from innerloop.statistics import Interval

Lines = dict[str, list[tuple[int, Interval]]]
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def draw(results: Mapping[str, HeadMemory]) -> dict[str, Figure]:
    """Draw the figures: `share`; `by_batch` and `over_training` where these functions find lines."""
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
    if lines := by_batch(results):
        figures["by_batch"] = _lines(list(results), lines, "batch of the inner loop")
    if lines := over_training(results):
        figures["over_training"] = _lines(list(results), lines, "outer steps")
        along_training(
            figures["over_training"].axes[0], sorted({step for points in lines.values() for step, _ in points})
        )
    return figures


def by_batch(results: Mapping[str, HeadMemory]) -> Lines:
    """Return the share by batch, from 1, of those runs whose inner loop has several and says something in one."""
    return _told({label: enumerate(each.by_batch, 1) for label, each in results.items() if each.batches > 2})


def over_training(results: Mapping[str, HeadMemory]) -> Lines:
    """Return the share by outer step of those runs that kept several and say something at one."""
    return _told(
        {
            label: ((then.step, then.share) for then in each.over_training)
            for label, each in results.items()
            if len(each.over_training) > 1
        }
    )


def _told(lines: Mapping[str, Iterable[tuple[int, Interval | None]]]) -> Lines:
    """Return the points that are defined, and the lines that have any."""
    points = {label: [(place, share) for place, share in line if share is not None] for label, line in lines.items()}
    return {label: line for label, line in points.items() if line}


def _lines(labels: Sequence[str], lines: Lines, xlabel: str) -> Figure:
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
