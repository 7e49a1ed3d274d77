"""Data that vanish or change while a run learns from them: one line and a saved run, or it does not matter."""

import os
import shutil
import subprocess
import sys
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from faults.harness import differences
from faults.test_disks import pictures
from innerloop import driver
from innerloop.data import DataConfig, arrays
from innerloop.data.episode import EpisodeShape
from innerloop.data.rows import rows_of
from innerloop.errors import DataError, RunError
from innerloop.models import ModelConfig
from innerloop.runs import Recipe, RecordConfig, RunDirectory, saves
from innerloop.training import TrainingConfig

STEPS = 8


def examples(root, seed=0, per_class=8):
    root.mkdir(exist_ok=True)
    rng = np.random.default_rng(seed)
    np.save(root / "inputs.npy", rng.normal(size=(12 * per_class, 6)).astype(np.float32))
    np.save(root / "labels.npy", np.repeat(np.arange(12), per_class))
    return root


def recipe_of(root, name="arrays"):
    return Recipe(
        data=DataConfig(name, root=str(root), **({"size": 28, "channels": 1} if name == "folder" else {})),
        episode=EpisodeShape(2, 1, 2),
        model=ModelConfig("mlp") if name == "arrays" else ModelConfig("strided_conv4", filters=2),
        training=TrainingConfig(steps=STEPS, tasks=2),
        record=RecordConfig(validation=3, validation_episodes=2, checkpoint=2, heads=True),
    )


def trained(recipe, run, after_three=lambda: None):
    """Train, and do something to the data after three steps."""
    with closing(driver.begin(recipe, str(run), "test")) as progress:
        for each in progress:
            if each.step == 3:
                after_three()


def resumed(run):
    with closing(driver.resume(str(run), "test")) as progress:
        for _ in progress:
            pass


def cut_short(root):
    with (root / "inputs.npy").open("r+b") as file:
        file.truncate(200)


DAMAGE = {
    "cut short": cut_short,
    "emptied": lambda root: (root / "inputs.npy").write_bytes(b""),
    "saved over": lambda root: examples(root, seed=1),
}


@pytest.mark.parametrize("how", DAMAGE)
def test_large_arrays_that_are_changed_end_a_run_in_one_line_and_it_goes_on_once_they_are_back(
    tmp_path, monkeypatch, how
):
    monkeypatch.setattr(arrays, "IN_MEMORY", 0)
    root = examples(tmp_path / "data")
    recipe = recipe_of(root)
    trained(recipe, tmp_path / "whole")
    with pytest.raises(DataError, match=r"inputs.npy' as it was when it was opened, got it changed meanwhile"):
        trained(recipe, tmp_path / "run", lambda: DAMAGE[how](root))
    assert saves.newest(RunDirectory(tmp_path / "run"))[0].step >= 3
    with pytest.raises((DataError, RunError), match=r"begun with, got others|expected a whole array"):
        resumed(tmp_path / "run")
    examples(root)
    resumed(tmp_path / "run")
    assert differences(tmp_path / "whole", tmp_path / "run") == []


@pytest.mark.parametrize("how", [*DAMAGE, "deleted"])
def test_small_arrays_are_in_memory_whatever_becomes_of_their_files(tmp_path, how):
    root = examples(tmp_path / "data")
    trained(recipe_of(root), tmp_path / "whole")
    trained(recipe_of(root), tmp_path / "run", lambda: {**DAMAGE, "deleted": shutil.rmtree}[how](root))
    assert differences(tmp_path / "whole", tmp_path / "run") == []


def test_large_arrays_that_are_deleted_or_replaced_are_there_for_who_has_them_open(tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "IN_MEMORY", 0)
    root = examples(tmp_path / "data")
    trained(recipe_of(root), tmp_path / "whole")

    def replaced():
        examples(tmp_path / "other", seed=1)
        (tmp_path / "other" / "inputs.npy").replace(root / "inputs.npy")

    trained(recipe_of(root), tmp_path / "replaced", replaced)
    assert differences(tmp_path / "whole", tmp_path / "replaced") == []
    examples(root)
    trained(recipe_of(root), tmp_path / "deleted", lambda: shutil.rmtree(root))
    assert differences(tmp_path / "whole", tmp_path / "deleted") == []


def test_images_and_cache_that_are_deleted_do_not_matter_until_they_are_needed_again(tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    monkeypatch.setenv("INNERLOOP_CACHE", str(cache))
    root = pictures(tmp_path / "pictures")
    recipe = recipe_of(root, "folder")
    trained(recipe, tmp_path / "whole")

    def vanish():
        shutil.move(root, tmp_path / "away")
        shutil.rmtree(cache)

    with closing(driver.begin(recipe, str(tmp_path / "run"), "test")) as progress:
        for each in progress:
            if each.step == 3:
                vanish()
            if each.step == 5:
                break
    with pytest.raises(DataError, match=r"expected the files of 'folder' at .* got nothing there"):
        resumed(tmp_path / "run")
    shutil.copytree(tmp_path / "away", root, copy_function=shutil.copy)
    resumed(tmp_path / "run")
    assert differences(tmp_path / "whole", tmp_path / "run") == []
    with pytest.raises(DataError, match="got nothing there"):
        trained(replace(recipe, data=replace(recipe.data, root=str(tmp_path / "nowhere"))), tmp_path / "new")


def test_a_cache_that_is_cleared_while_it_is_filled_is_one_line(tmp_path, monkeypatch, shell):
    cache = tmp_path / "cache"
    monkeypatch.setenv("INNERLOOP_CACHE", str(cache))
    root = pictures(tmp_path / "pictures", classes=2)
    picture = root / "test" / "class-2" / "0.png"
    (tmp_path / "kept.png").write_bytes(picture.read_bytes())
    picture.unlink()
    # Reading waits at a pipe until the cache is gone.
    script = f"import shutil; place = open({str(picture)!r}, 'wb'); shutil.rmtree({str(cache)!r}); place.write(b'')"
    os.mkfifo(picture)
    cleared = subprocess.Popen([sys.executable, "-c", script])
    said = shell.refused("data", "prepare", "folder", "--data.root", root)
    cleared.kill()
    cleared.wait()
    assert said
    assert not cache.exists() or not list(cache.iterdir())


def test_rows_are_those_of_the_array(tmp_path):
    for order in "CF":
        values = np.arange(60, dtype=np.int16).reshape((10, 3, 2), order=order)
        np.save(tmp_path / "a.npy", values)
        rows = rows_of(tmp_path / "a.npy")
        for key in (0, -1, slice(2, 7), slice(None, None, -2), slice(4, 4), np.array([3, 3, -2]), np.array([], int)):
            assert np.array_equal(rows[key], values[key])
            assert rows[key].dtype == values.dtype
        assert np.array_equal(rows[2:4, 1], values[2:4, 1])
        assert np.array_equal(np.stack(list(rows)), values)
        for key in (10, -11, np.array([0, 10])):
            with pytest.raises(IndexError):
                rows[key]


READS_BEHIND_THE_END = """
import os, sys
from pathlib import Path
import numpy as np
from innerloop.data.rows import rows_of
from innerloop.errors import DataError
place = Path(sys.argv[1])
np.save(place, np.zeros((100000, 16)))
rows = rows_of(place)
os.truncate(place, 4096)
for key in (99999, slice(50000, 60000), np.array([1, 99999]), slice(None, None, 7), (99999, 3)):
    try:
        rows[key]
    except DataError:
        print("refused")
"""


def test_rows_behind_the_end_of_a_file_do_not_end_the_process(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", READS_BEHIND_THE_END, str(tmp_path / "a.npy")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "refused\n" * 5
