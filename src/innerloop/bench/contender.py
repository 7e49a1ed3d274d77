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
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import torch
from safetensors.torch import save_file
from torch import Tensor

from innerloop.bench import memory
from innerloop.bench.world import World, load


class Outcome(NamedTuple):
    """A mean meta-gradient, by name or in the module's own order, and the mean query loss."""

    gradient: Mapping[str, Tensor] | list[Tensor]
    loss: Tensor | float


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
            _say(said, failed=f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")
            raise


def _serve(prepare: Prepare, said: TextIO) -> None:
    options = json.loads(sys.argv[2])
    device = options.pop("device", "cpu")
    world = load(Path(sys.argv[1]), device)
    work = prepare(world, options)
    memory.forget_peak()
    held = memory.peak()
    _say(said, ready=True, mebibytes=held)
    for line in sys.stdin:
        asked, _, place = line.strip().partition(" ")
        seconds, outcome = _timed(work, device)
        if asked == "keep":
            save_file(_by_name(outcome.gradient, world), place)
        _say(said, seconds=seconds, loss=float(outcome.loss), mebibytes=_peak(device, held))


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
    """Return the mebibytes added to what was held before the first work; on a GPU all that is held there."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated() / memory.MEBI
    return memory.peak() - held


def _by_name(gradient: Mapping[str, Tensor] | list[Tensor], world: World) -> dict[str, Tensor]:
    named = gradient if isinstance(gradient, Mapping) else dict(zip(world.told.names, gradient, strict=True))
    return {name: value.detach().cpu().contiguous() for name, value in named.items()}


def _say(said: TextIO, **what: Any) -> None:
    said.write(json.dumps(what) + "\n")
    said.flush()
