"""What was written stays written when the power goes: files, and their names in folders, flushed to the disk."""

import os
from contextlib import suppress
from pathlib import Path


def flush_file(place: Path) -> None:
    """Flush what a file holds.

    Raises:
        OSError: There is none, or the disk cannot take it.
    """
    with place.open("rb") as file:
        os.fsync(file.fileno())


def flush_names(folder: Path) -> None:
    """Flush a folder's names, where the system can: a rename is kept there, not in the file."""
    try:
        handle = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    except OSError:
        return
    try:
        with suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)
