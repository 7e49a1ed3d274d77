"""What saving costs beside a training step, and how soon a resumed run takes its first step, on Omniglot.

    python benchmarks/checkpoint.py --root FOLDER_WITH_THE_OMNIGLOT_ZIPS

5-way 1-shot, FOMAML, 16 tasks a step, strided Conv-4 with 64 filters: all that is written when a checkpoint is due
(history and heads flushed, the state with its digest, those before it cleared away) against the outer steps between,
in one run, in turns. Then `innerloop train --resume` from the command line, until its first new line is in the history,
and until its Python has come to our code at all.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from statistics import median, quantiles

import innerloop as il
from innerloop import driver
from innerloop.cli.memory import keep_big_blocks
from innerloop.runs import RecordConfig

COMMAND = Path(sys.executable).with_name("innerloop")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--resumes", type=int, default=5)
    parser.add_argument("--folder", default=None, help="on the disk to be measured [a temporary one]")
    options = parser.parse_args()

    keep_big_blocks()
    recipe = il.Recipe(
        data=il.DataConfig("omniglot", root=options.root, split="characters"),
        model=il.ModelConfig("strided_conv4"),
        training=il.TrainingConfig(steps=10 * options.steps),
        record=RecordConfig(validation=0, checkpoint=5, heads=True),
    )
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        run = Path(folder) / "run"
        steps, written = trained(recipe, run, options.steps)
        told("an outer step", steps)
        told("a checkpoint", written)
        print(f"a checkpoint costs {median(written) / median(steps):.2f} outer steps")
        first = [resumed(run) for _ in range(options.resumes)]
        told("from the command to the first step of a resumed run", first)
        told("of these, until the command knows its own options", [asked() for _ in range(options.resumes)])


def trained(recipe: il.Recipe, run: Path, steps: int) -> tuple[list[float], list[float]]:
    """Return the seconds of outer steps, and of writing the checkpoints that came between."""
    written: list[float] = []
    save = driver._save

    def timed(*arguments: object) -> None:
        began = time.perf_counter()
        save(*arguments)  # type: ignore[arg-type]
        written.append(time.perf_counter() - began)

    driver._save = timed  # type: ignore[assignment]
    taken: list[float] = []
    with closing(driver.begin(recipe, str(run), "benchmark")) as progress:  # type: ignore[type-var]
        began, saved = time.perf_counter(), 0
        for each in progress:
            now = time.perf_counter()
            own = sum(written[saved:])
            if each.step > 1:
                taken.append(now - began - own)
            began, saved = time.perf_counter(), len(written)
            if each.step == steps:
                break
    driver._save = save
    return taken, written


def resumed(run: Path) -> float:
    """Return the seconds from the command to the first new line of the history; the process is stopped then."""
    before = len((run / "history.jsonl").read_bytes())
    began = time.perf_counter()
    process = subprocess.Popen(
        [str(COMMAND), "train", "--resume", str(run)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while process.poll() is None and len((run / "history.jsonl").read_bytes()) <= before:
        time.sleep(0.002)
    seconds = time.perf_counter() - began
    process.terminate()
    process.wait()
    return seconds


def asked() -> float:
    """Return the seconds of `innerloop train --help`: Python, torch and the other libraries, and nothing of a run."""
    began = time.perf_counter()
    subprocess.run([str(COMMAND), "train", "--help"], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def told(what: str, seconds: list[float]) -> None:
    """Print the median and the middle half."""
    low, _, high = quantiles(seconds, n=4)
    print(f"{what}: {median(seconds):.4f} s (middle half of {len(seconds)}: {low:.4f} to {high:.4f})", flush=True)


if __name__ == "__main__":
    main()
