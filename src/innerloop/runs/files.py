"""Files that are written whole or not at all."""

import os
from pathlib import Path

from innerloop.errors import RunError


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
