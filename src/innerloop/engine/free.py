"""How much memory is left: what the system can still give, or less where a control group holds this process to less."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch

PROC, GROUPS = Path("/proc"), Path("/sys/fs/cgroup")


class Kind(NamedTuple):
    """Where a version of control groups says its limit and use, and which line of its `memory.stat` can be given up."""

    limit: str
    used: str
    spare: str


FIRST = Kind("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
SECOND = Kind("memory.max", "memory.current", "inactive_file")


def free_bytes(device: torch.device) -> int | None:
    """Return how many bytes a device can still hold, or None where nothing says so.

    On a GPU what the caching allocator has but does not use counts as free.
    """
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + kept
    return host_bytes() if device.type == "cpu" else None


def host_bytes(proc: Path = PROC, groups: Path = GROUPS) -> int | None:
    """Return how many bytes this process can still have of the host's memory; None where the system does not say.

    Args:
        proc: Where Linux tells about processes.
        groups: Where it tells about control groups, of the first or second version.
    """
    known = [_available(proc), *(_left(place, kind) for place, kind in _groups_of(proc, groups))]
    return min((max(each, 0) for each in known if each is not None), default=None)


def _available(proc: Path) -> int | None:
    kibibytes = _entries(proc / "meminfo").get("MemAvailable:")
    return None if kibibytes is None else 1024 * kibibytes


def _groups_of(proc: Path, groups: Path) -> Iterator[tuple[Path, Kind]]:
    """Yield the control groups that this process is in, and those around them: each may have a limit."""
    for line in _text(proc / "self" / "cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        roots: dict[Path, Kind] = {}
        if controllers == "":
            roots = {groups: SECOND, groups / "unified": SECOND}
        elif "memory" in controllers.split(","):
            roots = {groups / "memory": FIRST}
        for root, kind in roots.items():
            # A container may know itself by the path outside; its own group is then the root.
            place = root / path.lstrip("/")
            yield from ((each, kind) for each in (place, *place.parents) if each.is_relative_to(root))


def _left(group: Path, kind: Kind) -> int | None:
    limit, used = _text(group / kind.limit).strip(), _text(group / kind.used).strip()
    if not (limit.isdecimal() and used.isdecimal()):
        return None
    return int(limit) - int(used) + _entries(group / "memory.stat").get(kind.spare, 0)


def _entries(file: Path) -> dict[str, int]:
    lines = (line.split() for line in _text(file).splitlines())
    return {line[0]: int(line[1]) for line in lines if len(line) > 1 and line[1].isdecimal()}


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
