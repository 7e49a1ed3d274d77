"""The contender's side of a race: a process that waits for a word, works once, and says what it took.

    started as      python ... WORLD OPTIONS     a file of `innerloop.bench.world`; JSON of the contender's own options
    asked           "go"                         work once, and say {"seconds": ..., "loss": ..., "mebibytes": ...}
                    "keep FILE"                  the same, and write the gradient
    ends            when nobody asks any more; or with {"failed": ...}

It waits in a read, so that one that waits costs the others nothing.
"""

import contextlib
import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import torch
from safetensors.torch import save_file
from torch import Tensor

from innerloop.bench import memory
from innerloop.bench.world import World, load
from innerloop.errors import EngineWarning


class Outcome(NamedTuple):
    """What one work found.

    Attributes:
        gradient: Mean meta-gradient, by name or in the module's own order.
        loss: Mean query loss.
        how: What did the work, where the contender had a choice.
    """

    gradient: Mapping[str, Tensor] | list[Tensor]
    loss: Tensor | float
    how: str = ""


Options = dict[str, Any]
Work = Callable[[], Outcome]
Prepare = Callable[[World, Options], Work]


def serve(prepare: Prepare) -> None:
    """Prepare once, then work as often as asked."""
    said = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    # What a library prints is no answer.
    with contextlib.redirect_stdout(sys.stderr):
        try:
            _serve(prepare, said)
        except Exception as error:
            name = "" if type(error).__module__.startswith("innerloop.") else f"{type(error).__name__}: "
            _say(said, failed=f"{name}{' '.join(str(error).split())[:300]}")
            raise SystemExit(1) from error


def _serve(prepare: Prepare, said: TextIO) -> None:
    options = json.loads(sys.argv[2])
    device = options.pop("device", "cpu")
    world = load(Path(sys.argv[1]), device)
    work = prepare(world, options)
    memory.forget_peak()
    held = memory.peak()
    _say(said, ready=True)
    for line in sys.stdin:
        asked, _, place = line.strip().partition(" ")
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always", EngineWarning)
            seconds, outcome = _timed(work, device)
        if asked == "keep":
            save_file(_by_name(outcome.gradient, world), place)
        notes = [str(each.message) for each in warned if issubclass(each.category, EngineWarning)]
        added = _peak(device, held)
        _say(said, seconds=seconds, loss=float(outcome.loss), how=outcome.how, mebibytes=added, notes=notes)


def _timed(work: Work, device: str) -> tuple[float, Outcome]:
    _finish(device)
    started = time.perf_counter()
    outcome = work()
    _finish(device)
    return time.perf_counter() - started, outcome


def _finish(device: str) -> None:
    """Wait for what a GPU has been given."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def _peak(device: str, held: float) -> float:
    """Return the mebibytes added at most to what was held before the first work; on a GPU all that was held there."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated() / memory.MEBI
    return memory.peak() - held


def _by_name(gradient: Mapping[str, Tensor] | list[Tensor], world: World) -> dict[str, Tensor]:
    named = gradient if isinstance(gradient, Mapping) else dict(zip(world.told.names, gradient, strict=True))
    return {name: value.detach().cpu().contiguous() for name, value in named.items()}


def _say(said: TextIO, **what: Any) -> None:
    said.write(json.dumps(what) + "\n")
    said.flush()
