import shutil
import zipfile

import numpy as np
import pytest

from innerloop.data import DataConfig, archives, load, omniglot
from innerloop.data.omniglot import VALIDATION_ALPHABETS
from innerloop.data.sampler import Choice, gather
from innerloop.data.storage import LeftOut
from innerloop.errors import ConfigError, DataError


def sizes(data):
    return {side: len(split) for side, split in data.splits.items()}


def test_the_alphabets_split_is_lakes_with_five_named_alphabets_for_validation(omniglot_root):
    data = load(DataConfig("omniglot", root=str(omniglot_root)))
    assert sizes(data) == {"train": 812, "validation": 152, "test": 659}
    alphabets = {side: {name.split("/")[1] for name in split.class_names} for side, split in data.splits.items()}
    assert alphabets["validation"] == set(VALIDATION_ALPHABETS)
    assert (len(alphabets["train"]), len(alphabets["test"])) == (25, 20)
    assert not alphabets["train"] & alphabets["test"]
    assert all(len(members) == 20 for split in data.splits.values() for members in split.members)


def test_the_characters_split_has_1200_against_423(omniglot_root):
    data = load(DataConfig("omniglot", root=str(omniglot_root), split="characters"))
    assert sizes(data) == {"train": 1100, "validation": 100, "test": 423}
    # The permutation is stated and fixed: these stand first, everywhere and always.
    assert data.split("train").class_names[0] == "images_background/Cyrillic/character21"
    assert data.split("test").class_names[0] == "images_background/Burmese_(Myanmar)/character06"


def test_rotations_are_classes_of_their_own_on_their_characters_side(omniglot_root):
    plain = load(DataConfig("omniglot", root=str(omniglot_root)))
    data = load(DataConfig("omniglot", root=str(omniglot_root), rotations=True))
    for side, split in data.splits.items():
        assert {name.split("@")[0] for name in split.class_names} == set(plain.split(side).class_names)
    name = plain.split("test").class_names[5]
    split = data.split("test")
    upright, turned = (
        gather(split, Choice((number,), (split.members[number][3:4],), (split.members[number][:1],))).support.inputs
        for number in (split.class_names.index(each) for each in (name, f"{name}@90"))
    )
    assert np.array_equal(np.rot90(upright[0, 0]), turned[0, 0])


def test_ink_is_bright_on_dark_paper(omniglot_root):
    images = load(DataConfig("omniglot", root=str(omniglot_root))).split("test").inputs
    assert images.max() == 255
    assert np.median(images) == 0


def test_unpacked_folders_give_the_same_images_as_the_zips(omniglot_root, tmp_path):
    for name in ("images_background", "images_evaluation"):
        with zipfile.ZipFile(omniglot_root / f"{name}.zip") as archive:
            archive.extractall(tmp_path)
    packed, unpacked = (load(DataConfig("omniglot", root=str(root))) for root in (omniglot_root, tmp_path))
    for side, split in packed.splits.items():
        assert split.class_names == unpacked.split(side).class_names
    assert np.array_equal(packed.split("train").inputs, unpacked.split("train").inputs)


def test_a_missing_archive_is_named(tmp_path):
    with pytest.raises(DataError, match=r"expected 'images_background.zip' or the folder .* got neither"):
        load(DataConfig("omniglot", root=str(tmp_path)))


def test_a_half_downloaded_archive_is_refused(omniglot_root, tmp_path):
    whole = (omniglot_root / "images_background.zip").read_bytes()
    (tmp_path / "images_background.zip").write_bytes(whole[: len(whole) // 2])
    shutil.copy(omniglot_root / "images_evaluation.zip", tmp_path)
    with pytest.raises(DataError, match="half-downloaded"):
        load(DataConfig("omniglot", root=str(tmp_path)))


def test_missing_characters_and_damaged_images_are_refused(omniglot_root, tmp_path):
    shutil.copy(omniglot_root / "images_evaluation.zip", tmp_path)
    with (
        zipfile.ZipFile(omniglot_root / "images_background.zip") as whole,
        zipfile.ZipFile(tmp_path / "images_background.zip", "w") as part,
    ):
        for name in whole.namelist()[:45]:
            part.writestr(name, whole.read(name))
    with pytest.raises(
        DataError, match=r"expected 964 characters with 20 images each .* got 3 characters and 5 images"
    ):
        load(DataConfig("omniglot", root=str(tmp_path)))


def test_a_damaged_image_is_named_or_left_out_where_asked(omniglot_root, tmp_path):
    shutil.copy(omniglot_root / "images_evaluation.zip", tmp_path)
    with (
        zipfile.ZipFile(omniglot_root / "images_background.zip") as whole,
        zipfile.ZipFile(tmp_path / "images_background.zip", "w") as part,
    ):
        for number, name in enumerate(whole.namelist()):
            part.writestr(name, b"" if number == 5 else whole.read(name))
        damaged = whole.namelist()[5]
    with pytest.raises(DataError, match=f"image at '.*/{damaged}', got an empty file.*--data.skip_corrupt=true"):
        load(DataConfig("omniglot", root=str(tmp_path)))
    data = load(DataConfig("omniglot", root=str(tmp_path), skip_corrupt=True))
    assert data.left_out == (LeftOut(damaged, "cannot be read"),)
    assert sum(len(members) for split in data.splits.values() for members in split.members) == 20 * 1623 - 1


def test_an_unknown_split_is_refused(omniglot_root):
    with pytest.raises(ConfigError, match="Did you mean 'characters'"):
        load(DataConfig("omniglot", root=str(omniglot_root), split="character"))


def test_without_root_and_network_the_error_says_what_to_fetch(monkeypatch, tmp_path):
    monkeypatch.setenv("INNERLOOP_CACHE", str(tmp_path))
    monkeypatch.setattr("innerloop.data.omniglot.ADDRESS", "http://127.0.0.1:9/")
    with pytest.raises(DataError, match=r"download images_background.zip \(md5:68d2.*set --data.root"):
        load(DataConfig("omniglot"))


def zipped(place, name, content=b"", **options):
    """A zip with one odd member, where Omniglot's background images should be."""
    with zipfile.ZipFile(place / "images_background.zip", "w", **options) as archive:
        archive.writestr(name, content)


def encrypted(place):
    zipped(place, "images_background/A/character01/1.png", b"x")
    content = (place / "images_background.zip").read_bytes()
    local, central = content.index(b"PK\x03\x04") + 6, content.index(b"PK\x01\x02") + 8
    marked = bytearray(content)
    marked[local] |= 1
    marked[central] |= 1
    (place / "images_background.zip").write_bytes(bytes(marked))


NAME = "images_background/A/character01/1.png"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda place: zipped(place, "../x.png"), "leads outside"),
        (
            lambda place: zipped(place, NAME, bytes(2_000_000), compression=zipfile.ZIP_DEFLATED),
            f"at '.*{NAME}', got 2,",
        ),
        (lambda place: zipped(place, NAME, compression=zipfile.ZIP_LZMA), "stored or deflated, got zip method 14"),
        (encrypted, "964 characters with 20 images each"),
        (lambda place: zipped(place, f"__MACOSX/{NAME}"), "got 0 characters"),
    ],
)
def test_a_hostile_archive_is_one_error(omniglot_root, tmp_path, make, words):
    shutil.copy(omniglot_root / "images_evaluation.zip", tmp_path)
    make(tmp_path)
    with pytest.raises(DataError, match=words) as caught:
        load(DataConfig("omniglot", root=str(tmp_path)))
    assert "\n" not in str(caught.value)


def test_an_encrypted_or_foreign_image_is_named_without_an_address_in_memory(tmp_path):
    encrypted(tmp_path)
    ((name, read),) = archives.files(tmp_path / "images_background.zip", (".png",))
    with pytest.raises(DataError, match=f"expected to read '{NAME}' in .*encrypted"):
        omniglot._picture(read, name)
    with pytest.raises(DataError, match="image at 'here', got: cannot identify image file; fetch") as caught:
        omniglot._picture(lambda: b"words", "here")
    assert "0x" not in str(caught.value)
