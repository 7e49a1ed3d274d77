"""mini_imagenet: 100 classes of ImageNet with 600 photographs each, 64, 16 and 20 of them.

Source: S. Ravi and H. Larochelle, Optimization as a Model for Few-Shot Learning, ICLR 2017; the lists of
https://github.com/twitter-research/meta-learning-lstm (data/miniImagenet). The set is Vinyals et al.'s (2016), divided
anew. The photographs are ImageNet's, with its terms. Read in either of the two forms in which it goes around: tables
and JPEGs, or three pickles. 84x84, RGB.
"""

import csv
import io
from collections.abc import Iterable
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from innerloop.data.archives import one_line, states
from innerloop.data.pickles import read_pickle, text
from innerloop.data.pictures import opened
from innerloop.data.split import TEST, TRAIN, VALIDATION
from innerloop.data.storage import Item
from innerloop.errors import DataError
from innerloop.plain import quoted, read_bytes, read_text

SHAPE = (3, 84, 84)
IMAGES_PER_CLASS = 600
FILE_OF = {TRAIN: "train", VALIDATION: "val", TEST: "test"}
ADDRESS = "https://github.com/twitter-research/meta-learning-lstm"
FORMS = "train.csv, val.csv, test.csv and the folder 'images', or mini-imagenet-cache-train.pkl, -val.pkl and -test.pkl"
LARGEST_PICKLE = 2_000_000_000  # bytes; the largest real one has 813 million
LARGEST_IMAGE = 50_000_000
LARGEST_TABLE = 50_000_000
RECIPE = "1"  # raise it when the reading below changes

# fmt: off
CHOSEN: dict[str, tuple[str, ...]] = {
    TRAIN: (
        "n01532829", "n01558993", "n01704323", "n01749939", "n01770081", "n01843383", "n01910747", "n02074367",
        "n02089867", "n02091831", "n02101006", "n02105505", "n02108089", "n02108551", "n02108915", "n02111277",
        "n02113712", "n02120079", "n02165456", "n02457408", "n02606052", "n02687172", "n02747177", "n02795169",
        "n02823428", "n02966193", "n03017168", "n03047690", "n03062245", "n03207743", "n03220513", "n03337140",
        "n03347037", "n03400231", "n03476684", "n03527444", "n03676483", "n03838899", "n03854065", "n03888605",
        "n03908618", "n03924679", "n03998194", "n04067472", "n04243546", "n04251144", "n04258138", "n04275548",
        "n04296562", "n04389033", "n04435653", "n04443257", "n04509417", "n04515003", "n04596742", "n04604644",
        "n04612504", "n06794110", "n07584110", "n07697537", "n07747607", "n09246464", "n13054560", "n13133613",
    ),
    VALIDATION: (
        "n01855672", "n02091244", "n02114548", "n02138441", "n02174001", "n02950826", "n02971356", "n02981792",
        "n03075370", "n03417042", "n03535780", "n03584254", "n03770439", "n03773504", "n03980874", "n09256479",
    ),
    TEST: (
        "n01930112", "n01981276", "n02099601", "n02110063", "n02110341", "n02116738", "n02129165", "n02219486",
        "n02443484", "n02871525", "n03127925", "n03146219", "n03272010", "n03544143", "n03775546", "n04146614",
        "n04149813", "n04418357", "n04522168", "n07613480",
    ),
}
# fmt: on


def items(root: Path) -> list[Item]:
    """Return all images, side by side and class by class; a class is called by its WordNet id.

    The pickles hold all pixels, so with them the returned items keep 1.3 GB in memory.

    Raises:
        DataError: A file is missing or damaged, or the classes are not those of Ravi and Larochelle.
    """
    read = _from_pickle if _pickled(root) else _from_table
    return [item for side in CHOSEN for item in read(root, side)]


def fingerprint(root: Path) -> str:
    """Return what changes whenever the content would: the digest of pickles or tables, the state of JPEGs."""
    digest = sha256(RECIPE.encode())
    pickled = _pickled(root)
    for file in FILE_OF.values():
        with (root / (_pickle_name(file) if pickled else f"{file}.csv")).open("rb") as handle:
            while block := handle.read(1 << 20):
                digest.update(block)
        digest.update(file.encode())
    if not pickled:
        # The folder may hold more than the tables name: a stray file costs a preparation, never a wrong image.
        digest.update(states((file.name, file) for file in sorted((root / "images").iterdir())).encode())
    return digest.hexdigest()


def sides(class_names: list[str]) -> dict[str, list[str]]:
    """Return the classes of each side.

    Raises:
        DataError: They are not the classes of Ravi and Larochelle.
    """
    _check_classes(class_names, [name for names in CHOSEN.values() for name in names], "the prepared images")
    return {side: list(names) for side, names in CHOSEN.items()}


def _pickle_name(file: str) -> str:
    return f"mini-imagenet-cache-{file}.pkl"


def _pickled(root: Path) -> bool:
    """Return whether the pickles are there, or else the tables and the folder."""
    pickles = [_pickle_name(file) for file in FILE_OF.values()]
    tables = [f"{file}.csv" for file in FILE_OF.values()]
    missing_pickles = [name for name in pickles if not (root / name).is_file()]
    missing = [name for name in tables if not (root / name).is_file()]
    missing += [] if (root / "images").is_dir() else ["images"]
    if missing_pickles and missing:
        # Whichever form was begun is the one to complete.
        begun = len(missing_pickles) < len(pickles)
        got = f"no '{missing_pickles[0] if begun else missing[0]}'"
        raise DataError(
            f"expected {FORMS} under '{root}', got {got}; make them from ImageNet with the lists of {ADDRESS} and set "
            "--data.root to the folder that holds them"
        )
    return not missing_pickles


def _check_classes(names: Iterable[str], expected: Iterable[str], where: str) -> None:
    odd = sorted(set(names) ^ set(expected))
    if odd:
        raise _damaged(where, f"the {len(set(expected))} classes of Ravi and Larochelle's split", f"'{odd[0]}' amiss")


def _check_counts(counts: dict[str, int], where: str) -> None:
    odd = next((name for name, count in counts.items() if count != IMAGES_PER_CLASS), None)
    if odd is not None:
        raise _damaged(where, f"{IMAGES_PER_CLASS} images of each class", f"{counts[odd]} of '{odd}'")


def _damaged(where: str, expected: str, got: str) -> DataError:
    return DataError(f"expected {expected} in '{where}', got {got}; get the data set again (lists: {ADDRESS})")


def _from_table(root: Path, side: str) -> list[Item]:
    table = root / f"{FILE_OF[side]}.csv"
    files: dict[str, list[str]] = {}
    try:
        # Read at once: a line without an end would be, too, and its length is not known before.
        rows = csv.DictReader(io.StringIO(read_text(table, LARGEST_TABLE), newline=""))
        if rows.fieldnames is None or not {"filename", "label"} <= set(rows.fieldnames):
            raise _damaged(str(table), "the columns filename and label", quoted(rows.fieldnames))
        for row in rows:
            files.setdefault(row["label"] or "", []).append(row["filename"] or "")
    except (csv.Error, OSError, ValueError) as error:
        raise _damaged(str(table), "a table", one_line(error)) from error
    _check_classes(files, CHOSEN[side], str(table))
    _check_counts({name: len(set(files[name])) for name in CHOSEN[side]}, str(table))
    there = {place.name for place in (root / "images").iterdir()}
    # A name is looked up among the folder's own, so none can lead out of it.
    missing = [file for names in files.values() for file in names if file not in there]
    if missing:
        raise _damaged(
            str(root / "images"), f"every image of {table.name}", f"{len(missing)} less, {missing[0]!a} first"
        )
    return [
        Item(name, f"images/{file}", partial(_photograph, root / "images" / file))
        for name in CHOSEN[side]
        for file in sorted(files[name])
    ]


def _photograph(place: Path) -> NDArray[np.uint8]:
    try:
        with opened(read_bytes(place, LARGEST_IMAGE), ["JPEG"], str(place)) as image:
            small = image.convert("RGB").resize(SHAPE[:0:-1], Image.Resampling.LANCZOS)
    except DataError:
        raise
    except Exception as error:  # Pillow lets through whatever its decoders raise
        raise DataError(
            f"expected a readable JPEG at '{place}', got: {one_line(error)}; get the data set again"
        ) from error
    return np.ascontiguousarray(np.asarray(small).transpose(2, 0, 1))


def _from_pickle(root: Path, side: str) -> list[Item]:
    place = root / _pickle_name(FILE_OF[side])
    try:
        content = read_bytes(place, LARGEST_PICKLE)
    except (OSError, ValueError) as error:
        raise _damaged(str(place), f"a file of at most {LARGEST_PICKLE:,} bytes", one_line(error)) from error
    held = read_pickle(content, str(place))
    pixels, rows = _field(held, "image_data"), _field(held, "class_dict")
    wanted = (*SHAPE[1:], SHAPE[0])
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.shape[1:] != wanted:
        got = f"{pixels.dtype} {pixels.shape}" if isinstance(pixels, np.ndarray) else type(pixels).__name__
        raise _damaged(str(place), f"uint8 images of {wanted} as 'image_data'", got)
    if not isinstance(rows, dict) or not all(isinstance(name, str | bytes) for name in rows):
        raise _damaged(str(place), "a dict of rows by class as 'class_dict'", type(rows).__name__)
    rows_of = {text(name): _rows(each, len(pixels), place) for name, each in rows.items()}
    _check_classes(rows_of, CHOSEN[side], str(place))
    _check_counts({name: len(each) for name, each in rows_of.items()}, str(place))
    used = [row for each in rows_of.values() for row in each]
    if len(set(used)) != len(used):
        raise _damaged(str(place), "each image in one class", "one twice")
    return [
        Item(name, f"{place.name}/{row}", partial(_picture, pixels, row))
        for name in CHOSEN[side]
        for row in rows_of[name]
    ]


def _picture(pixels: NDArray[np.uint8], row: int) -> NDArray[np.uint8]:
    return np.ascontiguousarray(pixels[row].transpose(2, 0, 1))


def _field(held: Any, name: str) -> Any:
    """Return what stands under this name, which Python 2 wrote as bytes."""
    return held.get(name, held.get(name.encode())) if isinstance(held, dict) else None


def _rows(rows: Any, count: int, place: Path) -> list[int]:
    plain = rows.tolist() if isinstance(rows, np.ndarray) else rows
    if not isinstance(plain, list) or not all(type(row) is int and 0 <= row < count for row in plain):
        raise _damaged(str(place), f"lists of rows below {count} in 'class_dict'", "something else")
    return plain
