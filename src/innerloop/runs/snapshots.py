"""snapshots/: the meta-parameters as they were on the way, at the same outer steps in every run.

By default at 0, 1, 2, 5, 10, 20, 50, ... and at the end: few however long training is, and the same for runs of other
lengths and seeds, so that runs are compared step by step.
"""

from pathlib import Path

from innerloop.errors import RunError
from innerloop.runs.checkpoint import Best, place_of, read_checkpoint, steps_in, write_checkpoint
from innerloop.runs.files import make_folder
from innerloop.shapes import Params
from innerloop.training import State


def is_due(every: int | None, step: int, steps: int) -> bool:
    """Return whether this outer step is kept.

    Args:
        every: At multiples of this many outer steps and at the end; 0 is never, None the first digits 1, 2 and 5.
        step: Outer steps done.
        steps: Outer steps in all.
    """
    if every == 0:
        return False
    if step in (0, steps):
        return True
    digits = str(step)
    return step % every == 0 if every else digits[0] in "125" and not int(digits[1:] or "0")


def write(folder: Path, state: State, of: str = "") -> None:
    """Keep a state's parameters; `of` says `whose` they are.

    Raises:
        DiskError: The folder cannot be written.
    """
    make_folder(folder)
    write_checkpoint(place_of(folder, state.step), State(state.step, state.params), Best(), of)


def read(folder: Path, step: int, of: str = "") -> Params:
    """Return the meta-parameters after this outer step; `of` says `whose` they have to be.

    Raises:
        RunError: They were not kept, the file is damaged, or another run's.
    """
    place = place_of(folder, step)
    try:
        state = read_checkpoint(place, of)[0]
    except RunError as error:
        if not place.exists():
            raise
        raise RunError(
            f"expected the parameters after outer step {step} in '{place}', got a damaged file; delete it"
        ) from error
    if state.step != step:
        raise RunError(
            f"expected the parameters after outer step {step} in '{place}', got those after step {state.step}; delete "
            "the file"
        )
    return state.params


def keep_until(folder: Path, step: int) -> None:
    """Drop what was kept after outer step `step`: a continued run writes it again."""
    for each in steps_in(folder):
        if each > step:
            place_of(folder, each).unlink()
