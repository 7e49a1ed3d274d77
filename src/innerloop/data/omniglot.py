"""omniglot: 1,623 handwritten characters of 50 alphabets, 20 drawers each.

Source: B. Lake, R. Salakhutdinov, J. Tenenbaum, Human-level concept learning through probabilistic program
induction, Science 2015. MIT licence. Read from the two official archives or their unpacked folders, checked by
content: 964 and 659 characters with 20 readable images each. 28x28, ink 255 on paper 0.

Splits:
    alphabets: meta-train and -validation from the background alphabets (five of them, named below, validate),
        meta-test the evaluation alphabets, as Lake drew the line.
    characters: 1,200 characters against 423 for meta-test, after the fixed permutation below; of the 1,200 the last
        100 validate. The papers that use 1,200/423 each used an order of their own, mostly unstated.
"""

from collections.abc import Callable
from functools import partial
from hashlib import sha256
from pathlib import Path, PurePosixPath

import numpy as np
import pooch
from numpy.typing import NDArray

from innerloop.data import archives
from innerloop.data.pictures import pixels
from innerloop.data.split import TEST, TRAIN, VALIDATION, DataSet, data_set
from innerloop.data.storage import Item, Watch, cache_folder, prepared, unwatched
from innerloop.errors import DataError, unknown_name

SIZE = 28
IMAGES_PER_CHARACTER = 20
CHARACTERS = {"images_background": 964, "images_evaluation": 659}
ADDRESS = "https://raw.githubusercontent.com/brendenlake/omniglot/master/python/"
CHECKSUMS = {
    "images_background.zip": "md5:68d2efa1b9178cc56df9314c21c6e718",
    "images_evaluation.zip": "md5:6b91aef0f799c5bb55b94e3f2daec811",
}
VALIDATION_ALPHABETS = ("Armenian", "Balinese", "Early_Aramaic", "Gujarati", "Tagalog")
SPLITS = ("alphabets", "characters")
N_TRAIN, N_VALIDATION = 1100, 100
PERMUTATION_SEED = 2022
SUFFIXES = (".png",)
LARGEST_FILE = 1_000_000  # bytes; the real ones have some hundreds
RECIPE = "2"  # raise it when the reading below changes


def load(
    root: str | None = None, split: str = "alphabets", skip_corrupt: bool = False, watch: Watch = unwatched
) -> DataSet:
    """Return the data set, preparing it into the cache the first time (some seconds).

    Args:
        root: Folder with the two zips or the two unpacked folders; by default they are downloaded.
        split: `alphabets` or `characters`.
        skip_corrupt: Whether images that cannot be read are left out, or are an error.
        watch: Shows how far the preparation has come.

    Raises:
        DataError: An archive is missing, damaged or not the whole of Omniglot.
    """
    if split not in SPLITS:
        raise unknown_name("split of omniglot", split, SPLITS)
    sources = [_source(root, name) for name in CHARACTERS]
    digest = sha256(RECIPE.encode())
    for source in sources:
        digest.update(bytes.fromhex(archives.fingerprint(source, SUFFIXES)))
    images = prepared(
        "omniglot",
        digest.hexdigest(),
        (1, SIZE, SIZE),
        lambda: _items(sources),
        skip_corrupt=skip_corrupt,
        watch=watch,
    )
    by = _by_alphabet if split == "alphabets" else _by_permutation
    return data_set(f"omniglot-{split}", images, by(list(images.class_names)))


def _by_alphabet(characters: list[str]) -> dict[str, list[str]]:
    sides: dict[str, list[str]] = {TRAIN: [], VALIDATION: [], TEST: []}
    for name in characters:
        archive, alphabet, _ = name.split("/")
        held_out = VALIDATION if alphabet in VALIDATION_ALPHABETS else TRAIN
        sides[TEST if archive == "images_evaluation" else held_out].append(name)
    return sides


def _by_permutation(characters: list[str]) -> dict[str, list[str]]:
    # RandomState's streams are frozen by NumPy, so this order is the same for everyone, always.
    order = np.random.RandomState(PERMUTATION_SEED).permutation(len(characters))
    shuffled = [sorted(characters)[index] for index in order]
    last = N_TRAIN + N_VALIDATION
    return {TRAIN: shuffled[:N_TRAIN], VALIDATION: shuffled[N_TRAIN:last], TEST: shuffled[last:]}


def _source(root: str | None, name: str) -> Path:
    """Return the unpacked folder or the zip of this name, downloading the zip where no root is given."""
    if root is None:
        return _downloaded(f"{name}.zip")
    for place in (Path(root) / name, Path(root) / f"{name}.zip"):
        if place.exists():
            return place
    raise DataError(
        f"expected '{name}.zip' or the folder '{name}' under '{root}', got neither; set --data.root to the folder that "
        "holds them, or leave it out to download"
    )


def _downloaded(file: str) -> Path:
    place = cache_folder() / "downloads"
    try:
        return Path(pooch.retrieve(ADDRESS + file, CHECKSUMS[file], fname=file, path=place))
    except Exception as error:  # pooch lets through whatever its transport raises
        raise DataError(
            f"expected to download {file} ({CHECKSUMS[file]}), got: {archives.one_line(error)}; fetch it yourself from "
            f"{ADDRESS} into a folder and set --data.root to it"
        ) from error


def _items(sources: list[Path]) -> list[Item]:
    items: list[Item] = []
    for source, (archive, expected) in zip(sources, CHARACTERS.items(), strict=True):
        counts: dict[str, int] = {}
        for name, read in archives.files(source, SUFFIXES, LARGEST_FILE):
            inside = "/".join(PurePosixPath(name).parts[-3:])
            character = f"{archive}/{inside.rsplit('/', 1)[0]}"
            counts[character] = counts.get(character, 0) + 1
            items.append(Item(character, f"{archive}/{inside}", partial(_picture, read, f"{source}/{name}")))
        odd = next((each for each, count in counts.items() if count != IMAGES_PER_CHARACTER), None)
        if len(counts) != expected or odd is not None:
            got = f"{len(counts)} characters" + (f" and {counts[odd]} images of '{odd}'" if odd else "")
            raise DataError(
                f"expected {expected} characters with {IMAGES_PER_CHARACTER} images each in '{source}', got {got}; "
                "fetch the archive again"
            )
    return items


def _picture(read: Callable[[], bytes], where: str) -> NDArray[np.uint8]:
    return 255 - pixels(read(), where, size=SIZE, channels=1, crop="stretch")
