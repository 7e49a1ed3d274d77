"""Every named algorithm at the same small budget: Omniglot 5-way 1-shot, 200 outer steps, two seeds, as one table.

    python benchmarks/algorithms.py --root FOLDER_WITH_THE_OMNIGLOT_ZIPS --out FOLDER [--only NAME ...]

Each run is the installed command, in a process of its own: `innerloop train`, then `innerloop evaluate`. What a run
printed and cost is kept beside it, so the table can be stopped and continued, and printed again for nothing.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

from innerloop.algorithms import ALGORITHMS
from innerloop.runs import open_run

RECIPE = Path(__file__).resolve().parents[1] / "recipes" / "omniglot-5w1s-algorithms.yaml"
SEEDS = (0, 1)


def settings(name: str, seed: int, root: str) -> list[str]:
    """Return what one run adds to the recipe."""
    return [f"--algorithm.name={name}", f"--seed={seed}", f"--data.root={root}"]


def one(name: str, seed: int, root: str, folder: Path) -> dict[str, float]:
    """Train and test once, and return what it cost; done before, it is read back."""
    run = folder / f"{name}-seed-{seed}"
    kept = run / "cost.json"
    if not kept.exists():
        command = [sys.executable, "-m", "innerloop", "train", "--config", str(RECIPE), *settings(name, seed, root)]
        started = time.perf_counter()
        process = subprocess.Popen([*command, f"--out={run}"], stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"{name}, seed {seed}, ended with exit code {os.waitstatus_to_exitcode(status)}")
        cost = {"seconds": time.perf_counter() - started, "mebibytes": used.ru_maxrss / 1024}
        subprocess.run(
            [sys.executable, "-m", "innerloop", "evaluate", str(run), "--checkpoint=last", "--episodes=300"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        kept.write_text(json.dumps(cost))
    return {**json.loads(kept.read_text()), **accuracy(run)}


def accuracy(run: Path) -> dict[str, float]:
    """Return the test accuracy of a run with its interval, and with the head zeroed before adaptation."""
    (kept,) = open_run(run).evaluations()
    mean, zeroed = kept.evaluation.interval(), kept.evaluation.interval(zero_head=True)
    return {
        "mean": mean.mean,
        "half": mean.half_width,
        "zeroed": zeroed.mean,
        "transductive": kept.evaluation.transductive,
    }


def main() -> None:
    """Run what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=list(ALGORITHMS), choices=list(ALGORITHMS))
    asked = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    print(
        "| algorithm | seed 0, % | seed 1, % | head zeroed at test, % | seconds | MiB |\n|---|---|---|---|---|---|",
        flush=True,
    )
    for name in asked.only:
        found = [one(name, seed, asked.root, asked.out) for seed in SEEDS]
        each = [f"{100 * row['mean']:.1f} ± {100 * row['half']:.1f}" for row in found]
        zeroed = " / ".join(f"{100 * row['zeroed']:.1f}" for row in found)
        seconds = " / ".join(f"{row['seconds']:.0f}" for row in found)
        print(
            f"| {name} | {each[0]} | {each[1]} | {zeroed} | {seconds} | {max(row['mebibytes'] for row in found):.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
