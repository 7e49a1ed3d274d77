"""tiny_imagenet: 100 classes of Tiny-ImageNet's training images, 64x64 in colour, divided 64/16/20.

Source: Stanford CS231n, after J. Deng et al., ImageNet: a large-scale hierarchical image database, CVPR 2009.
ImageNet's terms: research, non-commercial. Read from `tiny-imagenet-200.zip`, from the only zip in the folder where
it has that layout, or from the unpacked folder.

The split is `tiny_imagenet_split.json` beside this file; the 25 classes that mini-ImageNet has too keep their side of
its split. The archive's other classes are not used.
"""

import json
import re
from collections.abc import Callable, Sequence
from functools import partial
from hashlib import sha256
from importlib.resources import files as resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from innerloop.data import archives
from innerloop.data.pictures import SUFFIXES, pixels
from innerloop.data.split import TEST, TRAIN, VALIDATION
from innerloop.data.storage import Item
from innerloop.errors import DataError

SIZE = 64
SHAPE = (3, SIZE, SIZE)
FOLDER = "tiny-imagenet-200"
ADDRESS = "http://cs231n.stanford.edu/tiny-imagenet-200.zip"
RECIPE = "1"  # raise it when the reading below changes

_KEYS = {TRAIN: "train", VALIDATION: "val", TEST: "test"}
_LAYOUT = re.compile(rf"(?:{FOLDER}/)?(train/([^/]+)/images/[^/]+)")


def items(root: Path) -> list[Item]:
    """List the images of the split's classes, by path.

    Args:
        root: Folder with the zip or the unpacked folder, or that folder itself.

    Raises:
        DataError: Nothing there, a damaged or hostile archive, or classes of the split that it lacks. Reading an
            item raises it for an image that is not 64x64.
    """
    source = _source(root)
    wanted = {name for names in sides().values() for name in names}
    listed: list[Item] = []
    for name, read in archives.files(source, SUFFIXES):
        path = _LAYOUT.fullmatch(name)
        if path and path[2] in wanted:
            # The same name from the zip and from the folder: both hold the same data set.
            listed.append(Item(path[2], path[1], partial(_picture, read, f"{source}/{name}")))
    missing = sorted(wanted - {item.class_name for item in listed})
    if missing:
        raise DataError(
            f"expected the {len(wanted)} classes of the split in '{source}' as {FOLDER}/train/<class>/images/*.JPEG, "
            f"got {len(wanted) - len(missing)} ('{missing[0]}' is missing); fetch the whole archive from {ADDRESS}"
        )
    return sorted(listed, key=lambda item: item.name)


def sides(class_names: Sequence[str] = ()) -> dict[str, list[str]]:  # noqa: ARG001
    """Return the classes (WordNet ids) of each side."""
    split = json.loads(_split_file())
    return {side: list(split[key]) for side, key in _KEYS.items()}


def fingerprint(root: Path) -> str:
    """Return a digest that changes whenever the images, their classes or their reading would."""
    digest = sha256(RECIPE.encode() + _split_file())
    digest.update(archives.fingerprint(_source(root), SUFFIXES).encode())
    return digest.hexdigest()


def _split_file() -> bytes:
    return resources("innerloop.data").joinpath("tiny_imagenet_split.json").read_bytes()


def _source(root: Path) -> Path:
    for place in (root / FOLDER, root / f"{FOLDER}.zip"):
        if place.exists():
            return place
    if (root / "train").is_dir():
        return root
    zips = sorted(root.glob("*.zip")) if root.is_dir() else []
    if len(zips) == 1:
        return zips[0]
    got = f"{len(zips)} other zips" if zips else "neither"
    raise DataError(
        f"expected '{FOLDER}.zip', the folder '{FOLDER}' or a single zip with its layout under '{root}', got {got}; "
        f"fetch it from {ADDRESS} and set --data.root to the folder that holds it"
    )


def _picture(read: Callable[[], bytes], where: str) -> NDArray[np.uint8]:
    image = pixels(read(), where, size=None, channels=3)
    if image.shape != SHAPE:
        got = " by ".join(map(str, image.shape[1:]))
        raise DataError(f"expected {SIZE} by {SIZE} pixels at '{where}', got {got}; fetch the archive from {ADDRESS}")
    return image
