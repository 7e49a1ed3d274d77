"""Where results go when nobody said, and the command that made them."""

import os
import shlex
import sys
from itertools import count
from pathlib import Path

from innerloop.errors import RunError


def first_free(place: Path) -> Path:
    """Return the folder, or the first of `-2`, `-3`, ... that does not exist: nothing is ever overwritten."""
    if not place.exists():
        return place
    return next(candidate for n in count(2) if not (candidate := place.with_name(f"{place.name}-{n}")).exists())


def new_folder(given: str | None, usual: str) -> Path:
    """Return the folder that was asked for, or the first free one of the `usual` name under `runs`.

    Raises:
        RunError: What was asked for has something in it.
    """
    folder = Path(given) if given else first_free(Path("runs") / usual)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RunError(f"expected a new or empty folder, got '{folder}' with files in it; choose another with --out")
    return folder


def typed(folder: str) -> str:
    """Return a folder as it could be typed behind a verb."""
    return shlex.quote(f"./{folder}" if folder.startswith("-") else folder)


def command_line() -> str:
    """Return the command as it could be typed again."""
    # Where the system has no language, Python knows letters of others as bytes alone; no file could take these.
    words = (os.fsencode(each).decode("utf-8", "backslashreplace") for each in sys.argv[1:])
    return shlex.join(["innerloop", *words])
