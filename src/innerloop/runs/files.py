"""Files that are written whole or not at all, and stay written when the power goes."""

import os
import re
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from innerloop.disk import flush_file, flush_names
from innerloop.errors import DiskError, RunError

# A file of its own, made by this process: one that lies there, or leads elsewhere, is not written into.
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
DRAFT = re.compile(r"\.(?P<name>.+)-\d+")
FEW = 50  # letters of a name, in that of its draft
LONGEST = 220  # bytes of a name, with room for an ending


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
        DiskError: The folder cannot be written or the disk is full; what stood there before still stands.
    """
    data = content.encode() if isinstance(content, str) else content
    draft = place.with_name(f".{place.name[:FEW]}-{os.getpid()}")  # a name may be as long as names can be already
    try:
        draft.unlink(missing_ok=True)  # of a process of this number that was killed
        with open(os.open(draft, NEW, 0o666), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, place)
        flush_names(place.parent)
    except BaseException as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise DiskError(
                f"expected to write '{place}', got: {error.strerror}; free some space or choose another folder"
            ) from error
        raise


def make_folder(place: Path, parents: bool = False) -> None:
    """Make a folder, unless it is there.

    Args:
        place: Where.
        parents: Whether the folders that it lies in are made, too.

    Raises:
        DiskError: It cannot be made.
    """
    try:
        if not place.is_dir():
            place.mkdir(parents=parents, exist_ok=True)
            flush_names(place.parent)
    except OSError as error:
        raise DiskError(
            f"expected to make '{place}', got: {error.strerror}; let it be written, or choose another folder"
        ) from error


def refuse_links(*places: Path) -> None:
    """Refuse what should lie in a run and lies elsewhere: what is written, cut or cleared away there is the run's own.

    Raises:
        RunError: It is a link.
    """
    for place in places:
        if place.is_symlink():
            raise RunError(f"expected '{place}' in the run's folder, got a link to elsewhere; put that in its place")


def settle(place: Path) -> None:
    """Flush to the disk what was appended to a file, if there is one.

    Raises:
        DiskError: The disk cannot take it.
    """
    try:
        flush_file(place)
    except FileNotFoundError:
        return
    except OSError as error:
        raise DiskError(f"expected to write '{place}', got: {error.strerror}; free some space") from error


def drafts(folder: Path) -> list[Path]:
    """Return what processes that were killed while they wrote have left in a folder."""
    return [place for place in folder.glob(".*-*") if DRAFT.fullmatch(place.name)]


def written_as(draft: Path) -> str:
    """Return the name of the file that a draft was to become."""
    found = DRAFT.fullmatch(draft.name)
    return found["name"] if found else ""
