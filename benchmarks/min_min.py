"""What trains the encoder of every learner of a sweep, beside how its features gather and how well it is tested.

    python benchmarks/min_min.py --sweep FOLDER_OF_THE_SWEEP

A row a cell, from what the sweep tested and explained (`head_memory`) and from the cosines its runs recorded: means
over seeds where there are several, else the run's own with its interval over episodes or inner loops. The gap is the
query-support cosine of the same class less that of others, on probe episodes after training.
"""

import argparse
import math
from pathlib import Path

from innerloop.analysis.head_memory import HeadMemory
from innerloop.analysis.values import from_values
from innerloop.runs import OpenedRun, open_run
from innerloop.statistics import Interval, mean_interval

COLUMNS = (
    "accuracy, %",
    "contrast, % of the norms",
    "along the gradient, %",
    "same class attract, %",
    "others, %",
    "gap",
)


def main() -> None:
    """Print the table."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--sweep", type=Path, required=True)
    sweep = asked.parse_args().sweep
    print(f"| learner and head | seeds | {' | '.join(COLUMNS)} |")
    print(f"|---|---|{'---|' * len(COLUMNS)}")
    for cell in sorted(each for each in sweep.iterdir() if each.is_dir()):
        found = [row for run in sorted(cell.glob("seed-*")) if (row := measured(open_run(run)))]
        if found:
            told = [over([row[place] for row in found]) for place in range(len(COLUMNS))]
            print(f"| {cell.name} | {len(found)} | {' | '.join(told)} |")


def measured(run: OpenedRun) -> list[Interval | None] | None:
    """Return a run's columns; None where it has not been tested and explained."""
    kept = [each for each in run.explanations() if each.analysis == "head_memory"]
    tested = run.evaluations()
    if not kept or not tested:
        return None
    memory = from_values(HeadMemory, kept[0].values)
    shares = (memory.share, memory.along, memory.attracting_same, memory.attracting_other)
    cosines = [record["cosine"] for record in run.history if "cosine" in record][-1]
    gap = cosines["query_same_class"] - cosines["query_different_class"]
    percents = [each and Interval(100 * each.mean, 100 * each.half_width, each.observations) for each in shares]
    accuracy = tested[0].evaluation.interval()
    own = Interval(100 * accuracy.mean, 100 * accuracy.half_width, accuracy.observations)
    return [own, *percents, Interval(gap, math.inf, 1)]


def over(intervals: list[Interval | None]) -> str:
    """Return a mean over seeds, or one run's own."""
    there = [each for each in intervals if each is not None]
    if not there:
        return "–"
    found = there[0] if len(there) == 1 else mean_interval([each.mean for each in there])
    digits = 2 if abs(found.mean) < 2 and not math.isfinite(found.half_width) else 1
    width = f" ± {found.half_width:.{digits}f}" if math.isfinite(found.half_width) else ""
    return f"{found.mean:.{digits}f}{width}"


if __name__ == "__main__":
    main()
