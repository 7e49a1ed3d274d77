"""Kill real trainings at random moments, resume them, and hold what they leave against trainings left in peace.

    python tests/faults/harness.py --seed 0 --count 100 [--signals KILL TERM INT] [--damage] [--folder DIR]

Every episode is one run: `innerloop train` is ended by a signal at a random moment, again and again, and resumed each
time, until it has come to its end. Then every file is compared with that of a run that nobody disturbed: parameters,
outer optimizer, best checkpoint, snapshots and heads byte by byte, the history but for its seconds. The number of
threads is another one at every resume. What a process is asked to end by (TERM, INT) it may be asked twice, and it has
to save: its newest checkpoint is that of the last step it recorded. With `--damage`, what the process left is damaged
before it is resumed: the newest checkpoint cut or with a bit turned, the history with half a line more, a draft left
lying.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

COMMAND = Path(sys.executable).with_name("innerloop")
SMALL = (
    "--model.name=strided_conv4",
    "--model.filters=4",
    "--training.tasks=2",
    "--training.steps=60",
    "--record.validation=7",
    "--record.validation_episodes=2",
    "--record.checkpoint=2",
    "--record.heads=true",
)
# What carries state of its own from step to step, each in its way.
RECIPES = {
    "zeroing": ("--algorithm.name=zeroing",),
    "head put back": ("--algorithm.head=first", "--training.outer_schedule=cosine"),
    "learned rates": ("--algorithm.name=meta_sgd", "--record.rates=3"),
    "MAML++": ("--algorithm.name=maml_pp", "--inner.steps=2", "--algorithm.last_from=20"),
    "inner momentum": ("--algorithm.name=maml", "--algorithm.rule=momentum", "--inner.steps=2"),
    "outer SGD": ("--training.outer_rule=sgd", "--training.pool=3", "--record.contrast=5", "--record.cosine=5"),
    "Entropy-SGD": ("--algorithm.name=entropy_sgd", "--inner.steps=2"),
    "second order later": ("--algorithm.name=maml", "--algorithm.second_from=31", "--inner.steps=2"),
}
ENDS = {"KILL": (-9,), "TERM": (143, -15), "INT": (130, -2)}
IN_ORDER = (143, 130)


@dataclass
class Tally:
    """What was tried, what was met, and what differed."""

    faults: Counter[str] = field(default_factory=Counter)
    met: Counter[str] = field(default_factory=Counter)
    episodes: int = 0
    differences: list[str] = field(default_factory=list)

    def told(self) -> str:
        """Return all of it as lines."""
        kinds = ", ".join(f"{count} {name}" for name, count in sorted(self.faults.items()))
        met = ", ".join(f"{count} {name}" for name, count in sorted(self.met.items()))
        return "\n".join(
            [
                f"{sum(self.faults.values())} faults ({kinds}) in {self.episodes} runs",
                f"found afterwards: {met or 'nothing'}",
                *self.differences,
                f"{len(self.differences)} differences",
            ]
        )


class Harness:
    """Disturbs trainings in a folder of its own.

    Args:
        folder: Where the runs lie.
        seed: Decides recipes, moments, signals and damage.
        signals: Which ones end a process.
        damage: Whether to damage what it left.
        say: Told of every fault.
        small: What all runs have in common.
        recipes: What each has of its own, by name.
    """

    def __init__(
        self,
        folder: Path,
        seed: int,
        signals: Sequence[str],
        damage: bool = False,
        say: Callable[[str], None] = print,
        small: Sequence[str] = SMALL,
        recipes: Mapping[str, Sequence[str]] = RECIPES,
    ) -> None:
        self.folder, self.signals, self.damage, self.say = folder, signals, damage, say
        self.small, self.recipes = small, recipes
        self.dice = random.Random(seed)
        self.tally = Tally()
        self.seconds: dict[str, float] = {}

    def run(self, count: int) -> Tally:
        """Disturb one run after another until there were so many faults."""
        names = list(self.recipes)
        self.dice.shuffle(names)
        while sum(self.tally.faults.values()) < count:
            self.episode(names[self.tally.episodes % len(names)], count)
        return self.tally

    def episode(self, name: str, count: int) -> None:
        """Disturb one run until it comes to its end, and compare it."""
        whole = self.in_peace(name)
        run = self.folder / f"disturbed-{self.tally.episodes}"
        self.tally.episodes += 1
        while sum(self.tally.faults.values()) < count:
            if not self.disturbed(name, run):
                break
        else:
            self.ended(self.started(name, run), (0,))
        found = differences(whole, run)
        self.tally.differences += [f"{name}: {each}" for each in found]
        self.say(f"{name}: {', '.join(found) or 'no difference'}")
        if not found:
            shutil.rmtree(run)

    def in_peace(self, name: str) -> Path:
        """Return the same run undisturbed; how long it trained is what the others are waited for by."""
        whole = self.folder / f"whole-{name}"
        if not whole.exists():
            self.ended(self.started(name, whole), (0,))
            records = (whole / "history.jsonl").read_text().splitlines()
            self.seconds[name] = sum(json.loads(record)["seconds"] for record in records)
        return whole

    def started(self, name: str, run: Path) -> subprocess.Popen[str]:
        """Begin or resume a run."""
        is_begun = (run / "recipe.yaml").exists()
        words = ("--resume", str(run)) if is_begun else (*self.small, *self.recipes[name], "--out", str(run))
        return subprocess.Popen(
            [str(COMMAND), "train", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": str(self.dice.choice((1, 2)) if is_begun else 2)},
        )

    def disturbed(self, name: str, run: Path) -> bool:
        """End a process at a random moment; return whether it was in time."""
        kind = self.dice.choice(list(self.signals))
        before = size(run)
        process = self.started(name, run)
        if self.dice.random() < 0.8:  # most of them while it trains, the others while it starts as well
            while process.poll() is None and size(run) == before:
                time.sleep(0.002)
        # Some way on, mostly a short one, so that a run is ended several times before it comes to its end.
        with suppress(subprocess.TimeoutExpired):
            process.wait(self.dice.random() ** 2 * 0.5 * self.seconds[name])
        process.send_signal(getattr(signal, f"SIG{kind}"))
        if kind != "KILL" and self.dice.random() < 0.3:  # while it saves, or leaves
            with suppress(subprocess.TimeoutExpired):
                process.wait(self.dice.random() * 0.1)
            process.send_signal(getattr(signal, f"SIG{kind}"))
            self.tally.met[f"{kind} twice"] += 1
        code = self.ended(process, (0, *ENDS[kind]))
        if code == 0:
            return False
        self.tally.faults[kind] += 1
        self.look(run)
        if code in IN_ORDER and (run / "history.jsonl").exists() and newest(run) != steps(run):
            self.tally.differences.append(f"{kind}: saved at step {newest(run)}, recorded {steps(run)}")
        if self.damage:
            self.hurt(run)
        return True

    def ended(self, process: subprocess.Popen[str], codes: Sequence[int]) -> int:
        """Wait for a process; another exit code than these, or more than a line of complaint, is a difference."""
        _, said = process.communicate()
        if came_too_early(process.returncode, said):
            return process.returncode
        lines = [line for line in said.splitlines() if "Going on from step" not in line]  # damage is told of as well
        if process.returncode not in codes or len(lines) > 1 or "Traceback" in said or "ignored" in said:
            self.tally.differences.append(f"exit code {process.returncode}: {said[-2000:]}")
        return process.returncode

    def look(self, run: Path) -> None:
        """Count in which states processes leave a run."""
        if not (run / "recipe.yaml").exists():
            self.tally.met["not begun yet"] += 1
            return
        if any(run.rglob(".*-*")):
            self.tally.met["in the middle of writing a file"] += 1
        history = run / "history.jsonl"
        lines = history.read_bytes() if history.exists() else b""
        if lines and not lines.endswith(b"\n"):
            self.tally.met["in the middle of a line"] += 1
        if steps(run) > newest(run):
            self.tally.met["between two checkpoints"] += 1

    def hurt(self, run: Path) -> None:
        """Damage what a process left, in one of the ways that a run survives."""
        saved = sorted((run / "checkpoints").glob("step-*"))
        ways = ["half a line", "a draft"] + (["a cut checkpoint", "a turned bit"] if len(saved) > 1 else [])
        if not (run / "history.jsonl").exists():
            return
        way = self.dice.choice(ways)
        if way == "half a line":
            with (run / "history.jsonl").open("ab") as file:
                file.write(b'{"step": 999, "lo')
        elif way == "a draft":
            (run / "checkpoints").mkdir(exist_ok=True)
            (run / "checkpoints" / ".step-000002.safetensors-1").write_bytes(b"half")
        else:
            content = bytearray(saved[-1].read_bytes())
            place = self.dice.randrange(len(content))
            if way == "a turned bit":
                content[place] ^= 1 << self.dice.randrange(8)
            saved[-1].write_bytes(content[:place] if way == "a cut checkpoint" else content)
        self.tally.met[f"{way}, made by hand"] += 1


def size(run: Path) -> int:
    """Return how long a run's history is."""
    place = run / "history.jsonl"
    return place.stat().st_size if place.exists() else -1


def steps(run: Path) -> int:
    """Return the outer steps that a run has recorded; -1 where it has not come to the first state."""
    place = run / "history.jsonl"
    return place.read_bytes().count(b"\n") - 1 if place.exists() else -1


def newest(run: Path) -> int:
    """Return the outer step of a run's newest checkpoint; -1 where it has none."""
    return max((int(each.stem.removeprefix("step-")) for each in (run / "checkpoints").glob("step-*")), default=-1)


def came_too_early(code: int, said: str) -> bool:
    """Whether Ctrl-C reached Python before the command, where nobody can say how it ends."""
    return code in (1, -2) and "KeyboardInterrupt" in said and ", in main" not in said


def differences(whole: Path, run: Path) -> list[str]:
    """Say in what a disturbed run differs from the one left in peace."""
    found = [f"{name} is another one" for name in NAMES if content(whole, name) != content(run, name)]
    left = [each.name for each in [*run.rglob(".*-*"), *run.glob("lock")]]
    if left:
        found.append(f"left behind: {', '.join(left)}")
    return found


NAMES = ("recipe.yaml", "history.jsonl", "checkpoints", "best.safetensors", "snapshots", "heads.bin")


def content(run: Path, name: str) -> object:
    """Return what is compared of a file or folder: of the history all but seconds, of checkpoints the newest."""
    place = run / name
    if name == "history.jsonl":
        records = [json.loads(line) for line in place.read_text().splitlines()]
        return [{key: value for key, value in record.items() if key != "seconds"} for record in records]
    if name == "checkpoints":
        newest = max(place.iterdir())
        return newest.name, newest.read_bytes()
    if place.is_dir():
        return {each.name: each.read_bytes() for each in place.iterdir()}
    return place.read_bytes()


def main() -> int:
    """Run the harness, print what came of it, and return 1 where anything differed."""
    parser = argparse.ArgumentParser(description="Kill trainings at random moments, resume and compare them.")
    parser.add_argument("--seed", type=int, default=0, help="decides everything but the clock")
    parser.add_argument("--count", type=int, default=100, help="how many faults")
    parser.add_argument("--signals", nargs="+", choices=list(ENDS), default=["KILL"])
    parser.add_argument("--damage", action="store_true", help="damage what is left as well")
    parser.add_argument("--folder", type=Path, default=None, help="where the runs lie [a temporary folder]")
    parsed = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)  # a log tells how far it has come
    folder = Path(tempfile.mkdtemp(prefix="faults-", dir=parsed.folder))
    tally = Harness(folder, parsed.seed, parsed.signals, parsed.damage).run(parsed.count)
    print(tally.told())
    if tally.differences:
        print(f"what differs is left in {folder}")
    else:
        shutil.rmtree(folder)
    return 1 if tally.differences else 0


if __name__ == "__main__":
    sys.exit(main())
