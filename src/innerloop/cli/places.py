"""Where results go when nobody said, and the command that made them."""

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


def command_line() -> str:
    """Return the command as it could be typed again."""
    return shlex.join(["innerloop", *sys.argv[1:]])
