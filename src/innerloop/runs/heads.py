"""heads.bin: the head before every outer step, one row of numbers after another, appended as training goes.

Row `t` is the head that outer step `t` started from: its parameters flattened, in the order of their names (a
checkpoint keeps no other order). A row is a few kilobytes.
"""

from pathlib import Path

import numpy as np
import torch

from innerloop.errors import DiskError, RunError
from innerloop.runs.files import write_whole
from innerloop.shapes import Params


def append(place: Path, head: Params) -> None:
    """Add one row.

    Raises:
        DiskError: The file cannot be written.
    """
    try:
        with place.open("ab") as file:
            file.write(_row(head).tobytes())
    except OSError as error:
        raise DiskError(f"expected to append to '{place}', got: {error.strerror}; free some space") from error


def read(place: Path, like: Params) -> Params:
    """Read all whole rows.

    Args:
        place: The file.
        like: A head of the run: its names, shapes and type.

    Returns:
        The same names, each with a leading axis over outer steps.

    Raises:
        RunError: The run recorded none.
    """
    try:
        content = _content(place)
    except OSError as error:
        raise RunError(
            f"expected the heads of all outer steps in '{place}', got: {error.strerror}; train with --record.heads=true"
        ) from error
    row = _row(like)
    whole = len(content) // row.nbytes
    values = np.frombuffer(content[: whole * row.nbytes], row.dtype).reshape(whole, row.size)
    sizes = [like[name].numel() for name in sorted(like)]
    parts = torch.split(torch.from_numpy(values.copy()), sizes, dim=1)
    return {name: part.reshape(whole, *like[name].shape) for name, part in zip(sorted(like), parts, strict=True)}


def count(place: Path, like: Params) -> int:
    """Return how many whole rows there are."""
    return place.stat().st_size // _row(like).nbytes if place.is_file() else 0


def keep_until(place: Path, step: int, like: Params) -> None:
    """Drop the rows after outer step `step`: a continued run writes them again.

    Raises:
        DiskError: The file cannot be written.
    """
    if place.is_file():
        # Written anew: the file may be a copy's, too, by a link.
        write_whole(place, _content(place)[: (step + 1) * _row(like).nbytes])


def _content(place: Path) -> bytes:
    if place.exists() and not place.is_file():
        raise RunError(f"expected a file at '{place}', got something else (a pipe or a device); remove it")
    return place.read_bytes()


def _row(head: Params) -> np.ndarray[tuple[int], np.dtype[np.floating]]:
    row: np.ndarray[tuple[int], np.dtype[np.floating]] = torch.cat(
        [head[name].flatten() for name in sorted(head)]
    ).numpy()
    return row
