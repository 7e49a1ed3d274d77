"""Files that are written whole or not at all, and stay written when the power goes."""

import os
import re
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from innerloop.errors import RunError

DRAFT = re.compile(r"\.(?P<name>.+)-\d+")
LONGEST = 220  # bytes of a name, with room for an ending and for a draft's beside it


def name_of(text: str) -> str:
    """Return a text as the name of one file: as it is where it can be one, else without what leads elsewhere."""
    if text and text.isprintable() and not re.search(r"^\.|[/\\]", text) and len(text.encode()) <= LONGEST:
        return text
    kept = re.sub(r"[^\w.+-]|^\.+", "_", text, flags=re.ASCII)[: LONGEST - 9]
    return f"{kept}-{sha256(text.encode('utf-8', 'backslashreplace')).hexdigest()[:8]}"


def write_whole(place: Path, content: bytes | str) -> None:
    """Write a file beside its place, flush it to the disk, and rename it into place.

    Whatever interrupts this (a full disk, Ctrl-C, the process killed, the power gone), the place holds what stood
    there before or all of the new content.

    Raises:
        RunError: The folder cannot be written or the disk is full; what stood there before still stands.
    """
    data = content.encode() if isinstance(content, str) else content
    draft = place.with_name(f".{place.name}-{os.getpid()}")
    try:
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, place)
        _settle_names(place.parent)
    except BaseException as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise RunError(
                f"expected to write '{place}', got: {error.strerror}; free some space or choose another folder"
            ) from error
        raise


def make_folder(place: Path) -> None:
    """Make a folder in one that is there.

    Raises:
        RunError: It cannot be made.
    """
    try:
        place.mkdir(exist_ok=True)
    except OSError as error:
        raise RunError(f"expected to make '{place}', got: {error.strerror}; let the run be written") from error


def settle(place: Path) -> None:
    """Flush to the disk what was appended to a file, if there is one.

    Raises:
        RunError: The disk cannot take it.
    """
    try:
        with place.open("rb") as file:
            os.fsync(file.fileno())
    except FileNotFoundError:
        return
    except OSError as error:
        raise RunError(f"expected to write '{place}', got: {error.strerror}; free some space") from error


def drafts(folder: Path) -> list[Path]:
    """Return what processes that were killed while they wrote have left in a folder."""
    return [place for place in folder.glob(".*-*") if DRAFT.fullmatch(place.name)]


def written_as(draft: Path) -> str:
    """Return the name of the file that a draft was to become."""
    found = DRAFT.fullmatch(draft.name)
    return found["name"] if found else ""


def _settle_names(folder: Path) -> None:
    """Flush a folder's names to the disk, where the system can: a rename is kept there, not in the file."""
    try:
        handle = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    except OSError:
        return
    try:
        with suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)
