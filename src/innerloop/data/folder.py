"""folder: your own images, PNG or JPEG, in folders named after their classes or with a CSV that names them.

Two layouts:
    folders: `train/<class>/*.png`, `validation/<class>/*.png` (or `val`), `test/<class>/*.png`.
    table: one `.csv` with the header `filename,label,split` beside the images; `filename` counts from the CSV's
        folder, `split` is train, validation (or val) or test. A CSV that is there is used.

A side without images is not made; a class stands on one side only.
"""

import csv
import io
from collections.abc import Callable, Iterator
from functools import partial
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from innerloop.data import archives
from innerloop.data.pictures import SUFFIXES, check_options, pixels
from innerloop.data.split import TEST, TRAIN, VALIDATION, DataSet, data_set, rooted
from innerloop.data.storage import Item, Watch, prepared, unwatched
from innerloop.errors import DataError, did_you_mean
from innerloop.plain import read_bytes

SIDES = {"train": TRAIN, "validation": VALIDATION, "val": VALIDATION, "test": TEST}
COLUMNS = ("filename", "label", "split")
LARGEST_TABLE = 200_000_000  # bytes; a line for each of a million images has some 80
RECIPE = "1"  # raise it when the reading below changes

# Listed only to be refused: dropping them in silence would make a class smaller than its folder.
_OTHER_PICTURES = (".bmp", ".gif", ".tif", ".tiff", ".webp", ".heic", ".avif")


class _Row(NamedTuple):
    side: str
    class_name: str
    name: str
    read: Callable[[], bytes]


def load(
    root: str | None = None,
    size: int = 84,
    channels: int = 3,
    crop: str = "centre",
    skip_corrupt: bool = False,
    watch: Watch = unwatched,
) -> DataSet:
    """Return the data set, preparing it into the cache the first time.

    Args:
        root: The folder.
        size: Height and width that images are brought to.
        channels: 1 for grey, 3 for colour.
        crop: `centre` or `stretch`.
        skip_corrupt: Whether images that cannot be read are left out, or are an error.
        watch: Shows how far the preparation has come.

    Raises:
        DataError: Whatever `items` refuses.
    """
    place = rooted("folder", root)
    listed = items(place, size, channels, crop)  # refuses bad options before anything is looked up
    key = f"{fingerprint(place)} {crop}"
    shape = (channels, size, size)
    images = prepared("folder", key, shape, lambda: listed, skip_corrupt=skip_corrupt, watch=watch)
    return data_set("folder", images, sides(place))


def items(root: Path, size: int = 84, channels: int = 3, crop: str = "centre") -> list[Item]:
    """List the images, by path.

    Args:
        root: Folder in one of the two layouts above.
        size: Height and width to make, in pixels.
        channels: 1 for grey, 3 for colour.
        crop: `centre` takes the largest square in the middle, `stretch` the whole image.

    Raises:
        DataError: Neither layout, a class on two sides, nested class folders, files that are missing or not PNG or
            JPEG. Reading an item raises it for an image that cannot be read.
        ConfigError: An unknown crop, or a size or number of channels outside what it may be.
    """
    check_options(size, channels, crop)
    return [
        Item(row.class_name, row.name, partial(_picture, row.read, f"{root}/{row.name}", size, channels, crop))
        for row in _rows(root)
    ]


def sides(root: Path) -> dict[str, list[str]]:
    """Return the classes of each side that has any, sorted."""
    found: dict[str, set[str]] = {}
    for row in _rows(root):
        found.setdefault(row.side, set()).add(row.class_name)
    return {side: sorted(found[side]) for side in (TRAIN, VALIDATION, TEST) if side in found}


def fingerprint(root: Path) -> str:
    """Return a digest that changes whenever a file or the reading would; the options of `items` are not in it."""
    _check_root(root)
    return sha256((RECIPE + archives.fingerprint(root, (*SUFFIXES, ".csv"))).encode()).hexdigest()


def _picture(read: Callable[[], bytes], where: str, size: int, channels: int, crop: str) -> NDArray[np.uint8]:
    return pixels(read(), where, size=size, channels=channels, crop=crop)


def _rows(root: Path) -> list[_Row]:
    """Return the images of either layout, sorted by path; no class is on two sides."""
    _check_root(root)
    images = dict(archives.files(root, (*SUFFIXES, *_OTHER_PICTURES)))
    tables = sorted(path for path in root.iterdir() if path.suffix.lower() == ".csv" and not path.name.startswith("."))
    if len(tables) > 1:
        raise DataError(
            f"expected one .csv under '{root}', got {len(tables)} ('{tables[0].name}' and '{tables[1].name}' among "
            "them); leave the one with the header filename,label,split"
        )
    rows = sorted(_from_table(root, tables[0], images) if tables else _from_folders(root, images), key=_name)
    side_of: dict[str, str] = {}
    for row in rows:
        if not row.name.lower().endswith(SUFFIXES):
            raise DataError(f"expected PNG or JPEG images under '{root}', got '{row.name}'; convert or remove it")
        other = side_of.setdefault(row.class_name, row.side)
        if other != row.side:
            first, second = sorted((other, row.side))
            raise DataError(
                f"expected every class of '{root}' in one split, got '{row.class_name}' in {first} and {second}; "
                "leave it in one, or rename one if they are different things"
            )
    if not rows:
        raise DataError(f"expected images under '{root}', got none; add PNG or JPEG files: {_layouts()}")
    return rows


def _name(row: _Row) -> str:
    return row.name


def _check_root(root: Path) -> None:
    if not root.is_dir():
        raise DataError(f"expected a folder at '{root}', got none; set --data.root to one with {_layouts()}")


def _from_folders(root: Path, images: dict[str, Callable[[], bytes]]) -> Iterator[_Row]:
    given = [name for name in SIDES if (root / name).is_dir()]
    if not given:
        raise DataError(f"expected the folder '{root}' to have {_layouts()}; got neither; arrange the images so")
    if "validation" in given and "val" in given:
        raise DataError(f"expected 'validation' or 'val' under '{root}', got both; merge them into one")
    filled: set[tuple[str, ...]] = set()
    for name, read in images.items():
        side, *between = parts = name.split("/")[:-1] or [""]
        if side not in SIDES:
            raise DataError(
                f"expected images under train, validation and test alone in '{root}', got '{name}'; move it there or "
                f"out of the folder.{did_you_mean(side, SIDES)}"
            )
        if len(between) != 1:
            what = "no class folder" if not between else "a folder inside a class folder"
            raise DataError(
                f"expected {side}/<class>/<image> in '{root}', got {what}: '{name}'; "
                "put every image right into the folder of its class"
            )
        filled.add(tuple(parts))
        yield _Row(SIDES[side], between[0], name, read)
    for side in given:
        for path in sorted((root / side).iterdir()):
            if path.is_dir() and not path.name.startswith(".") and (side, path.name) not in filled:
                raise DataError(
                    f"expected PNG or JPEG images in every class folder, got none in '{path}'; add some or remove it"
                )


def _from_table(root: Path, table: Path, images: dict[str, Callable[[], bytes]]) -> list[_Row]:
    found: dict[str, _Row] = {}
    try:
        # -sig: spreadsheets put a byte order mark first, which would become part of the first column's name.
        content = read_bytes(table, LARGEST_TABLE).decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(content, newline=""))
        header = reader.fieldnames or []
        if not set(COLUMNS) <= set(header):
            raise DataError(
                f"expected the header {','.join(COLUMNS)} in '{table}', got '{','.join(header)[:80]}'; "
                "correct it, or move the file away if it does not list the images"
            )
        double = next((name for name in COLUMNS if header.count(name) > 1), None)
        if double is not None:
            raise DataError(f"expected every column of '{table}' once, got '{double}' twice; remove one of the two")
        for row in reader:
            line = f"line {reader.line_num} of '{table}'"
            filename, label, split = ((row[column] or "").strip() for column in COLUMNS)
            if not (filename and label and split):
                raise DataError(f"expected a filename, a label and a split in {line}, got an empty one; fill it in")
            if split not in SIDES:
                raise DataError(
                    f"expected train, validation or test as the split in {line}, got '{split}'; correct it."
                    f"{did_you_mean(split, SIDES)}"
                )
            name = PurePosixPath(filename).as_posix()
            if name not in images:
                raise DataError(
                    f"expected an image under '{root}' for {line}, got '{filename}', which is not there; "
                    "add it (PNG or JPEG) or remove the line"
                )
            if name in found:
                raise DataError(f"expected every image once in '{table}', got '{name}' again; remove {line}")
            found[name] = _Row(SIDES[split], label, name, images[name])
    except csv.Error as error:
        raise DataError(
            f"expected fields of ordinary length and quotes that close in '{table}', got: {archives.one_line(error)}; "
            "correct the table"
        ) from error
    except (OSError, ValueError) as error:
        raise DataError(
            f"expected a CSV in UTF-8 at '{table}', got: {archives.one_line(error)}; save it again as CSV UTF-8"
        ) from error
    return list(found.values())


def _layouts() -> str:
    return "train/<class>/*.png (also validation, test), or a .csv with the header filename,label,split"
