import os
import pickle
import shutil

import numpy as np
import pytest
from PIL import Image

from innerloop.data import mini_imagenet
from innerloop.data.mini_imagenet import CHOSEN, FILE_OF, fingerprint, items, sides
from innerloop.errors import DataError

PER_CLASS = 2


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(mini_imagenet, "IMAGES_PER_CLASS", PER_CLASS)


@pytest.fixture
def tables(tmp_path):
    (tmp_path / "images").mkdir()
    for number, (side, names) in enumerate(CHOSEN.items()):
        rows = [(f"{name}{index:08d}.jpg", name) for name in names for index in range(PER_CLASS)]
        for file, _ in rows:
            colour = (50 * number, 100, 200)
            Image.new("RGB", (10, 12), colour).save(tmp_path / "images" / file, quality=95)
        lines = ["filename,label", *(",".join(row) for row in rows)]
        (tmp_path / f"{FILE_OF[side]}.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def held(side, seed=0):
    names = CHOSEN[side]
    order = np.random.RandomState(seed).permutation(len(names) * PER_CLASS)
    pixels = np.random.RandomState(seed).randint(0, 256, (len(order), 84, 84, 3)).astype(np.uint8)
    rows = {name: order[PER_CLASS * index :][:PER_CLASS].tolist() for index, name in enumerate(names)}
    return {"image_data": pixels, "class_dict": rows}


def write(root, side, value, protocol=4):
    (root / f"mini-imagenet-cache-{FILE_OF[side]}.pkl").write_bytes(pickle.dumps(value, protocol))


@pytest.fixture
def pickles(tmp_path):
    for side in CHOSEN:
        write(tmp_path, side, held(side))
    return tmp_path


def test_the_split_has_64_16_and_20_classes_without_overlap():
    assert [len(names) for names in CHOSEN.values()] == [64, 16, 20]
    names = [name for each in CHOSEN.values() for name in each]
    assert len(set(names)) == 100
    assert {side: len(each) for side, each in sides(names[::-1]).items()} == {"train": 64, "validation": 16, "test": 20}
    with pytest.raises(DataError, match=r"expected the 100 classes of Ravi.*got 'n01532829' amiss"):
        sides(names[1:])


def test_tables_and_jpegs_give_every_image_at_84_by_84(tables):
    found = items(tables)
    assert len(found) == 100 * PER_CLASS == len({item.name for item in found})
    assert [item.class_name for item in found[:3]] == [CHOSEN["train"][0]] * 2 + [CHOSEN["train"][1]]
    for index, red in ((0, 0), (2 * 64, 50), (2 * 80, 100)):
        pixels = found[index].read()
        assert (pixels.shape, pixels.dtype) == ((3, 84, 84), np.uint8)
        assert np.abs(pixels.mean((1, 2)) - (red, 100, 200)).max() < 5


def test_height_and_width_keep_their_places(tables):
    stripes = np.zeros((20, 40, 3), np.uint8)
    stripes[:10] = 255
    Image.fromarray(stripes).save(tables / items(tables)[0].name, quality=95)
    pixels = items(tables)[0].read()
    assert pixels[:, :40].min() > 200
    assert pixels[:, 44:].max() < 50


@pytest.mark.parametrize("python", [2, 3])
def test_pickles_give_every_image_under_its_class(tmp_path, python):
    for side in CHOSEN:
        value = held(side)
        if python == 2:  # its strings are bytes
            value = {key.encode(): each for key, each in value.items()}
            value[b"class_dict"] = {name.encode(): rows for name, rows in value[b"class_dict"].items()}
        write(tmp_path, side, value)
    found = items(tmp_path)
    assert len(found) == 100 * PER_CLASS == len({item.name for item in found})
    assert [item.class_name for item in found[::PER_CLASS]] == [name for names in CHOSEN.values() for name in names]
    value = held("validation")
    name = CHOSEN["validation"][3]
    mine = [item.read() for item in found if item.class_name == name]
    assert mine[0].shape == mini_imagenet.SHAPE
    assert np.array_equal(np.stack(mine).transpose(0, 2, 3, 1), value["image_data"][value["class_dict"][name]])


def test_missing_files_are_named(tmp_path, tables):
    empty = tmp_path / "empty"
    empty.mkdir()
    for read in (items, fingerprint):
        with pytest.raises(
            DataError, match=r"expected train.csv.*or mini-imagenet-cache-train.pkl.*got no 'train.csv'"
        ):
            read(empty)
    write(empty, "train", held("train"))
    with pytest.raises(
        DataError, match=r"got no 'mini-imagenet-cache-val.pkl'; make them .*github.com/twitter-research"
    ):
        items(empty)
    shutil.rmtree(tables / "images")
    with pytest.raises(DataError, match=r"got no 'images'"):
        items(tables)


def test_a_table_without_its_columns_classes_counts_or_images_is_refused(tables):
    table = tables / "val.csv"
    whole = table.read_text()
    first = CHOSEN["validation"][0]
    for text, message in (
        (whole.replace("filename", "file"), r"expected the columns filename and label in '.*val.csv'"),
        ("", r"expected the columns filename and label in '.*val.csv'"),
        (whole.replace(first, CHOSEN["test"][0]), r"expected the 16 classes of Ravi and Larochelle's split"),
        ("\n".join(whole.split("\n")[:-2]), r"expected 2 images of each class in '.*val.csv', got 1 of 'n09256479'"),
        (whole.replace(f"{first}00000001", f"{first}00000000"), rf"got 1 of '{first}'"),
        (whole.replace(f"{first}00000001.jpg", "../../secret.jpg"), r"1 less, '../../secret.jpg' first"),
    ):
        table.write_text(text)
        with pytest.raises(DataError, match=message):
            items(tables)


def test_a_damaged_jpeg_is_refused_when_it_is_read(tables):
    first = items(tables)[0]
    whole = (tables / first.name).read_bytes()
    for content in (whole[: len(whole) // 2], b"not a picture", b""):
        (tables / first.name).write_bytes(content)
        with pytest.raises(DataError, match=rf"expected a readable JPEG at '.*{first.name}', got: .*; get"):
            first.read()


def test_pickles_of_another_layout_are_refused(pickles):
    def changed(**changes):
        return held("test") | changes

    whole = held("test")
    rows = whole["class_dict"]
    first, second = CHOSEN["test"][:2]
    for value, message in (
        ([1], r"expected uint8 images of \(84, 84, 3\) as 'image_data' in '.*test.pkl', got NoneType"),
        (changed(image_data=whole["image_data"].astype(np.float32)), r"got float32 \(40, 84, 84, 3\)"),
        (changed(image_data=whole["image_data"][:, :80]), r"got uint8 \(40, 80, 84, 3\)"),
        (changed(class_dict=[1]), r"expected a dict of rows by class"),
        (changed(class_dict=rows | {first: [0, 40]}), r"expected lists of rows below 40"),
        (changed(class_dict=rows | {first: [0, -1]}), r"expected lists of rows below 40"),
        (changed(class_dict=rows | {first: rows[second]}), r"expected each image in one class"),
        (changed(class_dict=rows | {first: rows[first][:1]}), rf"expected 2 images of each class.*got 1 of '{first}'"),
        (changed(class_dict=rows | {"n0": [1, 2]}), r"expected the 20 classes of Ravi.*got 'n0' amiss"),
    ):
        write(pickles, "test", value)
        with pytest.raises(DataError, match=message):
            items(pickles)


def test_a_hostile_pickle_is_refused_before_it_acts(pickles, tmp_path):
    class Hostile:
        def __reduce__(self):
            return os.system, (f"touch '{tmp_path / 'it ran'}'",)

    write(pickles, "test", held("test") | {"class_dict": Hostile()})
    with pytest.raises(DataError, match=r"mini-imagenet-cache-test.pkl', got one that asks for '\w+.system'"):
        items(pickles)
    assert not (tmp_path / "it ran").exists()


def test_the_fingerprint_follows_the_content(tables):
    seen = {fingerprint(tables)}
    assert fingerprint(tables) in seen
    place = tables / items(tables)[0].name
    place.write_bytes(place.read_bytes() + b"x")
    seen.add(fingerprint(tables))
    (tables / "train.csv").write_text((tables / "train.csv").read_text() + "\n")
    seen.add(fingerprint(tables))
    for side in CHOSEN:
        write(tables, side, held(side))
    seen.add(fingerprint(tables))
    write(tables, "validation", held("validation", seed=1))
    seen.add(fingerprint(tables))
    assert len(seen) == 5


def test_a_photograph_of_the_same_size_is_another(tables):
    before = fingerprint(tables)
    place = tables / items(tables)[0].name
    time = place.stat().st_mtime_ns
    place.write_bytes(bytes(reversed(place.read_bytes())))
    os.utime(place, ns=(time + 1, time + 1))
    assert fingerprint(tables) != before


def test_a_photograph_that_is_none_is_named_without_an_address_in_memory(tables):
    item = items(tables)[0]
    (tables / item.name).write_bytes(b"words")
    with pytest.raises(DataError, match=f"{item.name}', got: cannot identify image file; get") as caught:
        item.read()
    assert "0x" not in str(caught.value)
