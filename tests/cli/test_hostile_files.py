"""Recipes and grids from anyone: nothing in them runs, is waited for, or leaves the sweep's folder."""

import os

import pytest

DEEP = "a: " + "[" * 50_000 + "]" * 50_000
LAUGHS = "data: &a0 [1, 1]\n" + "".join(f"b{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))


@pytest.fixture
def evil(tmp_path, monkeypatch):
    """A module that leaves a mark when it is imported."""
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'it ran')!r}, 'w')\nclass Thing: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path / "it ran"


@pytest.mark.parametrize(
    "text",
    [
        "data: {class_path: evil.Thing}",
        "model: evil.Thing",
        "inner: {class_path: evil.Thing, init_args: {}}",
        "class_path: evil.Thing",
        "data: {root: {class_path: evil.Thing}}",
        "engine: [evil.Thing]",
        "seed: !!python/object/apply:evil.Thing []",
        "seed: !!python/name:evil.Thing",
    ],
)
def test_a_recipe_imports_nothing(shell, evil, text):
    (shell.folder / "r.yaml").write_text(text)
    shell.refused("train", "--config=r.yaml", "--training.steps=1")
    assert not evil.exists()


@pytest.mark.parametrize("text", [DEEP, LAUGHS, "seed: " + "9" * 5000, "seed: 0x" + "f" * 9000, "inner: {betas: 3}"])
def test_a_recipe_or_a_grid_that_is_made_to_hurt_is_one_line(shell, text):
    (shell.folder / "r.yaml").write_text(text)
    assert len(shell.refused("train", "--config=r.yaml", "--training.steps=1")) < 1500
    shell.refused("sweep", "r.yaml", "--out=swept")


@pytest.mark.parametrize("kind", ["pipe", "folder", "huge"])
def test_what_is_no_file_is_refused_and_never_waited_for(shell, kind):
    place = shell.folder / "r.yaml"
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "folder":
        place.mkdir()
    else:
        with place.open("wb") as file:
            file.truncate(10**9)
    assert "expected a recipe in 'r.yaml'" in shell.refused("train", "--config=r.yaml", "--training.steps=1")
    assert "expected a grid in 'r.yaml'" in shell.refused("sweep", "r.yaml", "--out=swept")


def test_a_grid_keeps_to_the_sweeps_folder_whatever_its_recipe_is_called(shell):
    (shell.folder / "...yaml").write_text(
        "data: {name: gaussians}\nmodel: {name: mlp}\ntraining: {steps: 1, tasks: 1}\n"
    )
    (shell.folder / "g.yaml").write_text("recipe: ...yaml\nset: {record.validation: 0}\nevaluate: false\n")
    shell("sweep", "g.yaml", "--out=deep/swept")
    assert [each.name for each in (shell.folder / "deep").iterdir()] == ["swept"]


def test_a_number_may_be_written_with_an_exponent_and_a_path_in_any_letters(shell):
    (shell.folder / "r.yaml").write_text(
        'data: {name: gaussians}\nmodel: {name: mlp}\nseed: 3\ninner: {lr: 1e-2, lr_of: {"head.*": 1.0e-1}}\n'
        "training: {steps: 1, tasks: 1}\nrecord: {validation: 0}\n",
        encoding="utf-8",
    )
    shell("train", "--config=r.yaml", "--out=run é")
    kept = (shell.folder / "run é" / "recipe.yaml").read_text()
    assert "lr: 0.01" in kept
    assert "head.*: 0.1" in kept
