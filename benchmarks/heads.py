"""What adapted heads are, over the runs of a sweep and over shots: accuracies, and verdicts against other readings.

    python benchmarks/heads.py --sweep FOLDER_OF_THE_SWEEP --data FOLDER_OF_THE_DATA [--shots 1 5 15] [--only CELL]

Each run is explained by the installed command, `innerloop explain RUN head_agreement`, once for every number of shots;
what is there already is read back, so that the tables can be stopped, continued, and printed again for nothing. A
verdict is that of one run, over its test episodes; a table counts those of all seeds.
"""

import argparse
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from innerloop.analysis.head_agreement import HeadAgreement, Side
from innerloop.analysis.values import from_values
from innerloop.runs import open_run

NAME = "head_agreement"
Found = Mapping[str, Sequence[HeadAgreement]]


def explained(run: Path, shots: int, episodes: int, queries: int, data: str) -> HeadAgreement:
    """Return what the head of a run is at so many shots; explain it if nobody has."""

    def kept() -> list[HeadAgreement]:
        return [
            from_values(HeadAgreement, each.values)
            for each in open_run(run).explanations()
            if each.analysis == NAME
            and (each.shape.k_shot, each.shape.n_queries, each.episodes) == (shots, queries, episodes)
        ]

    if not kept():
        command = [sys.executable, "-m", "innerloop", "explain", str(run), NAME, f"--k_shot={shots}"]
        command += [f"--n_queries={queries}", f"--episodes={episodes}", f"--data.root={data}"]
        # The grid over rates and steps, and episodes in two dimensions, are for looking at one run.
        command += [f"--{NAME}.tried=0", f"--{NAME}.drawn=0", f"--{NAME}.per_class=20"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return kept()[0]


def table(found: Found, side: str) -> list[str]:
    """Return rows of the head's accuracy, and of its lead over every reading of one side's features."""
    learners = list(found)
    rows = [f"| | {' | '.join(learners)} |", f"|---|{'---|' * len(learners)}"]
    heads = [f"{100 * sum(each.head.mean for each in runs) / len(runs):.1f}" for runs in found.values()]
    rows.append(f"| adapted head, % | {' | '.join(heads)} |")
    names = [reading.name for reading in _side(found[learners[0]][0], side).readings]
    for name in names:
        cells = []
        for runs in found.values():
            readings = [each for run in runs for each in _side(run, side).readings if each.name == name]
            gap = 100 * sum(each.gap.difference.mean for each in readings) / len(readings)
            verdicts = Counter(each.gap.verdict for each in readings)
            told = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.most_common())
            agreement = 100 * sum(each.agreement.mean for each in readings) / len(readings)
            cells.append(f"{gap + 0.0:+.1f} ({told}), {agreement:.0f}%")
        rows.append(f"| {name.replace('_', ' ')} | {' | '.join(cells)} |")
    return rows


def _side(run: HeadAgreement, side: str) -> Side:
    return run.before if side == "before" else run.after


def main() -> None:
    """Explain what is left, and print the tables."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--sweep", type=Path, required=True)
    asked.add_argument("--data", required=True)
    asked.add_argument("--shots", type=int, nargs="+", default=[1, 5, 15])
    asked.add_argument("--episodes", type=int, default=200)
    asked.add_argument("--images", type=int, default=20, help="images a class has, of which 15 at most are queries")
    asked.add_argument("--only", default="", help="only runs with this in their CELL/seed-N, and no table")
    options = asked.parse_args()
    runs = sorted(
        place for place in options.sweep.glob("*/seed-*") if options.only in f"{place.parent.name}/{place.name}"
    )
    for shots in options.shots:
        found: dict[str, list[HeadAgreement]] = {}
        queries = min(15, options.images - shots)
        for run in runs:
            found.setdefault(run.parent.name, []).append(explained(run, shots, options.episodes, queries, options.data))
            print(f"{shots} shots, {run}", file=sys.stderr, flush=True)
        if not options.only:
            for side in ("before", "after"):
                print(f"\n{shots} shots, features {side} adaptation; {options.episodes} episodes each\n")
                print("\n".join(table(found, side)))


if __name__ == "__main__":
    main()
