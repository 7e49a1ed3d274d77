"""How much memory a process, with the processes it started, has held at most.

Not `ru_maxrss`: on Linux a new process begins with the peak of the one that started it.
"""

import resource
import sys
from pathlib import Path

from innerloop.bench.quiet import family

MEBI = 1 << 20


def forget_peak() -> None:
    """Let the peak begin again at what is held now, where the system can."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def peak() -> float:
    """Return the mebibytes held at most by this process, and by each that it started and that still runs."""
    held = [_peak_of(each) for each in family("self")]
    if held[0] is None:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MEBI
    return sum(each or 0.0 for each in held)


def _peak_of(process: str) -> float | None:
    try:
        lines = Path("/proc", process, "status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 / MEBI for line in lines if line.startswith("VmHWM")), None)
