"""checkpoints/: the newest states of a run, to continue from.

The one before the newest stays until another is whole, and is used where the newest turns out to be damaged.
"""

import os
import warnings
from collections.abc import Callable
from pathlib import Path

from innerloop.errors import DamagedError, RunError, RunWarning
from innerloop.runs.checkpoint import Best, place_of, read_checkpoint, steps_in, write_checkpoint
from innerloop.runs.directory import RunDirectory
from innerloop.runs.files import make_folder
from innerloop.training import State

Lacks = Callable[[State], str]
"""Says what of the run's files a state cannot be continued with; nothing where it can."""


def write(directory: RunDirectory, state: State, best: Best, keep: int, of: str = "") -> None:
    """Save a state, and drop those before it but for the newest.

    Args:
        directory: The run's.
        state: To continue from.
        best: The best so far.
        keep: How many stay, this one among them.
        of: `whose` it is.

    Raises:
        DiskError: It cannot be written; those before it still stand.
    """
    make_folder(directory.checkpoints)
    write_checkpoint(place_of(directory.checkpoints, state.step), state, best, of)
    for step in [each for each in steps(directory) if each <= state.step][:-keep]:
        place_of(directory.checkpoints, step).unlink(missing_ok=True)


def steps(directory: RunDirectory) -> tuple[int, ...]:
    """Return the outer steps whose states are saved, the first of them first."""
    return steps_in(directory.checkpoints)


def newest(directory: RunDirectory, of: str = "", lacks: Lacks = lambda _: "") -> tuple[State, Best] | None:
    """Return the newest state that is whole and can be continued; None where none was saved.

    Args:
        directory: The run's.
        of: `whose` they have to be; "" is anybody's.
        lacks: What else is asked of a state.

    Warns:
        RunWarning: A newer one is damaged; it is named.

    Raises:
        RunError: There are some, and none is; says what is the matter with the newest.
    """
    refused: list[str] = []
    for place in _places(directory):
        try:
            state, best = read_checkpoint(place, of)
            if place != directory.only and place != place_of(directory.checkpoints, state.step):
                raise DamagedError(f"expected '{place}' as it is named, got step {state.step}; restore or delete it")
            if missing := lacks(state):
                raise DamagedError(missing)
        except RunError as error:
            if not os.path.lexists(place):  # another process has taken it away since, and has a newer one
                return newest(directory, of, lacks)
            if place.exists() and not isinstance(error, DamagedError):
                raise  # of a later format
            refused.append(str(error))
            continue
        for each in refused:
            warnings.warn(f"{each}. Going on from step {state.step}, '{place.name}'", RunWarning, stacklevel=2)
        return state, best
    if refused:
        raise RunError(refused[0])
    return None


def keep_until(directory: RunDirectory, step: int) -> None:
    """Drop what was saved after outer step `step`: damaged, or not to be continued, and written again."""
    for each in steps(directory):
        place = place_of(directory.checkpoints, each)
        if each > step and not place.is_dir():
            place.unlink(missing_ok=True)


def adopt(directory: RunDirectory) -> None:
    """Put the only checkpoint of a run of format 1 where this version keeps its own."""
    if directory.only.exists():
        step = read_checkpoint(directory.only)[0].step
        make_folder(directory.checkpoints)
        directory.only.replace(place_of(directory.checkpoints, step))


def _places(directory: RunDirectory) -> list[Path]:
    """Return the files of states, the newest first."""
    return [
        *(place_of(directory.checkpoints, step) for step in reversed(steps(directory))),
        *([directory.only] if directory.only.exists() else []),
    ]
