"""By what a run is worked out, so that it goes on by the same: engine, chunk, threads, device, ranks, versions.

`auto` chooses by what a machine has. A run keeps what it chose, for sums over other chunks or threads round otherwise,
and a continued run is to be the uninterrupted one.
"""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields
from typing import Any

import dacite
import torch

from innerloop.engine import EngineConfig, Made, cores
from innerloop.engine.choice import CLOSED, CONSTANT
from innerloop.errors import RunWarning
from innerloop.runs.provenance import device_name

ROUNDING = ("torch", "device", "threads", "ranks")  # what sums round by
MOST = 4096  # threads, or tasks at once: what a damaged file says is not asked of the machine


def told(asked: EngineConfig, made: Made | None, device: torch.device, ranks: int) -> dict[str, Any]:
    """Return by what a run is worked out, as plain values.

    Args:
        asked: What the recipe asks for.
        made: What was made of it; None where no step is left.
        device: Where.
        ranks: Over how many processes.
    """
    return {
        "device": device_name(device),
        "threads": cores(),
        "ranks": ranks,
        "engine": asked_and_made(asked, made),
    }


def asked_and_made(asked: EngineConfig, made: Made | None) -> dict[str, Any]:
    """Return what maps over tasks, as plain values: what the recipe asks for, and what was made of it."""
    return {"asked": asdict(asked), **({} if made is None else asdict(made))}


def as_before(about: Mapping[str, Any], asked: EngineConfig, device: torch.device) -> Made | None:
    """Return the engine a run was begun with, or None where it is to be chosen.

    That is where another is asked for since, where the run was begun on another kind of device, or nothing was kept.
    """
    kept = about.get("engine")
    if not isinstance(kept, dict) or kept.get("asked") != asdict(asked):
        return None
    if str(about.get("device", "")).startswith("cpu") != (device.type == "cpu"):
        return None
    try:
        made = dacite.from_dict(Made, {each.name: kept[each.name] for each in fields(Made)})
    except (dacite.DaciteError, KeyError):
        return None
    is_sound = made.mapping in ("loop", "workers", "vmap", "compiled") and made.rule in ("", CLOSED, CONSTANT)
    return made if is_sound and 0 <= made.chunk <= MOST and 0 <= made.workers <= MOST else None


@contextmanager
def threads(about: Mapping[str, Any]) -> Iterator[None]:
    """Work with as many threads as a run was begun with; with this process's own where nothing was kept."""
    before, kept = cores(), about.get("threads")
    if type(kept) is not int or not 1 <= kept <= MOST:
        yield
        return
    torch.set_num_threads(kept)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def warn_of_differences(before: Mapping[str, Any], now: Mapping[str, Any], device: torch.device) -> None:
    """Say where a continued run cannot equal the uninterrupted one to the bit.

    Warns:
        RunWarning: It goes on by something else than it was begun with, or on a GPU.
    """
    before = {**before, **(before.get("resumed") or [{}])[-1]}  # as it went on last
    differ = [name for name in ROUNDING if name in before and str(before[name]) != str(now[name])]
    if differ:
        then = ", ".join(f"{name} {before[name]!s:.60}" for name in differ)
        here = ", ".join(f"{name} {now[name]}" for name in differ)
        warnings.warn(
            f"this run was begun with {then} and goes on with {here}: it equals the uninterrupted one to rounding, "
            "not to the bit",
            RunWarning,
            stacklevel=2,
        )
    elif device.type == "cuda":
        warnings.warn(
            "on a GPU a continued run equals the uninterrupted one to rounding, not to the bit",
            RunWarning,
            stacklevel=2,
        )
