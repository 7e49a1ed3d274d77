import os
import resource
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from innerloop.data.storage import Item, LeftOut, prepared
from innerloop.errors import DataError, DiskError

SHAPE = (1, 2, 2)


def image(value):
    return np.full(SHAPE, value, np.uint8)


def items(*classes):
    """One item for each (class, grey value)."""
    return [Item(name, f"{name}/{n}", partial(image, value)) for n, (name, value) in enumerate(classes)]


CONTENT = items(("a", 1), ("a", 2), ("ü", 3))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("INNERLOOP_CACHE", str(tmp_path / "cache"))


def entries(tmp_path):
    return list((tmp_path / "cache").iterdir())


def values(found):
    return found.images[:, 0, 0, 0].tolist()


def test_an_entry_is_prepared_once_and_opened_as_it_was(tmp_path):
    asked = []

    def listed():
        asked.append(1)
        return CONTENT

    for _ in range(2):
        found = prepared("x", "key", SHAPE, listed)
        assert values(found) == [1, 2, 3]
        assert (found.class_names, found.labels.tolist()) == (("a", "ü"), [0, 0, 1])
        assert list(found.example_names) == ["a/0", "a/1", "ü/2"]
        assert isinstance(found.images, np.memmap)
    assert asked == [1]
    prepared("x", "other key", SHAPE, listed)
    assert len(entries(tmp_path)) == len(asked) == 2


def test_what_stands_in_two_classes_is_left_out_with_all_its_copies_and_repeats_inside_one_class_stay():
    found = prepared(
        "x", "k", SHAPE, lambda: items(("a", 1), ("a", 7), ("b", 7), ("b", 2), ("b", 2), ("c", 7), ("c", 5))
    )
    assert values(found) == [1, 2, 2, 5]
    assert list(found.example_names) == ["a/0", "b/3", "b/4", "c/6"]
    assert found.left_out == tuple(LeftOut(name, "same content in a and b and c") for name in ("a/1", "b/2", "c/5"))


def broken():
    raise DataError("expected an image, got none")


def test_an_image_that_cannot_be_read_ends_the_preparation_or_is_counted_where_asked(tmp_path):
    content = [*CONTENT, Item("a", "a/broken", broken)]
    with pytest.raises(DataError, match=r"got none; leave such images out with --data.skip_corrupt"):
        prepared("x", "k", SHAPE, lambda: content)
    assert entries(tmp_path) == []
    found = prepared("x", "k", SHAPE, lambda: content, skip_corrupt=True)
    assert values(found) == [1, 2, 3]
    assert found.left_out == (LeftOut("a/broken", "cannot be read"),)


def test_a_process_killed_while_preparing_leaves_nothing_that_passes_for_whole():
    code = (
        "import os, signal, numpy as np\n"
        "from innerloop.data.storage import Item, prepared\n"
        "kill = lambda: os.kill(os.getpid(), signal.SIGKILL)\n"
        "prepared('x', 'key', (1, 2, 2), lambda: [Item('a', 'a/0', lambda: np.zeros((1, 2, 2), np.uint8)),"
        " Item('a', 'a/1', kill)])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ}, check=False)
    assert done.returncode == -signal.SIGKILL
    assert values(prepared("x", "key", SHAPE, lambda: CONTENT)) == [1, 2, 3]


def test_another_process_that_was_faster_is_no_fault(tmp_path):
    def slow():
        prepared("x", "key", SHAPE, lambda: CONTENT)  # somebody else finishes the same entry meanwhile
        return items(("z", 9))

    assert values(prepared("x", "key", SHAPE, slow)) == [1, 2, 3]
    assert len(entries(tmp_path)) == 1


def test_a_full_disk_leaves_nothing_behind_and_says_so(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    many = [Item("a", str(n), lambda: np.zeros((1, 64, 64), np.uint8)) for n in range(40)]
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
        with pytest.raises(DiskError, match="free some space or set INNERLOOP_CACHE"):
            prepared("x", "key", (1, 64, 64), lambda: many)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert entries(tmp_path) == []


def test_preparing_shows_its_progress():
    seen = []

    def watch(label, work):
        seen.append((label, len(work)))
        return work

    prepared("x", "key", SHAPE, lambda: CONTENT, watch=watch)
    assert seen == [("preparing x", 3)]


def test_a_cache_folder_that_cannot_be_made_is_said_so(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("INNERLOOP_CACHE", str(tmp_path / "file"))
    with pytest.raises(DiskError, match="set INNERLOOP_CACHE to another folder"):
        prepared("x", "key", SHAPE, lambda: CONTENT)


def test_images_of_another_shape_are_refused():
    with pytest.raises(DataError, match=r"expected \(1, 3, 3\) bytes at 'a/0', got uint8 \(1, 2, 2\)"):
        prepared("x", "key", (1, 3, 3), lambda: CONTENT)


def test_a_set_without_any_image_is_refused():
    with pytest.raises(DataError, match="at least one image for 'x', got none, 0 left out; check"):
        prepared("x", "key", SHAPE, list)
    with pytest.raises(DataError, match="got none, 2 left out: a/0, same content in a and b; check"):
        prepared("x", "key", SHAPE, lambda: items(("a", 1), ("b", 1)))


def cut(place):
    place.write_bytes(place.read_bytes()[:5])


def shorten(place):
    """Leave what can be read, but says less."""
    if place.suffix == ".npy":
        np.save(place, np.zeros(1, np.int64))
    else:
        place.write_text("[]")


@pytest.mark.parametrize("name", ["names.json", "labels.npy", "index.json", "images.u8"])
@pytest.mark.parametrize("damage", [cut, Path.unlink, shorten])
def test_an_entry_damaged_from_outside_is_made_again(tmp_path, name, damage):
    prepared("x", "key", SHAPE, lambda: CONTENT)
    (entry,) = entries(tmp_path)
    damage(entry / name)
    found = prepared("x", "key", SHAPE, lambda: CONTENT)
    assert (values(found), found.example_names) == ([1, 2, 3], ("a/0", "a/1", "ü/2"))


def test_a_file_in_place_of_an_entry_makes_room_for_it(tmp_path):
    prepared("x", "key", SHAPE, lambda: CONTENT)
    (entry,) = entries(tmp_path)
    shutil.rmtree(entry)
    entry.write_text("")
    assert values(prepared("x", "key", SHAPE, lambda: CONTENT)) == [1, 2, 3]


def test_the_draft_of_a_killed_process_is_removed_and_that_of_a_living_one_is_not(tmp_path):
    code = (
        "import sys, numpy as np\n"
        "from innerloop.data.storage import Item, prepared\n"
        "def wait():\n"
        "    print('drafting', flush=True)\n"
        "    sys.stdin.read()\n"
        "prepared('x', 'key', (1, 2, 2), lambda: [Item('a', 'a/0', wait)])\n"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code], env={**os.environ}, **pipes) as other:
        assert other.stdout.readline() == b"drafting\n"
        (draft,) = entries(tmp_path)
        prepared("x", "key", SHAPE, lambda: CONTENT)
        assert draft.is_dir()
        other.kill()
        other.wait()
    shutil.rmtree(next(place for place in entries(tmp_path) if place != draft))
    prepared("x", "key", SHAPE, lambda: CONTENT)
    assert not draft.exists()
    assert len(entries(tmp_path)) == 1


def test_the_content_is_that_of_the_images_their_names_and_classes_whatever_the_key():
    def content(key, listed):
        return prepared("x", key, SHAPE, lambda: listed).content

    assert content("a", CONTENT) == content("b", CONTENT)
    others = (items(("a", 1), ("a", 2), ("ü", 4)), items(("a", 1), ("b", 2), ("ü", 3)), CONTENT[:2])
    assert len({content("a", CONTENT), *(content(str(number), each) for number, each in enumerate(others))}) == 4
