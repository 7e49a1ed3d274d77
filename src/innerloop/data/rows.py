"""Rows of a file too large for memory, read when they are asked for; a file that was changed meanwhile is refused.

Out of a mapping of the file alone, one that is overwritten would give other numbers, and one that is cut short would
end the process: the system sends SIGBUS to whoever looks behind its end.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast
from weakref import finalize

import numpy as np
from numpy.typing import NDArray

from innerloop.errors import DataError


class Rows(np.memmap):
    """An array in a file; whole rows of it are read from the file and held against what it was when it was opened.

    A file that was deleted is still there for whoever has it open.
    """

    _file: int | None = None  # its descriptor; views have none, and look into the mapping
    _opened: os.stat_result

    def __getitem__(self, key: Any) -> Any:
        """Return one row, a range of rows, or those of a list of numbers; any other part out of the mapping."""
        if self._file is None:
            return super().__getitem__(key)
        if isinstance(key, int | np.integer):
            return self._read([range(len(self))[int(key)]], 1)[0]
        if isinstance(key, slice) and (numbers := range(len(self))[key]).step == 1:
            return self._read([numbers.start], len(numbers))
        if isinstance(key, np.ndarray) and key.ndim == 1 and key.dtype.kind in "iu":
            if ((key < -len(self)) | (key >= len(self))).any():
                raise IndexError(f"rows {key} of {len(self)}")
            return self._read((key % len(self)).tolist(), 1)
        self._check()
        return super().__getitem__(key)

    def _read(self, starts: Sequence[int], count: int) -> NDArray[Any]:
        """Return, from each of these rows on, so many that follow one another."""
        file, size = cast("int", self._file), count * (self.nbytes // len(self))
        found = np.empty((len(starts) * count, *self.shape[1:]), self.dtype)
        places = found.reshape(-1).view(np.uint8).data
        for number, start in enumerate(starts):
            left, at = places[number * size : (number + 1) * size], self.offset + start * (size // max(1, count))
            while left:
                read = os.preadv(file, [left], at)
                if not read:
                    raise self._changed()
                left, at = left[read:], at + read
        self._check()
        return found

    def _check(self) -> None:
        """Refuse a file that was changed."""
        now = os.fstat(cast("int", self._file))
        if (now.st_size, now.st_mtime_ns) != (self._opened.st_size, self._opened.st_mtime_ns):
            raise self._changed()

    def _changed(self) -> DataError:
        return DataError(
            f"expected '{self.filename}' as it was when it was opened, got it changed meanwhile; put it back and go on "
            "with --resume, or train anew"
        )


def rows_of(place: Path) -> NDArray[Any]:
    """Open an array that np.save wrote.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no such array.
    """
    with place.open("rb") as file:
        opened = os.fstat(file.fileno())
        like = np.load(place, mmap_mode="r", allow_pickle=False)
        if not like.ndim or not like.flags.c_contiguous:  # no row lies in one piece
            return np.array(like)
        # Truth is kept as bytes 0 and 1. Copy on write: torch wants writable memory, and the file stays as it is.
        dtype = np.dtype(np.uint8) if like.dtype == bool else like.dtype
        rows = Rows(file, dtype, "c", like.offset, like.shape)
        rows._file, rows._opened = os.dup(file.fileno()), opened
    finalize(rows, os.close, rows._file)
    return rows
