"""Where results go when nobody said, and the command that made them."""

import shlex
import sys
from itertools import count
from pathlib import Path


def first_free(place: Path) -> Path:
    """Return the folder, or the first of `-2`, `-3`, ... that does not exist: nothing is ever overwritten."""
    if not place.exists():
        return place
    return next(candidate for n in count(2) if not (candidate := place.with_name(f"{place.name}-{n}")).exists())


def command_line() -> str:
    """Return the command as it could be typed again."""
    return shlex.join(["innerloop", *sys.argv[1:]])
