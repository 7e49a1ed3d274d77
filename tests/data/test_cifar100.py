import gzip
import io
import os
import pickle
import shutil
import struct
import tarfile

import numpy as np
import pytest

from innerloop.data import cifar100, cifar_fs, fc100
from innerloop.data.cifar100 import fingerprint, items
from innerloop.errors import DataError

PER_CLASS = {"train": 3, "test": 1}
# The archive's own classes by superclass, superclasses and classes in the order of the alphabet.
KINDS = {
    "aquatic_mammals": "beaver dolphin otter seal whale",
    "fish": "aquarium_fish flatfish ray shark trout",
    "flowers": "orchid poppy rose sunflower tulip",
    "food_containers": "bottle bowl can cup plate",
    "fruit_and_vegetables": "apple mushroom orange pear sweet_pepper",
    "household_electrical_devices": "clock keyboard lamp telephone television",
    "household_furniture": "bed chair couch table wardrobe",
    "insects": "bee beetle butterfly caterpillar cockroach",
    "large_carnivores": "bear leopard lion tiger wolf",
    "large_man-made_outdoor_things": "bridge castle house road skyscraper",
    "large_natural_outdoor_scenes": "cloud forest mountain plain sea",
    "large_omnivores_and_herbivores": "camel cattle chimpanzee elephant kangaroo",
    "medium_mammals": "fox porcupine possum raccoon skunk",
    "non-insect_invertebrates": "crab lobster snail spider worm",
    "people": "baby boy girl man woman",
    "reptiles": "crocodile dinosaur lizard snake turtle",
    "small_mammals": "hamster mouse rabbit shrew squirrel",
    "trees": "maple_tree oak_tree palm_tree pine_tree willow_tree",
    "vehicles_1": "bicycle bus motorcycle pickup_truck train",
    "vehicles_2": "lawn_mower rocket streetcar tank tractor",
}
COARSE = sorted(KINDS)
FINE = sorted(name for names in KINDS.values() for name in names.split())
COARSE_OF = [next(index for index, kind in enumerate(COARSE) if name in KINDS[kind].split()) for name in FINE]


def half(count, seed):
    random = np.random.RandomState(seed)
    fine = random.permutation(np.repeat(np.arange(100), count)).tolist()
    return {
        "filenames": [f"picture_{index}.png" for index in range(len(fine))],
        "batch_label": "training batch 1 of 1",
        "fine_labels": fine,
        "coarse_labels": [COARSE_OF[label] for label in fine],
        "data": random.randint(0, 256, (len(fine), 3072)).astype(np.uint8),
    }


class Python2(pickle._Pickler):
    """Writes strings as Python 2 did, text and bytes alike."""

    def save_string(self, value):
        content = value.encode("latin-1") if isinstance(value, str) else value
        short = len(content) < 256
        self.write((b"U" + bytes([len(content)]) if short else b"T" + struct.pack("<i", len(content))) + content)
        self.memoize(value)

    dispatch = pickle._Pickler.dispatch | {str: save_string, bytes: save_string}


def python_2(value) -> bytes:
    """Return what Python 2's `cPickle.dump(value, file, 2)` wrote: its strings, and NumPy's module names of then."""
    out = io.BytesIO()
    Python2(out, 2).dump(value)
    return out.getvalue().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")


def content():
    return {
        "train": half(PER_CLASS["train"], 0),
        "test": half(PER_CLASS["test"], 1),
        "meta": {"fine_label_names": list(FINE), "coarse_label_names": list(COARSE)},
    }


def write_folder(root, held):
    (root / "cifar-100-python").mkdir()
    for name, value in held.items():
        (root / "cifar-100-python" / name).write_bytes(python_2(value))


def write_archive(root, held):
    with tarfile.open(root / "cifar-100-python.tar.gz", "w:gz") as tar:
        for name, value in {"file.txt~": {}, **held}.items():
            add(tar, f"cifar-100-python/{name}", python_2(value))


def add(tar, name, raw):
    member = tarfile.TarInfo(name)
    member.size = len(raw)
    tar.addfile(member, io.BytesIO(raw))


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(cifar100, "IMAGES_PER_CLASS", PER_CLASS)


def test_the_archive_and_the_unpacked_folder_give_the_same_images_of_both_halves(tmp_path):
    held = content()
    packed, unpacked = tmp_path / "packed", tmp_path / "unpacked"
    packed.mkdir()
    unpacked.mkdir()
    write_archive(packed, held)
    write_folder(unpacked, held)
    first, second = items(packed), items(unpacked)
    assert [each[:2] for each in first] == [each[:2] for each in second]
    assert len(first) == 400 == len({item.name for item in first})
    assert all(np.array_equal(one.read(), other.read()) for one, other in zip(first, second, strict=True))
    assert [path.name for path in packed.iterdir()] == ["cifar-100-python.tar.gz"]


def test_each_image_has_its_own_pixels_and_class(tmp_path):
    held = content()
    write_folder(tmp_path, held)
    for index, item in ((5, items(tmp_path)[5]), (7, items(tmp_path)[307])):
        name = item.name.split("/")[0]
        fine = held[name]["fine_labels"][index]
        assert item.class_name == f"{COARSE[COARSE_OF[fine]]}/{FINE[fine]}"
        pixels = item.read()
        assert pixels.shape == cifar100.SHAPE
        assert pixels.dtype == np.uint8
        # Rows are the red plane, the green, the blue.
        assert pixels[1, 0, 2] == held[name]["data"][index, 1024 + 2]


def test_files_that_python_3_wrote_are_read_too(tmp_path):
    held = content()
    write_folder(tmp_path, held)
    before = [item[:2] for item in items(tmp_path)]
    for name, value in held.items():
        (tmp_path / "cifar-100-python" / name).write_bytes(pickle.dumps(value, 4))
    assert [item[:2] for item in items(tmp_path)] == before


@pytest.mark.parametrize(("splits", "sizes"), [(cifar_fs, [64, 16, 20]), (fc100, [60, 20, 20])])
def test_the_splits_divide_all_classes_without_overlap(tmp_path, splits, sizes):
    write_folder(tmp_path, content())
    names = list(dict.fromkeys(item.class_name for item in splits.items(tmp_path)))
    sides = splits.sides(names)
    assert list(sides) == ["train", "validation", "test"]
    assert [len(each) for each in sides.values()] == sizes
    assert sorted(name for each in sides.values() for name in each) == sorted(names)
    chosen = [name for each in splits.CHOSEN.values() for name in each]
    assert len(set(chosen)) == len(chosen) == (100 if splits is cifar_fs else 20)


def test_fc100_keeps_superclasses_whole_and_cifar_fs_does_not(tmp_path):
    write_folder(tmp_path, content())
    names = list(dict.fromkeys(item.class_name for item in items(tmp_path)))

    def kinds(splits):
        return [{name.split("/")[0] for name in each} for each in splits.sides(names).values()]

    train, validation, test = kinds(fc100)
    assert (len(train), len(validation), len(test)) == (12, 4, 4)
    assert not train & validation | train & test | validation & test
    assert kinds(cifar_fs)[0] & kinds(cifar_fs)[2]
    assert test == {"aquatic_mammals", "insects", "medium_mammals", "people"}
    assert "people/baby" in cifar_fs.sides(names)["test"]


def test_a_split_of_other_classes_is_refused():
    names = [f"{COARSE[kind]}/{name}" for kind, name in zip(COARSE_OF, FINE, strict=True)]
    with pytest.raises(DataError, match=r"got 'worm' missing; fetch cifar-100-python.tar.gz"):
        cifar_fs.sides([name for name in names if not name.endswith("worm")])
    with pytest.raises(DataError, match=r"got 'dragons' without a side"):
        fc100.sides([*names, "dragons/smaug"])


def test_a_missing_archive_is_named_with_its_address_and_checksum(tmp_path):
    message = (
        r"expected 'cifar-100-python.tar.gz' or the folder 'cifar-100-python' .* neither; .*md5:eb90.*cs.toronto.edu"
    )
    for read in (items, fingerprint):
        with pytest.raises(DataError, match=message):
            read(tmp_path)
    write_folder(tmp_path, content())
    (tmp_path / "cifar-100-python" / "meta").unlink()
    with pytest.raises(DataError, match=r"got no 'meta'; unpack"):
        items(tmp_path)


def test_a_half_downloaded_or_foreign_archive_is_refused(tmp_path):
    write_archive(tmp_path, content())
    place = tmp_path / "cifar-100-python.tar.gz"
    whole = place.read_bytes()
    for part in (whole[: len(whole) // 2], b"<html>not found</html>", b""):
        place.write_bytes(part)
        with pytest.raises(DataError, match=r"got (a damaged or half-downloaded one|no 'train')"):
            items(tmp_path)
    place.write_bytes(gzip.compress(b"no tar"))
    with pytest.raises(DataError, match=r"expected a whole tar archive"):
        items(tmp_path)


def test_an_archive_with_a_damaged_header_is_refused(tmp_path):
    write_archive(tmp_path, content())
    place = tmp_path / "cifar-100-python.tar.gz"
    whole = bytearray(gzip.decompress(place.read_bytes()))
    whole[4] ^= 1  # in the first name, whose file would else be missing or another
    place.write_bytes(gzip.compress(whole))
    with pytest.raises(DataError, match=r"expected a whole tar archive"):
        items(tmp_path)


def test_an_archive_that_unpacks_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(cifar100, "LARGEST", 1_000_000)
    (tmp_path / "cifar-100-python.tar.gz").write_bytes(gzip.compress(bytes(2_000_000)))
    with pytest.raises(DataError, match=r"at most 1000000 bytes unpacked"):
        items(tmp_path)
    (tmp_path / "cifar-100-python").mkdir()
    for name in ("train", "test", "meta"):
        (tmp_path / "cifar-100-python" / name).write_bytes(bytes(2_000_000))
    with pytest.raises(DataError, match=r"at most 1,000,000 bytes as 'train'"):
        items(tmp_path)


def test_links_and_other_names_in_the_archive_are_never_read(tmp_path):
    with tarfile.open(tmp_path / "cifar-100-python.tar.gz", "w:gz") as tar:
        for name in ("train", "test", "meta"):
            link = tarfile.TarInfo(f"cifar-100-python/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            tar.addfile(link)
            add(tar, f"../{name}", b"elsewhere")
    with pytest.raises(DataError, match=r"got no 'train'"):
        items(tmp_path)


def test_a_hostile_half_is_refused_before_it_acts(tmp_path):
    write_folder(tmp_path, content())
    (tmp_path / "cifar-100-python" / "test").write_bytes(b"cos\nsystem\n(S'touch it_ran'\ntR.")
    with pytest.raises(DataError, match=r"cifar-100-python: test', got one that asks for 'os.system'"):
        items(tmp_path)


def damaged(field, half="train"):
    held = content()
    if field == "count":
        held[half]["fine_labels"][0] = (held[half]["fine_labels"][0] + 1) % 100
    elif field == "range":
        held[half]["fine_labels"][0] = 100
    elif field == "superclass":
        held[half]["coarse_labels"][0] = (held[half]["coarse_labels"][0] + 1) % 20
    elif field == "short":
        held[half]["coarse_labels"].pop()
    elif field == "pixels":
        held[half]["data"] = held[half]["data"].astype(np.float32)
    elif field == "rows":
        held[half]["data"] = held[half]["data"][:, :-1]
    elif field == "names":
        held["meta"]["fine_label_names"][0] = "worm"
    return held


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("count", r"expected 3 images of each of 100 classes in 'train'.*got \d of '\w+'"),
        ("range", r"expected 3 images of each of 100 classes in 'train'.*got 2 of '\w+'"),
        ("superclass", r"expected one superclass for each class.*got two or an unknown one at train/"),
        ("short", r"expected a list of 300 numbers for the labels in 'train'"),
        ("pixels", r"expected uint8 rows of 3072 as 'data' in 'train'.*got float32 \(300, 3072\)"),
        ("rows", r"expected uint8 rows of 3072 .*got uint8 \(300, 3071\)"),
        ("names", r"expected 100 different names in 'fine_label_names'.*got 99"),
    ],
)
def test_what_is_not_the_whole_of_cifar_100_is_refused(tmp_path, field, message):
    write_folder(tmp_path, damaged(field))
    with pytest.raises(DataError, match=message):
        items(tmp_path)


def test_the_fingerprint_follows_the_content(tmp_path):
    held = content()
    write_archive(tmp_path, held)
    packed = fingerprint(tmp_path)
    assert packed == fingerprint(tmp_path)
    held["train"]["data"][0, 0] ^= 1
    write_archive(tmp_path, held)
    assert fingerprint(tmp_path) != packed
    write_folder(tmp_path, held)
    unpacked = fingerprint(tmp_path)
    held["train"]["filenames"].append("one more")
    shutil.rmtree(tmp_path / "cifar-100-python")
    write_folder(tmp_path, held)
    assert fingerprint(tmp_path) != unpacked


def test_an_unpacked_file_of_the_same_size_is_another(tmp_path):
    write_folder(tmp_path, content())
    before = fingerprint(tmp_path)
    place = tmp_path / "cifar-100-python" / "train"
    place.write_bytes(bytes(reversed(place.read_bytes())))
    os.utime(place, ns=(1, 1))
    assert fingerprint(tmp_path) != before


def entry(name, size, kind=b"0"):
    header = bytearray(name.ljust(124, b"\0") + size.ljust(12, b"\0") + b" " * 20 + kind + bytes(355))
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


@pytest.mark.parametrize(
    "whole",
    [
        b"",
        bytes(100),
        entry(b"cifar-100-python/train", b"77777777777"),
        entry(b"cifar-100-python/train", b"-7777"),
        entry(b"x", b"-1000", b"x"),
        entry(b"x", b"\x80\xff"),
        entry(b"x", b"0", b"x") * 5000 + b"\1" * 512,
    ],
)
def test_a_tar_of_impossible_sizes_ends_and_is_refused(tmp_path, whole):
    (tmp_path / "cifar-100-python.tar.gz").write_bytes(gzip.compress(whole))
    with pytest.raises(DataError, match=r"expected a whole tar archive|in the folder 'cifar-100-python'"):
        items(tmp_path)
