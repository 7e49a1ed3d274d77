import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from innerloop.data.tiny_imagenet import ADDRESS, fingerprint, items, sides
from innerloop.errors import DataError

CLASSES = [name for names in sides().values() for name in names]


def picture(size=(64, 64), mode="RGB") -> bytes:
    stream = io.BytesIO()
    Image.new(mode, size, 99).save(stream, "JPEG")
    return stream.getvalue()


def small(classes=CLASSES, content=None):
    """Two images a class in the official layout, without its first folder."""
    content = picture() if content is None else content
    names = [f"train/{name}/images/{name}_{number}.JPEG" for name in classes for number in (10, 9)]
    return dict.fromkeys(names, content) | {"words.txt": b"", "val/images/val_0.JPEG": content}


def zipped(path, content):
    with zipfile.ZipFile(path, "w") as archive:
        for name, each in content.items():
            archive.writestr(f"tiny-imagenet-200/{name}", each)
    return path.parent


def unpacked(path, content):
    for name, each in content.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(each)
    return path


def test_the_split_has_64_16_and_20_classes_none_twice():
    assert {side: len(names) for side, names in sides().items()} == {"train": 64, "validation": 16, "test": 20}
    assert len(set(CLASSES)) == 100
    assert [sides()[side][0] for side in ("train", "validation", "test")] == ["n01443537", "n01855672", "n01944390"]


def test_the_supplied_archive_has_400_200_and_200_images_a_class(tiny_imagenet_root):
    listed = items(tiny_imagenet_root)
    counts: dict[str, int] = {}
    for item in listed:
        counts[item.class_name] = counts.get(item.class_name, 0) + 1
    found = {side: {counts.pop(name) for name in names} for side, names in sides().items()}
    assert found == {"train": {400}, "validation": {200}, "test": {200}}
    assert not counts
    assert len({item.name for item in listed}) == len(listed) == 32_800
    assert listed[1].name == "train/n01443537/images/n01443537_1.JPEG"
    for item in listed[::1000]:
        image = item.read()
        assert (image.shape, image.dtype) == ((3, 64, 64), np.uint8)
        assert image.std() > 0


@pytest.mark.slow
def test_every_image_of_the_supplied_archive_can_be_read(tiny_imagenet_root):
    assert {item.read().shape for item in items(tiny_imagenet_root)} == {(3, 64, 64)}


def test_every_place_the_images_may_be_in_lists_the_same(tmp_path):
    for folder in "abcd":
        (tmp_path / folder).mkdir()
    extra = small([*CLASSES, "n00000000"])
    roots = [
        zipped(tmp_path / "a" / "tiny-imagenet-200.zip", extra),
        zipped(tmp_path / "b" / "mine.zip", extra),
        unpacked(tmp_path / "c" / "tiny-imagenet-200", extra).parent,
        unpacked(tmp_path / "d", extra),
    ]
    first, *others = ([(item.class_name, item.name) for item in items(root)] for root in roots)
    assert all(other == first for other in others)
    assert len(first) == 200  # the class outside the split and the validation folder are not used
    assert first[0] == (min(CLASSES), f"train/{min(CLASSES)}/images/{min(CLASSES)}_10.JPEG")
    for root in roots:
        assert np.array_equal(items(root)[0].read(), items(roots[0])[0].read())
    assert len({fingerprint(root) for root in roots[1:]}) == 3


def test_grey_images_become_colour(tmp_path):
    image = items(zipped(tmp_path / "x.zip", small(content=picture(mode="L"))))[0].read()
    assert image.shape == (3, 64, 64)
    assert np.array_equal(image[0], image[2])


def test_a_class_of_the_split_that_is_missing_is_refused(tmp_path):
    missing = sorted(CLASSES)[50]
    root = zipped(tmp_path / "x.zip", small([name for name in CLASSES if name != missing]))
    with pytest.raises(
        DataError, match=rf"100 classes .* got 99 \('{missing}' is missing\); fetch .*{ADDRESS}"
    ) as caught:
        items(root)
    assert "\n" not in str(caught.value)


def test_an_image_of_another_size_is_refused(tmp_path):
    root = zipped(tmp_path / "x.zip", small(content=picture((32, 64))))
    with pytest.raises(DataError, match=r"expected 64 by 64 pixels at '.*x\.zip/tiny.*_10\.JPEG', got 64 by 32; fetch"):
        items(root)[0].read()


def test_a_damaged_image_is_refused(tmp_path):
    root = zipped(tmp_path / "x.zip", small(content=picture()[:300]))
    with pytest.raises(DataError, match=r"readable PNG or JPEG image at '.*_10\.JPEG'"):
        items(root)[0].read()


def test_no_archive_is_refused_with_its_address(tmp_path):
    for root in (tmp_path, tmp_path / "nowhere"):
        for attempt in (items, fingerprint):
            with pytest.raises(DataError, match=rf"'tiny-imagenet-200\.zip'.*got neither; fetch it from {ADDRESS}"):
                attempt(root)


def test_two_zips_of_other_names_are_refused(tmp_path):
    zipped(tmp_path / "a.zip", {})
    zipped(tmp_path / "b.zip", {})
    with pytest.raises(DataError, match=r"a single zip with its layout under '.*', got 2 other zips"):
        items(tmp_path)


def test_the_fingerprint_changes_with_the_archive(tmp_path):
    before = fingerprint(zipped(tmp_path / "x.zip", {"a.JPEG": b"1"}))
    assert fingerprint(tmp_path) == before
    assert fingerprint(zipped(tmp_path / "x.zip", {"a.JPEG": b"2"})) != before
