"""Prepared images on disk: made once, whole or not at all, opened without loading.

An entry is a folder with one raw uint8 array and its index. It is written beside its final place and renamed, so a
folder that carries the final name is complete, whoever was killed meanwhile and however many prepared it at once. What
the killed leave behind is removed when the entry is prepared next.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

try:
    import fcntl
except ImportError:  # not a POSIX system: what the killed leave behind stays there
    fcntl = None  # type: ignore[assignment]

import numpy as np
import pooch
from numpy.typing import NDArray

from innerloop.disk import flush_file, flush_names
from innerloop.errors import DataError, DiskError
from innerloop.plain import read_json

Shape = tuple[int, int, int]


class Item(NamedTuple):
    """One image that a data set has to offer.

    Attributes:
        class_name: Its class; unique in the whole data set.
        name: Where it came from, unique and the same on every machine (a path inside the archive, say).
        read: Returns its pixels, uint8 [channel height width]; raises DataError for what cannot be read.
    """

    class_name: str
    name: str
    read: Callable[[], NDArray[np.uint8]]


class LeftOut(NamedTuple):
    """An image that was not taken, and why."""

    name: str
    reason: str


Watch = Callable[[str, Sequence[Any]], Iterable[Any]]
"""Wraps work that takes a while, given its label, so that whoever asked for it can show how far it has come."""


def unwatched(label: str, work: Sequence[Any]) -> Iterable[Any]:  # noqa: ARG001
    """Show nothing."""
    return work


@dataclass(frozen=True, eq=False)
class Prepared:
    """All images of a data set, memory-mapped, with the class of each.

    Attributes:
        images: uint8, [image channel height width].
        class_names: The classes in order of appearance.
        labels: For each image the index of its class.
        example_names: Each image's name.
        left_out: Images that were not taken, with the reason.
        content: A digest of all images with their names and classes; the same wherever they were prepared from.
    """

    images: NDArray[np.uint8]
    class_names: tuple[str, ...]
    labels: NDArray[np.int64]
    example_names: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    content: str


DAMAGE = (OSError, ValueError, KeyError, TypeError)  # what an entry is not opened with
LARGEST_INDEX = 1_000_000_000  # bytes of the names of a data set's images
FORMAT = 2  # of a prepared entry; versions of innerloop with another one keep entries of their own


def cache_folder() -> Path:
    """Return `INNERLOOP_CACHE`, or the user's cache folder."""
    return Path(os.environ.get("INNERLOOP_CACHE") or pooch.os_cache("innerloop"))


def prepared(
    name: str,
    key: str,
    shape: Shape,
    items: Callable[[], Sequence[Item]],
    *,
    skip_corrupt: bool = False,
    watch: Watch = unwatched,
) -> Prepared:
    """Return the entry `name-key`, preparing it first where it is missing.

    Images with the same content in two classes are left out, all copies: whichever class they belong to, one label is
    wrong, and across splits they leak.

    Args:
        name: The data set's name.
        key: Changes whenever the content would.
        shape: Channels, height and width of every image.
        items: Lists the images, in an order that is the same on every machine; called only to prepare.
        skip_corrupt: Whether an image that cannot be read is left out and counted, or ends the preparation.
        watch: Shows how far it has come.

    Raises:
        DataError: An image cannot be read.
        DiskError: The cache folder cannot be written.
    """
    place = cache_folder() / f"{name}-{sha256(f'{FORMAT} {key} {shape} {skip_corrupt}'.encode()).hexdigest()[:16]}"
    if place.exists():
        try:
            return _opened(place, shape)
        except DAMAGE:
            _remove(place)  # damaged from outside, or of an earlier form; what is cached can be made again
    _write(place, name, shape, items(), skip_corrupt, watch)
    try:
        return _opened(place, shape)
    except DAMAGE as error:
        raise DiskError(
            f"expected the prepared images in '{place}' to stay there, got: {error}; set INNERLOOP_CACHE to a folder "
            "that nobody else clears"
        ) from error


def _opened(place: Path, shape: Shape) -> Prepared:
    index = read_json(place / "index.json", LARGEST_INDEX)
    if (place / "images.u8").stat().st_size != index["images"] * int(np.prod(shape)):
        raise ValueError("images cut short")
    # Memory-mapped, so that a header that promises more than is there takes no memory.
    labels = np.array(np.load(place / "labels.npy", mmap_mode="r", allow_pickle=False))
    names = read_json(place / "names.json", LARGEST_INDEX)
    if not len(labels) == len(names) == index["images"]:
        raise ValueError("labels or names cut short")
    if labels.dtype != np.int64 or labels.ndim != 1 or not set(np.unique(labels)) <= set(range(len(index["classes"]))):
        raise ValueError("labels of other classes")
    if not all(isinstance(each, str) for each in [*names, *index["classes"], index["content"]]):
        raise ValueError("names that are no text")
    return Prepared(
        np.memmap(place / "images.u8", np.uint8, "c", shape=(index["images"], *shape)),
        tuple(index["classes"]),
        labels,
        tuple(names),
        tuple(LeftOut(*each) for each in index["left_out"]),
        index["content"],
    )


def _remove(place: Path) -> None:
    try:
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        else:
            place.unlink()
    except FileNotFoundError:  # another process was first
        return
    except OSError as error:
        raise DiskError(
            f"expected to remove the damaged '{place}', got: {error.strerror}; remove it, or set INNERLOOP_CACHE to "
            "another folder"
        ) from error


def _write(place: Path, name: str, shape: Shape, items: Sequence[Item], skip_corrupt: bool, watch: Watch) -> None:
    try:
        with _draft(place) as draft:
            _fill(draft, name, shape, items, skip_corrupt, watch)
            draft.rename(place)
            flush_names(place.parent)
    except OSError as error:
        # Another process that prepared the same entry first is no fault: its content is ours.
        if not place.exists():
            raise DiskError(
                f"expected to write the prepared images to '{place}', got: {error.strerror or error}; "
                "free some space or set INNERLOOP_CACHE to another folder"
            ) from error


@contextmanager
def _draft(place: Path) -> Iterator[Path]:
    """Make a draft, locked as long as this process lives, and remove what is left of it at the end."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        _sweep(place)
        draft, lock = _made(place), None
        while fcntl is not None and (lock := _locked(draft)) is None:
            draft = _made(place)  # another process swept it away before it was locked
    except OSError as error:
        raise DiskError(
            f"expected a cache folder that can be written, got '{place.parent}' ({error.strerror}); "
            "set INNERLOOP_CACHE to another folder"
        ) from error
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _made(place: Path) -> Path:
    return Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))


def _sweep(place: Path) -> None:
    """Remove the drafts of this entry whose process was killed."""
    for draft in place.parent.glob(f".{place.name}-*"):
        lock = _locked(draft)
        if lock is not None:
            shutil.rmtree(draft, ignore_errors=True)
            os.close(lock)


def _locked(draft: Path) -> int | None:
    """Lock a draft, unless another process holds it or it is gone."""
    if fcntl is None:
        return None
    try:
        lock = os.open(draft, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        draft.stat()
    except OSError:
        os.close(lock)
        return None
    return lock


def _fill(draft: Path, name: str, shape: Shape, items: Sequence[Item], skip_corrupt: bool, watch: Watch) -> None:
    """Write all images one by one, then take out what stands in two classes; never holds more than one image."""
    left_out: list[LeftOut] = []
    taken: list[Item] = []
    digests: list[bytes] = []
    with (draft / "images.u8").open("wb") as file:
        for item in watch(f"preparing {name}", items):
            try:
                pixels = item.read()
            except DataError as error:
                if not skip_corrupt:
                    raise DataError(f"{error}; leave such images out with --data.skip_corrupt=true") from error
                left_out.append(LeftOut(item.name, "cannot be read"))
                continue
            if pixels.shape != shape or pixels.dtype != np.uint8:
                raise DataError(f"expected {shape} bytes at '{item.name}', got {pixels.dtype} {pixels.shape}")
            written = np.ascontiguousarray(pixels).tobytes()
            file.write(written)
            taken.append(item)
            digests.append(sha256(written).digest())
    twice = in_two_classes([item.class_name for item in taken], digests)
    left_out += [LeftOut(taken[index].name, reason) for index, reason in twice.items()]
    kept = [item for index, item in enumerate(taken) if index not in twice]
    if not kept:
        why = f": {left_out[0].name}, {left_out[0].reason}" if left_out else ""
        raise DataError(
            f"expected at least one image for '{name}', got none, {len(left_out)} left out{why}; "
            "check the folder or archive"
        )
    _take_out(draft / "images.u8", list(twice), len(taken), shape)
    class_names = list(dict.fromkeys(item.class_name for item in kept))
    number = {class_name: index for index, class_name in enumerate(class_names)}
    np.save(draft / "labels.npy", np.array([number[item.class_name] for item in kept], np.int64), allow_pickle=False)
    (draft / "names.json").write_text(json.dumps([item.name for item in kept], ensure_ascii=False), encoding="utf-8")
    content = sha256()
    for row in _others(list(twice), len(taken)):
        content.update(repr((taken[row].class_name, taken[row].name)).encode() + digests[row])
    index = {"images": len(kept), "classes": class_names, "left_out": left_out, "content": content.hexdigest()}
    (draft / "index.json").write_text(json.dumps(index, ensure_ascii=False), encoding="utf-8")
    for each in draft.iterdir():
        flush_file(each)
    flush_names(draft)


def in_two_classes(class_of: Sequence[str], digests: Sequence[bytes]) -> dict[int, str]:
    """Return the examples whose content stands in more than one class, with the reason.

    Args:
        class_of: The class of each example.
        digests: A digest of each example's content.
    """
    copies: dict[bytes, list[int]] = {}
    for index, digest in enumerate(digests):
        copies.setdefault(digest, []).append(index)
    found: dict[int, str] = {}
    for indices in copies.values():
        classes = sorted({class_of[index] for index in indices})
        if len(classes) > 1:
            found |= {index: f"same content in {' and '.join(classes)}" for index in indices}
    return found


def _take_out(file: Path, rows: list[int], count: int, shape: Shape) -> None:
    """Close the gaps that these rows leave, in place."""
    if not rows:
        return
    images = np.memmap(file, np.uint8, "r+", shape=(count, *shape))
    for target, source in enumerate(_others(rows, count)):
        if target != source:
            images[target] = images[source]
    images.flush()
    del images
    os.truncate(file, (count - len(rows)) * int(np.prod(shape)))


def _others(rows: list[int], count: int) -> Iterator[int]:
    out = set(rows)
    return (row for row in range(count) if row not in out)
