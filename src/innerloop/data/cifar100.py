"""cifar100: the archive behind CIFAR-FS and FC100, 60,000 photographs of 100 classes in 20 superclasses.

Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009. Read from the python version's
archive or its unpacked folder, both halves: what was cut into train and test images of the same classes is 600 images a
class here, for meta-learning cuts between classes. 32x32, RGB.
"""

import gzip
import zlib
from collections import Counter
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from innerloop.data.archives import one_line, states
from innerloop.data.pickles import read_pickle, text
from innerloop.data.storage import Item
from innerloop.errors import DataError
from innerloop.plain import read_bytes

SHAPE = (3, 32, 32)
IMAGES_PER_CLASS = {"train": 500, "test": 100}
CLASSES, SUPERCLASSES = 100, 20
FOLDER, ARCHIVE = "cifar-100-python", "cifar-100-python.tar.gz"
FILES = ("train", "test", "meta")
ADDRESS = "https://www.cs.toronto.edu/~kriz/cifar.html"
CHECKSUM = "md5:eb9058c3a382ffc7106e4002c42a8d85"
LARGEST = 400_000_000  # bytes, unpacked; the real archive has 187 million
BLOCK, REGULAR = 512, (b"0", b"\0")  # of a tar archive: bytes of a header, and the mark of a file
RECIPE = "1"  # raise it when the reading below changes


def items(root: Path) -> list[Item]:
    """Return all images, those of the file `train` first; a class is called `superclass/class`.

    Raises:
        DataError: The archive is missing, damaged or not the whole of CIFAR-100.
    """
    source = _source(root)
    contents = _from_folder(source) if source.is_dir() else _from_archive(source)
    held = {file: read_pickle(content, f"{source}: {file}") for file, content in contents.items()}
    fine_names = _names(held["meta"], "fine_label_names", CLASSES, source)
    coarse_names = _names(held["meta"], "coarse_label_names", SUPERCLASSES, source)
    found: list[Item] = []
    superclass_of: dict[int, int] = {}
    for half, expected in IMAGES_PER_CLASS.items():
        pixels, fine, coarse = _half(held[half], half, source)
        counts = Counter(fine)
        odd = next((label for label in range(CLASSES) if counts[label] != expected), None)
        if odd is not None or len(counts) != CLASSES:
            got = f"{counts[odd]} of '{fine_names[odd]}'" if odd is not None else f"{len(counts)} classes"
            raise _damaged(source, f"{expected} images of each of {CLASSES} classes in '{half}'", got)
        for index, (label, above) in enumerate(zip(fine, coarse, strict=True)):
            if superclass_of.setdefault(label, above) != above or not 0 <= above < SUPERCLASSES:
                raise _damaged(source, "one superclass for each class", f"two or an unknown one at {half}/{index}")
            class_name = f"{coarse_names[above]}/{fine_names[label]}"
            found.append(Item(class_name, f"{half}/{index}", partial(pixels.__getitem__, index)))
    if set(Counter(superclass_of.values()).values()) != {CLASSES // SUPERCLASSES}:
        raise _damaged(source, f"{CLASSES // SUPERCLASSES} classes in each superclass", "others")
    return found


def fingerprint(root: Path) -> str:
    """Return what changes whenever the content would: the archive's digest, or the unpacked files' state."""
    source = _source(root)
    digest = sha256(RECIPE.encode())
    if source.is_dir():
        digest.update(states((file, _unpacked(source, file)) for file in FILES).encode())
    else:
        with source.open("rb") as handle:
            while block := handle.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def sides_of(class_names: list[str], chosen: dict[str, tuple[str, ...]], part: int) -> dict[str, list[str]]:
    """Divide classes called `superclass/class` by a list for each side.

    Args:
        class_names: The classes there are.
        chosen: For each side, superclasses (`part` 0) or classes (`part` 1).
        part: Which part of the name the lists are about.

    Raises:
        DataError: A class stands in no list, or a name of a list is no class.
    """
    side_of = {name: side for side, names in chosen.items() for name in names}
    there = {name.split("/")[part] for name in class_names}
    odd = sorted(there ^ set(side_of))
    if odd:
        raise DataError(
            f"expected the {len(side_of)} names of the split among CIFAR-100's classes, got '{odd[0]}' "
            f"{'without a side' if odd[0] in there else 'missing'}; fetch {ARCHIVE} again from {ADDRESS}"
        )
    return {side: [name for name in class_names if side_of[name.split("/")[part]] == side] for side in chosen}


def _source(root: Path) -> Path:
    for place in (root / FOLDER, root / ARCHIVE):
        if place.exists():
            return place
    raise DataError(
        f"expected '{ARCHIVE}' or the folder '{FOLDER}' under '{root}', got neither; fetch the python version "
        f"({CHECKSUM}) from {ADDRESS} and set --data.root to the folder that holds it"
    )


def _unpacked(folder: Path, file: str) -> Path:
    place = folder / file
    if not place.is_file():
        raise DataError(f"expected the files {', '.join(FILES)} in '{folder}', got no '{file}'; unpack {ARCHIVE} again")
    return place


def _from_folder(folder: Path) -> dict[str, bytes]:
    contents: dict[str, bytes] = {}
    for file in FILES:
        place = _unpacked(folder, file)
        try:
            contents[file] = read_bytes(place, LARGEST)
        except (OSError, ValueError) as error:
            raise _damaged(folder, f"a file of at most {LARGEST:,} bytes as '{file}'", one_line(error)) from error
    return contents


def _from_archive(archive: Path) -> dict[str, bytes]:
    """Read the three files into memory, whatever else the archive holds; nothing is unpacked to disk."""
    try:
        with gzip.open(archive) as handle:
            # One byte more than allowed, so that a small file that unpacks without end stops here.
            whole = handle.read(LARGEST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(archive, "a whole gzip archive", "a damaged or half-downloaded one") from error
    if len(whole) > LARGEST:
        raise _damaged(archive, f"at most {LARGEST} bytes unpacked", "more")
    try:
        contents = _in_tar(whole)
    except ValueError as error:
        raise _damaged(archive, "a whole tar archive", "a damaged or half-downloaded one") from error
    missing = [file for file in FILES if file not in contents]
    if missing:
        raise _damaged(archive, f"the files {', '.join(FILES)} in the folder '{FOLDER}'", f"no '{missing[0]}'")
    return contents


def _in_tar(whole: bytes) -> dict[str, bytes]:
    """Return the three files of a tar archive, a row of headers each followed by its content.

    The standard library's reader knows many more kinds of entries, with sizes and names that others overrule; these
    are what hostile archives are made of, and none is in this one.

    Raises:
        ValueError: It is no tar, or cut short.
    """
    contents: dict[str, bytes] = {}
    wanted = {f"{FOLDER}/{file}".encode(): file for file in FILES}
    at = 0
    while any(header := whole[at : at + BLOCK]) or at == 0:
        size = int(header[124:136].strip(b" \0"), 8)
        if int(header[148:156].strip(b" \0"), 8) != sum(header[:148]) + 8 * ord(" ") + sum(header[156:]):
            raise ValueError("another checksum")
        at += BLOCK
        if not 0 <= size <= len(whole) - at:
            raise ValueError("cut short")
        name = header[:100].rstrip(b"\0")
        if name in wanted and header[156:157] in REGULAR:
            contents[wanted[name]] = whole[at : at + size]
        at += -(-size // BLOCK) * BLOCK
    return contents


def _field(held: Any, name: str) -> Any:
    """Return what stands under this name, which Python 2 wrote as bytes."""
    return held.get(name.encode(), held.get(name)) if isinstance(held, dict) else None


def _names(meta: Any, field: str, expected: int, source: Path) -> list[str]:
    names = _field(meta, field)
    if not isinstance(names, list) or not all(isinstance(name, str | bytes) for name in names):
        raise _damaged(source, f"a list '{field}' of names in 'meta'", f"{type(names).__name__}")
    plain = [text(name) for name in names]
    if len(set(plain)) != expected or len(plain) != expected:
        raise _damaged(source, f"{expected} different names in '{field}'", f"{len(set(plain))}")
    return plain


def _half(held: Any, half: str, source: Path) -> tuple[NDArray[np.uint8], list[int], list[int]]:
    """Return [image channel height width], the class and the superclass of each."""
    pixels, fine, coarse = (_field(held, name) for name in ("data", "fine_labels", "coarse_labels"))
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.shape[1:] != (int(np.prod(SHAPE)),):
        got = f"{pixels.dtype} {pixels.shape}" if isinstance(pixels, np.ndarray) else type(pixels).__name__
        raise _damaged(source, f"uint8 rows of {int(np.prod(SHAPE))} as 'data' in '{half}'", got)
    for labels in (fine, coarse):
        whole = isinstance(labels, list) and len(labels) == len(pixels)
        if not whole or not all(type(label) is int for label in labels):
            raise _damaged(source, f"a list of {len(pixels)} numbers for the labels in '{half}'", "something else")
    return pixels.reshape(-1, *SHAPE), fine, coarse


def _damaged(source: Path, expected: str, got: str) -> DataError:
    return DataError(f"expected {expected} in '{source}', got {got}; fetch {ARCHIVE} ({CHECKSUM}) again from {ADDRESS}")
