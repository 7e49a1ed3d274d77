"""Files that are written whole or not at all."""

import os
import re
from hashlib import sha256
from pathlib import Path

from innerloop.errors import RunError

LONGEST = 220  # bytes of a name, with room for an ending and for a draft's beside it


def name_of(text: str) -> str:
    """Return a text as the name of one file: as it is where it can be one, else without what leads elsewhere."""
    if text and text.isprintable() and not re.search(r"^\.|[/\\]", text) and len(text.encode()) <= LONGEST:
        return text
    kept = re.sub(r"[^\w.+-]|^\.+", "_", text, flags=re.ASCII)[: LONGEST - 9]
    return f"{kept}-{sha256(text.encode('utf-8', 'backslashreplace')).hexdigest()[:8]}"


def write_whole(place: Path, content: bytes | str) -> None:
    """Write a file beside its place, flush it to the disk, and rename it into place.

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
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise RunError(
            f"expected to write '{place}', got: {error.strerror}; free some space or choose another folder"
        ) from error
