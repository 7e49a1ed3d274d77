"""Prepared images on disk: made once, whole or not at all, opened without loading.

A cache entry is a folder with `images.npy` and `index.json`. It is written beside its final place and renamed, so a
folder that carries the final name is complete, whoever was killed meanwhile.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pooch
from numpy.typing import NDArray

from innerloop.errors import DataError


class Prepared(NamedTuple):
    """All images of a data set and the class of each."""

    images: NDArray[np.uint8]
    class_of: list[str]


def cache_folder() -> Path:
    """Return `INNERLOOP_CACHE`, or the user's cache folder."""
    return Path(os.environ.get("INNERLOOP_CACHE") or pooch.os_cache("innerloop"))


def prepared(name: str, key: str, build: Callable[[], Prepared]) -> Prepared:
    """Return the entry `name-key`, building it first where it is missing.

    Args:
        name: The data set's name.
        key: Changes whenever the content would.
        build: Makes the images; called at most once.

    Raises:
        DataError: The cache folder cannot be written.
    """
    place = cache_folder() / f"{name}-{key[:16]}"
    if not place.exists():
        _write(place, build())
    images = np.load(place / "images.npy", mmap_mode="c", allow_pickle=False)
    return Prepared(images, json.loads((place / "index.json").read_text(encoding="utf-8")))


def _write(place: Path, content: Prepared) -> None:
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
    except OSError as error:
        raise DataError(
            f"expected a cache folder that can be written, got '{place.parent}' ({error.strerror}); "
            "set INNERLOOP_CACHE to another folder"
        ) from error
    try:
        np.save(draft / "images.npy", content.images, allow_pickle=False)
        (draft / "index.json").write_text(json.dumps(content.class_of, ensure_ascii=False), encoding="utf-8")
        for file in draft.iterdir():
            with file.open("rb") as handle:
                os.fsync(handle.fileno())
        draft.rename(place)
    except OSError as error:
        # Another process that prepared the same entry first is no fault: its content is ours.
        if not place.exists():
            raise DataError(
                f"expected to write the prepared images to '{place}', got: {error.strerror}; "
                "free some space or set INNERLOOP_CACHE to another folder"
            ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
