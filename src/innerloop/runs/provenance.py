"""What made a run: versions, commit, machine, command. Kept in run.json, and told in reports."""

import json
import os
import platform
import subprocess
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import Any

import numpy as np
import torch

import innerloop

PATIENCE = 10  # seconds for git to say something


def provenance(command: str) -> dict[str, str]:
    """Return what a reader needs to repeat a result: versions, commit, command, machine, time."""
    return {
        "innerloop": version("innerloop"),
        "commit": commit(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads",
        "command": command,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def commit() -> str:
    """Return the commit that innerloop itself is of, marked where files were changed since; nothing for a release."""
    try:
        written = distribution("innerloop").read_text("direct_url.json")  # of an installation from a repository
        return str(json.loads(written or "{}")["vcs_info"]["commit_id"])
    except (PackageNotFoundError, ValueError, LookupError, TypeError):
        pass
    home = Path(innerloop.__file__).parent
    # Only of its own repository: an installed package may lie in a folder that somebody else's git looks after.
    if not _git(home, "ls-files", "--error-unmatch", Path(innerloop.__file__).name):
        return ""
    changed = "-changed" if _git(home, "status", "--porcelain", "--untracked-files=no", ".") else ""
    return _git(home, "rev-parse", "HEAD") + changed


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=PATIENCE, check=True
        )
    except (OSError, subprocess.SubprocessError, UnicodeError):
        return ""
    return done.stdout.strip()


def device_name(device: torch.device) -> str:
    """Return what does the arithmetic: which GPU, or the widest instructions of the CPU; its sums round by that."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type}, {torch.backends.cpu.get_cpu_capability()}"


def as_lines(about: Mapping[str, Any]) -> Iterator[str]:
    """Yield what made a run as lines `name: value`."""
    for name, value in about.items():
        if isinstance(value, dict):
            yield f"{name}: {_plain(value)}"
        elif isinstance(value, list):
            yield from (f"{name}: {_plain(each) if isinstance(each, dict) else each}" for each in value)
        elif value != "":
            yield f"{name}: {value}"


def _plain(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items() if value not in ("", None))
