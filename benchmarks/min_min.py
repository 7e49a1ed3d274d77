"""What trains the encoder of every learner of a sweep, beside how its features gather and how well it is tested.

    python benchmarks/min_min.py --sweep FOLDER_OF_THE_SWEEP

A row a cell, from what the sweep tested and explained (`head_memory`) and from the cosines its runs recorded: means
over seeds where there are several, else the run's own with its interval over episodes or inner loops. The gap is the
query-support cosine of the same class less that of others, on probe episodes after training. A second table has what
zeroing the head, or taking its memory, changes: in pairs over the seeds that both cells have.
"""

import argparse
import math
from collections.abc import Collection
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
DIGITS = (1, 1, 1, 1, 1, 2)


def main() -> None:
    """Print the table."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--sweep", type=Path, required=True)
    sweep = asked.parse_args().sweep
    cells = {each.name: seeds for each in sorted(sweep.iterdir()) if each.is_dir() and (seeds := seeds_of(each))}
    print(f"| learner and head | seeds | {' | '.join(COLUMNS)} |")
    print(f"|---|---|{'---|' * len(COLUMNS)}")
    for name, seeds in cells.items():
        told = [over([row[place] for row in seeds.values()], DIGITS[place]) for place in range(len(COLUMNS))]
        print(f"| {name} | {len(seeds)} | {' | '.join(told)} |")
    print("\n| changed | into | seeds | accuracy, points | gap |\n|---|---|---|---|---|")
    for name, other in pairs(cells):
        shared = sorted(cells[name].keys() & cells[other].keys())
        told = [
            over([less(cells[name][seed][place], cells[other][seed][place]) for seed in shared], DIGITS[place])
            for place in (0, -1)
        ]
        print(f"| {other} | {name} | {len(shared)} | {' | '.join(told)} |")


def seeds_of(cell: Path) -> dict[str, list[Interval | None]]:
    """Return the columns of every seed's run that has them."""
    return {run.name: row for run in sorted(cell.glob("seed-*")) if (row := measured(open_run(run)))}


def pairs(cells: Collection[str]) -> list[tuple[str, str]]:
    """Return the cells whose head is zeroed, or has no memory, each with the one that is else the same."""
    others = [(name, name.replace("-zeroed", "-trained")) for name in cells if name.endswith("-zeroed")]
    others += [(name, name.removeprefix("forgetful-")) for name in cells if name.startswith("forgetful-")]
    return [(name, other) for name, other in others if other in cells]


def less(one: Interval | None, other: Interval | None) -> Interval | None:
    """Return a difference of two means, which says nothing of its width."""
    return None if one is None or other is None else Interval(one.mean - other.mean, math.inf, 1)


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


def over(intervals: list[Interval | None], digits: int) -> str:
    """Return a mean over seeds, or one run's own."""
    there = [each for each in intervals if each is not None]
    if not there:
        return "–"
    found = there[0] if len(there) == 1 else mean_interval([each.mean for each in there])
    width = f" ± {found.half_width:.{digits}f}" if math.isfinite(found.half_width) else ""
    return f"{found.mean:.{digits}f}{width}"


if __name__ == "__main__":
    main()
