from dataclasses import replace

import pytest

from innerloop.errors import ConfigError
from innerloop.runs import Recipe
from innerloop.runs.grid import Grid, cells, from_text, read, settings_of

TWO_AXES = """
set: {training.steps: 30}
axes:
  head:
    random: {}
    zeroing: {algorithm.head: zeroing}
  steps:
    M1: {inner.steps: 1}
    M5: {inner.steps: 5, training.steps: 50}
seeds: [3, 1]
explain: [contrast]
"""


def crossed(text, base=None):
    return cells(from_text(text, "here.yaml"), base or Recipe())


def test_axes_are_crossed_into_the_recipe_of_every_cell_the_last_running_fastest():
    four = crossed(TWO_AXES, Recipe(seed=9))
    assert [cell.name for cell in four] == ["random-M1", "random-M5", "zeroing-M1", "zeroing-M5"]
    assert [cell.label for cell in four][3] == "zeroing M5"
    recipes = [cell.recipe for cell in four]
    assert [each.algorithm.head for each in recipes[1:3]] == [None, "zeroing"]
    assert [each.inner.steps for each in recipes] == [1, 5, 1, 5]
    assert four[3].values == {"head": "zeroing", "steps": "M5"}
    assert four[0].seeded(3) == replace(recipes[0], seed=3)


def test_an_axis_wins_over_set_and_set_over_the_recipe():
    base = from_text("set: {training.steps: 7}", "x")
    assert [cell.recipe.training.steps for cell in cells(base, Recipe())] == [7]
    assert [cell.recipe.training.steps for cell in crossed(TWO_AXES)] == [30, 50, 30, 50]
    assert crossed(TWO_AXES)[1].settings == {"training.steps": 50, "inner.steps": 5}


def test_a_grid_without_axes_is_one_cell_named_as_asked():
    assert [cell.name for cell in cells(Grid(seeds=(0, 1)), Recipe(), "single-task")] == ["single-task"]


def test_names_are_read_as_they_are_written_and_nothing_is_changed_by_nothing():
    grid = from_text("axes: {lr: {no: , 0.10: {inner.lr: 1e-1}, -1e-2: {inner.lr: -1e-2}}}", "x")
    assert list(grid.axes["lr"]) == ["no", "0.10", "-1e-2"]
    assert [cell.recipe.inner_loop.lr for cell in cells(grid, Recipe())] == [0.4, 0.1, -0.01]
    assert cells(grid, Recipe())[2].label == "-1e-2"


def test_ranges_and_settings_left_to_default_survive_the_crossing():
    base = crossed("set: {episode.k_shot: [1, 5], evaluation.inner_lr: 1e-3}")[0].recipe
    assert base.episode.k_shot == (1, 5)
    assert crossed("axes: {a: {x: {inner.steps: 2}}}", base)[0].recipe == replace(
        base, inner=replace(base.inner, steps=2)
    )
    assert settings_of(base)["evaluation.inner_lr"] == 0.001


def test_a_recipe_is_found_from_where_the_grid_lies(tmp_path):
    (tmp_path / "sweeps").mkdir()
    (tmp_path / "base.yaml").write_text("inner: {steps: 4}\n")
    place = tmp_path / "sweeps" / "grid.yaml"
    place.write_text("recipe: ../base.yaml\n")
    assert read(place)[1].inner.steps == 4
    place.write_text("recipe: base.yaml\n")
    with pytest.raises(ConfigError, match=r"relative to it.*no such file"):
        read(place)
    with pytest.raises(ConfigError, match=r"expected a grid in .*no such file"):
        read(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "got nothing"),
        ("just words", "got str"),
        ("axes: [1", "expected a grid in 'here.yaml'"),
        ("axess: {}", "Did you mean 'axes'"),
        ("axes: {a: {}}", "axis 'a' to have values"),
        ("axes: [1]", "got another form"),
        ("axes: {a: {x: 3}}", "wrong value type"),
        ("axes: {a: {x: {}, x: {inner.lr: 1}}}", "'x' stands there twice"),
        ("axes: {a: {? [1] : {}}}", "expected a name before the colon"),
        ("axes: {a: {x/y: {}}}", "got 'x/y' in axis 'a'"),
        ("axes: {a: {..: {}}}", "rename it"),
        ("axes: {a: {sweep.json: {}}}", "another name than 'sweep.json'"),
        ("axes: {a: {x: {inner.lrr: 1}}}", "unknown setting 'inner.lrr' in cell 'x'. Did you mean 'inner.lr'"),
        ("axes: {a: {x: {inner: {lr: 1}}}}", "unknown setting 'inner' in cell 'x'"),
        ("axes: {a: {x: {inner.lr: fast}}}", "in cell 'x', got: could not convert"),
        ("axes: {a: {x: {inner.steps: -1}}}", "cell 'x': expected inner steps"),
        ("axes: {a: {x: {algorithm.head: zer}}}", "algorithm.head"),
        ("axes: {a: {x: {}, y: {inner.lr: 0.4}}}", "the same settings in 'x' and 'y'"),
        ("axes: {a: {x: {inner.lr: 1}, X: {inner.lr: 2}}}", "cells of different names, got 'x' and 'X'"),
        ("axes: {a: {x_y: {inner.lr: 1}, x: {}}, b: {z: {}, y_z: {inner.steps: 3}}}", "cells of different names"),
        ("axes: {a: {x: {inner.lr: 1}}, b: {y: {inner.lr: 2}}}", "got 'inner.lr' in 'a' and 'b'"),
        ("set: {seed: 3}", "in the grid's list `seeds`"),
        ("axes: {a: {x: {seed: 3}}}", "in the grid's list `seeds`"),
        ("seeds: []", "got none"),
        ("seeds: 3", "list of whole numbers, got 3"),
        ("seeds: [true]", "list of whole numbers"),
        ("seeds: [0, 0]", "got 0 twice"),
        ("explain: contrast", "list of names, got 'contrast'"),
        ("evaluate: maybe", "evaluate"),
    ],
)
def test_a_malformed_grid_is_one_error_that_says_where(text, words):
    with pytest.raises(ConfigError) as error:
        crossed(text)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_every_grid_that_ships_reads_and_all_its_cells_are_recipes(request):
    grids = sorted((request.config.rootpath / "recipes" / "sweeps").glob("*.yaml"))
    sizes = {}
    for place in grids:
        grid, base = read(place)
        sizes[place.stem] = len(cells(grid, base)) * len(grid.seeds)
        assert place.stem.startswith(base.data.name.replace("_", "-"))
    assert sizes == {
        "omniglot-bf16": 6,
        "omniglot-contrastive": 33,
        "omniglot-gradient-penalty": 96,
        "omniglot-geometry": 21,
        "omniglot-heads": 12,
        "omniglot-min-min": 48,
        "omniglot-inner-lr": 36,
        "omniglot-inner-steps": 45,
        "omniglot-interference-sources": 12,
        "tiny-imagenet-single-task": 30,
    }


def test_the_sources_of_interference_are_removed_one_at_a_time_and_together(request):
    place = request.config.rootpath / "recipes" / "sweeps" / "omniglot-interference-sources.yaml"
    policies = {
        cell.name: (cell.recipe.model.head_scale, cell.recipe.algorithm.axes.head) for cell in cells(*read(place))
    }
    assert policies == {
        "random": (1.0, "learned"),
        "first": (1.0, "first"),
        "zero": (1.0, "zero"),
        "zeroing": (1.0, "zeroing"),
    }
