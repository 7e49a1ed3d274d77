"""arrays: your own examples of any shape (images, signals, tables) as NumPy arrays.

Either one `.npz` with `inputs` and `labels`, or `inputs.npy` and `labels.npy` in a folder. `splits` (a key of the
.npz, or `splits.npy`) names train, validation or test for every example; without it classes are divided 64/16/20.
Pickled objects are never loaded, and no array is allocated before its header agrees with the bytes that are there.
"""

import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from hashlib import sha256
from io import BufferedIOBase
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from innerloop.data.archives import one_line
from innerloop.data.rows import rows_of
from innerloop.data.split import TEST, TRAIN, VALIDATION, DataSet, Split, rooted
from innerloop.data.storage import LeftOut, in_two_classes
from innerloop.errors import DataError

KEYS = ("inputs", "labels", "splits")
SIDES = {"train": TRAIN, "validation": VALIDATION, "val": VALIDATION, "test": TEST}
SUSPICIOUS = 256_000_000  # bytes; below, no ratio is a danger
HIGHEST_RATIO = 200  # of unpacked to packed bytes above that; sparse drawings reach some 50, bombs a thousand
MOST_EXAMPLES = 10_000_000  # each is told apart by its digest, which has more bytes than a small example
IN_MEMORY = 256_000_000  # bytes of a .npy; a larger one is read row by row
SEED = 0
FEWEST_CLASSES = 2  # a side; an episode needs two to tell apart

_SIDE_ORDER = (TRAIN, VALIDATION, TEST)
_CHUNK = 16_000_000  # values looked at together


class _Member(NamedTuple):
    """An array in a file: how to open its bytes, how many there are, and how to load it."""

    where: str
    open: Callable[[], BufferedIOBase]
    size: int
    load: Callable[[], NDArray[Any]]


def load(root: str | None = None) -> DataSet:
    """Return the data set; nothing is copied or prepared, examples that stand in two classes are left out.

    Args:
        root: A `.npz`, or a folder with one or with the `.npy` files.

    Raises:
        DataError: Whatever `load_arrays` and `sides` refuse.
    """
    inputs, labels, splits = load_arrays(rooted("arrays", root))
    digests = [sha256(row.tobytes()).digest() for rows in _pieces(inputs) for row in inputs[rows]]
    twice = in_two_classes([str(label) for label in labels], digests)
    kept = np.ones(len(labels), bool)
    kept[list(twice)] = False
    if not kept.any():
        raise DataError(
            f"expected examples of their own in the classes of '{root}', got none: example 0 has the {twice[0]}; "
            "correct inputs or labels"
        )
    content = sha256(f"{inputs.dtype} {inputs.shape}".encode() + labels.tobytes() + b"".join(digests)).hexdigest()
    members = {str(label): np.flatnonzero((labels == label) & kept) for label in np.unique(labels)}
    made = {}
    for side, names in sides(labels, splits).items():
        there = tuple(name for name in names if len(members[name]))
        made[side] = Split("arrays", side, inputs, there, tuple(members[name] for name in there), content=content)
    return DataSet("arrays", made, tuple(LeftOut(str(index), reason) for index, reason in twice.items()))


def load_arrays(root: Path) -> tuple[NDArray[Any], NDArray[np.int64], NDArray[np.character] | None]:
    """Read and check the arrays.

    Args:
        root: A `.npz`, or a folder with one or with the `.npy` files; large ones stay there.

    Returns:
        inputs: [example ...]; float32 if they were floats, else the integers they were (booleans become uint8).
        labels: [example].
        splits: [example], `train`, `validation` or `test`; None where none are given.

    Raises:
        DataError: Files or keys that are missing, damaged, hostile or pickled; labels that are not integers; lengths
            that differ; inputs that are not finite numbers; unknown splits.
    """
    members = _members(root)
    inputs = _inputs(members["inputs"])
    labels = _labels(members["labels"])
    splits = _splits(members["splits"]) if "splits" in members else None
    lengths = {"inputs": len(inputs), "labels": len(labels)} | ({} if splits is None else {"splits": len(splits)})
    if len(set(lengths.values())) > 1:
        got = ", ".join(f"{count:,} {name}" for name, count in lengths.items())
        raise DataError(f"expected one label (and split) for every input in '{root}', got {got}; save them together")
    return inputs, labels, splits


def sides(labels: NDArray[np.int64], splits: NDArray[np.character] | None = None) -> dict[str, list[str]]:
    """Return the classes of each side as text, in the order of their numbers.

    Without splits, the sorted labels are permuted by NumPy's RandomState(0), whose stream is frozen, and cut at 64
    and 80 percent (rounded).

    Args:
        labels: [example].
        splits: [example], as `load_arrays` returns them.

    Raises:
        DataError: A class on two sides, or too few classes to divide.
    """
    classes = np.unique(labels)
    if splits is None:
        return _divided(classes)
    side_of: dict[int, str] = {}
    for side in _SIDE_ORDER:
        for label in np.unique(labels[splits == side]).tolist():
            other = side_of.setdefault(label, side)
            if other != side:
                raise DataError(
                    f"expected every class in one split, got label {label} in {other} and {side}; "
                    "give all its examples the same split"
                )
    found = {side: [str(label) for label in classes.tolist() if side_of[label] == side] for side in _SIDE_ORDER}
    return {side: names for side, names in found.items() if names}


def _divided(classes: NDArray[np.int64]) -> dict[str, list[str]]:
    count = len(classes)
    train, validation = (64 * count + 50) // 100, (16 * count + 50) // 100
    if min(train, validation, count - train - validation) < FEWEST_CLASSES:
        raise DataError(
            f"expected at least {FEWEST_CLASSES} classes for each of train, validation and test, got {count} classes "
            "to divide 64/16/20; give `splits`, one of train, validation, test for every example"
        )
    order = np.random.RandomState(SEED).permutation(count)
    parts = np.split(classes[order], [train, train + validation])
    return {
        side: [str(label) for label in np.sort(part).tolist()] for side, part in zip(_SIDE_ORDER, parts, strict=True)
    }


def _members(root: Path) -> dict[str, _Member]:
    if root.is_file():
        return _in_npz(root)
    arrays = {key: root / f"{key}.npy" for key in KEYS if (root / f"{key}.npy").is_file()}
    packed = sorted(root.glob("*.npz")) if root.is_dir() else []
    if "inputs" in arrays and "labels" in arrays and not packed:
        return {key: _in_npy(path) for key, path in arrays.items()}
    if len(packed) == 1 and not arrays:
        return _in_npz(packed[0])
    got = ", ".join(f"'{path.name}'" for path in [*arrays.values(), *packed]) or "neither"
    raise DataError(
        f"expected either one .npz or inputs.npy and labels.npy under '{root}', got {got}; "
        "set --data.root to a folder that holds just one of the two"
    )


def _in_npy(path: Path) -> _Member:
    return _Member(
        str(path),
        lambda: path.open("rb"),
        path.stat().st_size,
        lambda: np.load(path, allow_pickle=False) if path.stat().st_size <= IN_MEMORY else rows_of(path),
    )


def _in_npz(path: Path) -> dict[str, _Member]:
    try:
        with zipfile.ZipFile(path) as archive:
            infos = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    except Exception as error:  # a hostile archive makes zipfile raise all sorts of things
        raise DataError(
            f"expected a whole .npz at '{path}', got a damaged one ({one_line(error)}); save it again"
        ) from error
    missing = [key for key in ("inputs", "labels") if key not in infos]
    if missing:
        has = ", ".join(sorted(infos)[:8]) or "nothing"
        raise DataError(f"expected the keys inputs and labels in '{path}', got {has}; save it with np.savez")
    found: dict[str, _Member] = {}
    for key in KEYS:
        if key in infos:
            info = infos[key]
            _check_ratio(path, info)
            opener = partial(_opened, path, info)
            found[key] = _Member(f"{path}: {key}", opener, info.file_size, partial(_loaded, opener))
    return found


def _check_ratio(path: Path, info: zipfile.ZipInfo) -> None:
    # bz2 and lzma unpack whole blocks at once, whatever was declared; NumPy writes neither.
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError(f"expected '{path}' as np.savez writes it, got zip method {info.compress_type}; save it again")
    # The file's own size counts as well: what the archive declares as packed may be a lie too.
    packed = min(info.compress_size, path.stat().st_size)
    if info.file_size > SUSPICIOUS and info.file_size > HIGHEST_RATIO * packed:
        raise DataError(
            f"expected '{info.filename}' in '{path}' to unpack to at most {HIGHEST_RATIO} times its {packed:,} bytes, "
            f"got {info.file_size:,}; if that is right, save it as .npy"
        )


def _opened(path: Path, info: zipfile.ZipInfo) -> BufferedIOBase:
    with zipfile.ZipFile(path) as archive:  # the member keeps the file open until it is closed itself
        return cast("BufferedIOBase", archive.open(info))


def _loaded(opener: Callable[[], BufferedIOBase]) -> NDArray[Any]:
    with opener() as stream:
        return npy.read_array(stream, allow_pickle=False)


def _checked(member: _Member, axes: str) -> NDArray[Any]:
    """Load an array whose header promises what is there, and no objects."""
    try:
        with member.open() as stream:
            version = npy.read_magic(stream)
            read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, _, dtype = read_header(stream)
            expected = stream.tell() + dtype.itemsize * _product(shape)
    except Exception as error:  # NumPy and zipfile raise all sorts of things for damaged files
        raise DataError(_damaged(member, one_line(error).split(" To allow", 1)[0])) from error
    if dtype.hasobject:
        raise DataError(
            f"expected plain numbers or text at '{member.where}', got pickled objects, which are never loaded; "
            "save it with a plain dtype"
        )
    if expected != member.size:
        raise DataError(_damaged(member, f"{member.size:,} bytes where its header promises {expected:,}"))
    if shape and shape[0] > MOST_EXAMPLES:
        raise DataError(
            f"expected at most {MOST_EXAMPLES:,} examples at '{member.where}', got {shape[0]:,}; save fewer"
        )
    if not _product(shape) or not dtype.itemsize:
        raise DataError(f"expected {axes} at '{member.where}', got an empty array {shape}; save some examples")
    try:
        return member.load()
    except Exception as error:
        raise DataError(_damaged(member, error)) from error


def _product(shape: tuple[int, ...]) -> int:
    product = 1  # in Python's integers: a hostile shape must not wrap around
    for length in shape:
        product *= length
    return product


def _damaged(member: _Member, got: Exception | str) -> str:
    reason = got if isinstance(got, str) else one_line(got)
    return f"expected a whole array at '{member.where}', got: {reason}; save it again"


def _inputs(member: _Member) -> NDArray[Any]:
    array = _checked(member, "[example ...]")
    if array.dtype.kind not in "buif":
        raise DataError(f"expected numbers at '{member.where}', got {array.dtype}; save them as float32 or uint8")
    if array.ndim < 2:
        raise DataError(
            f"expected inputs [example ...] with at least one axis more at '{member.where}', got shape {array.shape}; "
            "save one number an example as inputs[:, None]"
        )
    if array.dtype.kind == "b":
        return array.view(np.uint8)
    if array.dtype.kind in "ui":
        return array if array.dtype.isnative else array[:].astype(array.dtype.newbyteorder("="))
    return _finite(member, array)


def _finite(member: _Member, array: NDArray[Any]) -> NDArray[np.float32]:
    """Return the array as float32, after a look at every value, some at a time."""
    as_it_is = array.dtype == np.float32
    result = array if as_it_is else np.empty(array.shape, np.float32)
    for rows in _pieces(array):
        with np.errstate(over="ignore"):  # too large for float32 is found below
            part = array[rows].astype(np.float32, copy=False)
        bad = ~np.isfinite(part)
        if bad.any():
            example = rows.start + int(bad.reshape(len(part), -1).any(1).argmax())
            raise DataError(
                f"expected finite float32 values at '{member.where}', got NaN or infinity in example {example}; "
                "remove or replace such values"
            )
        if not as_it_is:
            result[rows] = part
    return result


def _pieces(array: NDArray[Any]) -> Iterator[slice]:
    step = max(1, _CHUNK // (array.size // len(array)))
    return (slice(start, start + step) for start in range(0, len(array), step))


def _labels(member: _Member) -> NDArray[np.int64]:
    array = _checked(member, "[example]")
    if array.dtype.kind not in "iu" or array.ndim != 1:
        raise DataError(
            f"expected integer labels [example] at '{member.where}', got {array.dtype} of shape {array.shape}; "
            "number the classes and save them as int64"
        )
    if array.dtype.kind == "u" and array.max() > np.iinfo(np.int64).max:
        raise DataError(f"expected labels that fit int64 at '{member.where}', got {array.max()}; number them from 0")
    return np.array(array, np.int64)


def _splits(member: _Member) -> NDArray[np.character]:
    array = _checked(member, "[example]")
    if array.dtype.kind not in "US" or array.ndim != 1:
        raise DataError(
            f"expected split names [example] at '{member.where}', got {array.dtype} of shape {array.shape}; "
            "save train, validation or test for every example"
        )
    given, index = np.unique(np.asarray(array), return_inverse=True)
    names = [each.decode("ascii", "replace") if isinstance(each, bytes) else each for each in given.tolist()]
    unknown = [name for name in names if name not in SIDES]
    if unknown:
        raise DataError(
            f"expected train, validation or test at '{member.where}', got {unknown[0][:40]!a}; correct the splits"
        )
    return np.array([SIDES[name] for name in names], np.str_)[index]
