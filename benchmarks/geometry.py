"""What landscapes, features and tasks of a sweep's learners are like: a row a measure, over seeds, learners in pairs.

    python benchmarks/geometry.py --sweep FOLDER_OF_THE_SWEEP [--cells FOMAML zeroing] [--analyses landscape ...]

Reads what the sweep explained (`explain:` in its grid) and prints tables of means over seeds with 95% intervals; the
last column is the second learner less the first, in pairs over seeds. A run's value is a mean over its episodes.
"""

import argparse
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from innerloop.analysis import ANALYSES
from innerloop.analysis.coherence import Coherence
from innerloop.analysis.confidence import Confidence
from innerloop.analysis.head_memory import HeadMemory
from innerloop.analysis.landscape import Landscape
from innerloop.analysis.permutations import Permutations
from innerloop.analysis.representation import Representation
from innerloop.analysis.tasks import Tasks
from innerloop.analysis.values import from_values
from innerloop.runs import open_run
from innerloop.statistics import Interval, mean_interval, paired_difference

Rows = Iterator[tuple[str, float | None]]


def of_landscape(found: Landscape) -> Rows:
    """Yield the median over episodes of the largest eigenvalue, and of the trace."""
    for place in ("start", "adapted"):
        for of in ("support", "query"):
            bends = [each.spectrum for each in found.bends if (each.place, each.of) == (place, of)]
            tops = [each.eigenvalues[0] for each in bends if each.eigenvalues]
            traces = [each.trace.mean for each in bends if each.trace]
            where = "before adaptation" if place == "start" else "after"
            yield f"largest eigenvalue of the {of} loss, {where}", median(tops) if tops else None
            yield f"trace of the {of} loss's Hessian, {where}", median(traces) if traces else None


def of_coherence(found: Coherence) -> Rows:
    """Yield the measures at the last outer step."""
    last = found.path[-1]
    for name, value in (
        ("accuracy", last.accuracy),
        ("support loss after adaptation", last.support_loss),
        ("distance of adapted parameters", last.distance),
        ("sharpness of the support loss there, log10", last.sharpness),
        ("trajectory coherence", last.trajectory),
        ("gradient coherence", last.gradient),
        ("of which by the head", last.gradient_head),
        ("sharpness, last less first snapshot, log10", found.sharpness_change),
        ("distance, last less first snapshot", found.distance_change),
    ):
        yield name, _mean(value)


def of_representation(found: Representation) -> Rows:
    """Yield similarities by layer, what freezing and dropping the head cost, and how features gather."""
    for layer in found.layers:
        yield f"CKA of {layer.name}, before and after", _mean(layer.cka)
        yield f"CCA of {layer.name}", _mean(layer.cca)
    for frozen in found.frozen[1:]:
        yield f"accuracy, blocks frozen up to {frozen.last}, less all adapting, %", 100 * frozen.gap.difference.mean
    yield "accuracy without a head (NIL), less adapted, %", 100 * found.nil_gap.difference.mean
    for measure in found.gathering:
        yield f"{measure.name} before", _mean(measure.before)
        yield f"{measure.name} after", _mean(measure.after)


def of_permutations(found: Permutations) -> Rows:
    """Yield accuracies over assignments of classes to slots."""
    for name in ("as_drawn", "mean", "best", "worst", "breadth", "spread", "disputed"):
        yield f"{name.replace('_', ' ')}, %", 100 * getattr(found, name).mean
    yield "gain of the ensemble of logits, %", 100 * found.logits.gain.mean


def of_tasks(found: Tasks) -> Rows:
    """Yield how much of a new task is left over by seen ones, and by what controls have."""
    for name in ("task", "others", "shuffled", "direction"):
        left = {"task": "nearest tasks", "others": "random tasks", "shuffled": "labels shuffled, nearest tasks"}
        what = left.get(name, "a random direction, nearest tasks")
        yield f"left over by {what}, %", 100 * getattr(found.nonnegative, name).mean
    known = found.nonnegative.with_accuracy
    yield "rank correlation of what is left over with accuracy", None if known is None else known.value


def of_confidence(found: Confidence) -> Rows:
    """Yield coverages and bounds, and the best guarantee beside the error it bounds."""
    for level in found.levels:
        for name, side in (("held out", level.held_out), ("explained", level.explained)):
            yield f"covered at {100 * level.level:g}%, {name}, %", 100 * side.held.value
            yield f"sharper than a constant bound at {100 * level.level:g}%, {name}, points", 100 * side.sharper.mean
    for score in found.scores:
        yield f"rank correlation of {score.name} with accuracy", score.explained and score.explained.value
    if found.representation is not None:
        for each in found.representation.bounds:
            yield f"bound by {each.name} on the nearest-centroid error, %", 100 * each.bound
            yield f"the error that {each.name} bounds, %", 100 * each.error


def of_head_memory(found: HeadMemory) -> Rows:
    """Yield shares of contrast."""
    yield "contrast, share of the norms, %", _percent(found.share)
    yield "contrast, along the gradient, %", _percent(found.along)
    yield "same-class coefficients that attract, %", _percent(found.attracting_same)
    yield "others that attract, %", _percent(found.attracting_other)


MEASURES: Mapping[str, Callable[[Any], Rows]] = {
    "landscape": of_landscape,
    "coherence": of_coherence,
    "representation": of_representation,
    "permutations": of_permutations,
    "tasks": of_tasks,
    "confidence": of_confidence,
    "head_memory": of_head_memory,
}


def measured(sweep: Path, cell: str, analysis: str) -> dict[str, dict[str, float | None]]:
    """Return the measures of a cell's runs, by seed."""
    found = {}
    for run in sorted((sweep / cell).glob("seed-*")):
        kept = [each for each in open_run(run).explanations() if each.analysis == analysis]
        if kept:
            found[run.name] = dict(MEASURES[analysis](from_values(ANALYSES[analysis].result, kept[0].values)))
    return found


def table(sweep: Path, cells: list[str], analysis: str) -> list[str]:
    """Return the rows of one analysis; nothing where no run has it."""
    by_cell = {cell: measured(sweep, cell, analysis) for cell in cells}
    if not any(by_cell.values()):
        return []
    names = list(dict.fromkeys(name for runs in by_cell.values() for rows in runs.values() for name in rows))
    pairs = len(cells) == 2
    seeds = " / ".join(str(len(runs)) for runs in by_cell.values())
    rows = [f"| {analysis} ({seeds} seeds) | {' | '.join(cells)} |{' difference |' if pairs else ''}"]
    rows.append(f"|---|{'---|' * (len(cells) + pairs)}")
    for name in names:
        columns = [
            {seed: rows[name] for seed, rows in runs.items() if rows.get(name) is not None} for runs in by_cell.values()
        ]
        told = [
            _told(mean_interval([float(value or 0) for value in column.values()])) if column else "–"
            for column in columns
        ]
        if pairs:
            both = [seed for seed in columns[0] if seed in columns[1]]
            sides = ([float(column[seed] or 0) for seed in both] for column in columns)
            told.append(_told(paired_difference(*reversed(list(sides)))) if both else "–")
        rows.append(f"| {name} | {' | '.join(told)} |")
    return [*rows, ""]


def _mean(interval: Interval | None) -> float | None:
    return None if interval is None else interval.mean


def _percent(interval: Interval | None) -> float | None:
    return None if interval is None else 100 * interval.mean


def _told(interval: Interval) -> str:
    """Return a mean with its interval to three digits of what is larger, or alone where one seed has it."""
    if not math.isfinite(interval.half_width):
        return f"{interval.mean:.3g}"
    size = max(abs(interval.mean), interval.half_width)
    digits = 0 if size == 0 else max(0, 2 - math.floor(math.log10(size)))
    return f"{interval.mean + 0.0:.{digits}f} ± {interval.half_width:.{digits}f}"


def main() -> None:
    """Print every table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sweep", type=Path, required=True)
    parser.add_argument("--cells", nargs="+", default=["FOMAML", "zeroing"])
    parser.add_argument("--analyses", nargs="+", choices=list(MEASURES), default=list(MEASURES))
    asked = parser.parse_args()
    for analysis in asked.analyses:
        print("\n".join(table(asked.sweep, asked.cells, analysis)))


if __name__ == "__main__":
    main()
