"""Did anybody else work meanwhile? What other processes take of the cores is no contender's doing.

Linux counts it; elsewhere nothing is known, and every turn counts as quiet.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

LIMIT = 0.05  # of all cores: from here on a turn is disturbed
LOOK = 0.3  # seconds


class Clock(NamedTuple):
    """Seconds since some moment: of the wall, of all cores at work, and of one process with those it started."""

    wall: float
    busy: float
    own: float


def clock(process: int | None = None) -> Clock:
    """Read the clocks now; without a process nothing is its own."""
    tick = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
    try:
        fields = [int(value) for value in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    except OSError:
        return Clock(time.perf_counter(), 0.0, 0.0)
    user, nice, system, _idle, _waiting, interrupts, soft, stolen = fields
    own = sum(_ticks(each) for each in family(process)) if process is not None else 0
    return Clock(time.perf_counter(), (user + nice + system + interrupts + soft + stolen) / tick, own / tick)


def others(before: Clock, after: Clock) -> float:
    """Return the share of all cores that other processes took in between, in [0, 1]."""
    wall = (after.wall - before.wall) * (os.cpu_count() or 1)
    return max(0.0, (after.busy - before.busy) - (after.own - before.own)) / wall if wall > 0 else 0.0


def wait(until: float) -> None:
    """Wait until nobody works, or until the wall's clock (`time.perf_counter`) shows `until`."""
    while time.perf_counter() < until:
        before = clock()
        time.sleep(LOOK)
        if others(before, clock()) < LIMIT:
            return


def family(process: int | str) -> Iterator[str]:
    """Yield a process and all that it started and that still run."""
    yield str(process)
    for listed in Path("/proc", str(process), "task").glob("*/children"):
        try:
            children = listed.read_text().split()
        except OSError:
            continue
        for child in children:
            yield from family(child)


def _ticks(process: str) -> int:
    try:
        # The name in parentheses may hold spaces; user and system time are the 12th and 13th field after it.
        fields = Path("/proc", process, "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])
