"""Contenders side by side: each a process of its own, all alive, working in turns while the others wait.

In turns, so that the machine's drift meets all alike; each in a process of its own, so that no setting of one (the
allocator's, the threads', a library's) reaches another. What is compared are ratios of one round.
"""

import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file

from innerloop.bench import quiet
from innerloop.bench.world import World, save
from innerloop.shapes import Params

Kind = Literal["peer", "plain", "ours", "product"]
Watch = Callable[[str], None]


@dataclass(frozen=True)
class Contender:
    """Who is to work.

    Attributes:
        label: Its name in the table.
        kind: One of the `peer`s, the `plain` loop, one of `ours`, or the matrix `product`.
        command: What Python is to run: a file, or `-m` and a module.
        options: The contender's own, plain values.
    """

    label: str
    kind: Kind
    command: tuple[str, ...]
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def precision(self) -> str:
        """Which matrix product it is held against."""
        return str(self.options.get("precision", "float32"))


@dataclass
class Measured:
    """What a contender took.

    Attributes:
        contender: Who.
        how: What did the work, where it had a choice.
        first: Seconds of the first time, in which a compiler works.
        seconds: Of each round.
        others: Share of all cores that other processes took at most in a round.
        mebibytes: Memory added at most to what the process held before the first time; on a GPU all that it held there.
        loss: Mean query loss.
        apart: Distance of the gradient from that of the first contender that had one, over its norm.
        notes: What it warned of.
        failed: Why it has no numbers, or None.
    """

    contender: Contender
    how: str = ""
    first: float = math.nan
    seconds: list[float] = field(default_factory=list)
    others: float = 0.0
    mebibytes: float = math.nan
    loss: float = math.nan
    apart: float | None = None
    notes: list[str] = field(default_factory=list)
    failed: str | None = None

    @property
    def median(self) -> float:
        """The seconds of the middle round."""
        return statistics.median(self.seconds)


def ratios(slow: Measured, fast: Measured) -> list[float]:
    """Return how many times faster `fast` was, round by round."""
    return [one / other for one, other in zip(slow.seconds, fast.seconds, strict=True)]


def unwatched(_now: str) -> None:
    """Tell nobody."""


def race(
    world: World,
    contenders: Sequence[Contender],
    rounds: int,
    device: str = "cpu",
    patience: float = 0.0,
    watch: Watch = unwatched,
) -> list[Measured]:
    """Let all work once, compare what they found, and then in turns; whoever fails drops out.

    Args:
        world: What all are given.
        contenders: In the order of their turns; the others' gradients are compared with the first that has one.
        rounds: How often each works after the first time.
        device: `cpu` or `cuda`.
        patience: Seconds each turn may wait until no other process works, and be repeated where one began to.
        watch: Told what happens next.
    """
    with ExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="innerloop-bench-")))
        save(world, folder / "world.safetensors")
        running = [held.enter_context(_Running(each, folder, index, device)) for index, each in enumerate(contenders)]
        for each in running:
            each.hear()
        reference: Params = {}
        for each in running:
            watch(f"{each.measured.contender.label}: first time")
            each.work_first()
            reference = _compared(each, reference, world)
        for number in range(rounds):
            watch(f"round {number + 1} of {rounds}")
            for each in running:
                each.work(patience)
    return [each.measured for each in running]


def _compared(one: "_Running", reference: Params, world: World) -> Params:
    """Note how far a gradient is from the reference, which it becomes where there is none."""
    if one.measured.contender.kind == "product" or one.measured.failed:
        return reference
    found = load_file(one.gradient)
    # Under a zeroed head its own gradient is not used, and a closed form has another.
    zeroed = all(not bool(world.params[name].any()) for name in world.told.head)
    own = {name: value for name, value in found.items() if not (zeroed and name in world.told.head)}
    reference = reference or own
    apart = torch.cat([(own[name] - value).flatten() for name, value in reference.items()]).norm()
    one.measured.apart = float(apart / torch.cat([value.flatten() for value in reference.values()]).norm())
    return reference


class _Running:
    """A contender's process, and what it has said."""

    def __init__(self, contender: Contender, folder: Path, index: int, device: str) -> None:
        self.measured = Measured(contender)
        self.gradient = folder / f"gradient-{index}.safetensors"
        self._complaints = folder / f"complaints-{index}"
        options = json.dumps({**contender.options, "device": device})
        self._command = [sys.executable, *contender.command, str(folder / "world.safetensors"), options]

    def __enter__(self) -> "_Running":
        with self._complaints.open("wb") as complaints:
            self._process = subprocess.Popen(
                self._command, text=True, bufsize=1, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints
            )
        return self

    def __exit__(self, *_: object) -> None:
        # Whatever it works on now, nobody waits for.
        self._process.kill()
        self._process.communicate()

    def work_first(self) -> None:
        """Work once, and keep the gradient."""
        said = self._asked(f"keep {self.gradient}")
        if said:
            self.measured.first, self.measured.loss = said["seconds"], said["loss"]
            self.measured.how, self.measured.notes = said["how"], said["notes"]

    def work(self, patience: float) -> None:
        """Work once, undisturbed if that comes about within `patience` seconds, and note what it took."""
        until = time.perf_counter() + patience
        while True:
            quiet.wait(until)
            before = quiet.clock(self._process.pid)
            said = self._asked("go")
            others = quiet.others(before, quiet.clock(self._process.pid))
            if not said or others < quiet.LIMIT or time.perf_counter() >= until:
                break
        if said:
            self.measured.seconds.append(said["seconds"])
            self.measured.mebibytes = said["mebibytes"]
            self.measured.others = max(self.measured.others, others)

    def hear(self) -> dict[str, Any]:
        """Wait for the next answer, and return it; nothing where it is a failure, which is noted."""
        pipe = self._process.stdout
        line = pipe.readline() if pipe else ""
        said: dict[str, Any] = json.loads(line) if line else {"failed": self._ended()}
        if "failed" in said:
            self.measured.failed, self.measured.seconds = said["failed"], []
            return {}
        return said

    def _asked(self, word: str) -> dict[str, Any]:
        pipe = self._process.stdin
        if self.measured.failed or pipe is None:
            return {}
        try:
            pipe.write(f"{word}\n")
            pipe.flush()
        except OSError:
            return {}
        return self.hear()

    def _ended(self) -> str:
        complaints = self._complaints.read_text(errors="replace").splitlines()
        last = next((line.strip() for line in reversed(complaints) if line.strip()), "it said nothing")
        return f"ended with exit code {self._process.wait()}: {last}"
