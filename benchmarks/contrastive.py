"""How far explicit contrastive learners are from the meta-learners they stand for, over training.

    python benchmarks/contrastive.py runs/contrastive

Reads the sweep of recipes/sweeps/omniglot-contrastive.yaml. For each pair and seed that both have: the mean over all
validations of the absolute difference of accuracies (kao2022 reports .3 points for one), the largest, and the last;
then each cell's last validation and test, over the seeds there are.
"""

import argparse
import json
from pathlib import Path
from statistics import mean

PAIRS = (
    ("MAML_zeroing", "ANIL_zeroing"),
    ("MAML_zeroing", "contrastive_SO_zeroing"),
    ("FOMAML_zeroing", "contrastive_FO_zeroing"),
    ("ANIL_FO_random", "contrastive_FO_random"),
)


def curve(run: Path, what: str = "accuracy") -> dict[int, float]:
    records = map(json.loads, (run / "history.jsonl").read_text(encoding="utf-8").splitlines())
    return {record["step"]: record["validation"][what] for record in records if "validation" in record}


def test(run: Path) -> float:
    (place,) = run.glob("evaluation-*.json")
    rows = json.loads(place.read_text(encoding="utf-8"))["evaluation"]["as_trained"]
    return mean(row[-1] for row in rows)


def finished(cell: Path) -> list[Path]:
    return sorted(run for run in cell.glob("seed-*") if any(run.glob("evaluation-*.json")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    print("Gap between validation curves, points: mean, largest, last")
    for left, right in PAIRS:
        for run in finished(folder / left):
            other = folder / right / run.name
            if other not in finished(folder / right):
                continue
            ours, theirs = curve(run), curve(other)
            gaps = [100 * abs(ours[step] - theirs[step]) for step in ours]
            print(f"  {left} / {right}, {run.name}: {mean(gaps):.3f}  {max(gaps):.3f}  {gaps[-1]:.3f}  ({len(gaps)})")
    print("Accuracy, %: mean validation over the run, last validation, last with the head zeroed, test")
    for cell in sorted(each for each in folder.iterdir() if each.is_dir()):
        for run in finished(cell):
            values = list(curve(run).values())
            zeroed = list(curve(run, "zeroed").values())
            print(
                f"  {cell.name}, {run.name}: {100 * mean(values):.2f}  {100 * values[-1]:.2f}  {100 * zeroed[-1]:.2f}  "
                f"{100 * test(run):.2f}"
            )


if __name__ == "__main__":
    main()
