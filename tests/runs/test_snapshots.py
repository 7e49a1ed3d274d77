import shutil
from dataclasses import replace

import pytest
import torch

from innerloop import driver
from innerloop.data import DataConfig
from innerloop.data.episode import EpisodeShape
from innerloop.errors import RunError
from innerloop.models import ModelConfig
from innerloop.runs import InnerConfig, Recipe, RecordConfig, open_run, snapshots
from innerloop.training import TrainingConfig, train
from kept import newest


def recipe_of(steps=12, every=None) -> Recipe:
    return Recipe(
        data=DataConfig("gaussians"),
        episode=EpisodeShape(3, 2, 4),
        model=ModelConfig("mlp"),
        inner=InnerConfig(lr=0.1),
        training=TrainingConfig(steps=steps, tasks=2),
        record=RecordConfig(validation=0, snapshots=every),
    )


def trained(recipe, folder):
    for _ in driver.begin(recipe, str(folder), "test"):
        pass
    return open_run(folder)


@pytest.mark.parametrize(
    ("every", "due"),
    [(None, [0, 1, 2, 5, 10, 20, 50, 100, 120]), (50, [0, 50, 100, 120]), (0, [])],
)
def test_snapshots_are_due_at_the_same_few_steps_of_every_run(every, due):
    assert [step for step in range(121) if snapshots.is_due(every, step, 120)] == due


def test_a_snapshot_is_what_training_had_then(tmp_path):
    recipe = recipe_of()
    run = trained(recipe, tmp_path / "run")
    assert run.snapshots() == (0, 1, 2, 5, 10, 12)
    workshop = driver.build(recipe)
    for state in train(
        workshop.algorithm,
        workshop.start,
        lambda step: driver.training_batch(recipe, workshop.data, step),
        recipe.training,
        recipe.seed,
    ):
        if state.step in run.snapshots():
            found = run.snapshot(state.step)
            assert list(found) == list(state.params)
            assert all(torch.equal(found[name], value) for name, value in state.params.items())


def test_a_continued_run_drops_what_lies_ahead_of_it_and_keeps_it_again(tmp_path):
    run = trained(recipe_of(6), tmp_path / "run")
    snapshots.write(run.directory.snapshots, replace(run.state("last"), step=8))
    whole = trained(recipe_of(9), tmp_path / "whole")
    run.directory.recipe.write_text(whole.directory.recipe.read_text())
    for _ in driver.resume(str(run.directory.folder), "test"):
        pass
    assert run.snapshots() == (0, 1, 2, 5, 6, 9)
    assert all(torch.equal(run.snapshot(9)[name], value) for name, value in whole.snapshot(9).items())


def test_a_damaged_snapshot_and_another_steps_are_refused_and_can_be_deleted(tmp_path):
    run = trained(recipe_of(2), tmp_path / "run")
    place = run.directory.snapshots / "step-000001.safetensors"
    whole = place.read_bytes()
    place.write_bytes(whole[:100])
    with pytest.raises(RunError, match=r"after outer step 1 .*got a damaged file; delete it"):
        run.snapshot(1)
    place.write_bytes(newest(run.directory.folder).read_bytes())
    with pytest.raises(RunError, match=r"after outer step 1 .*got those after step 2; delete"):
        run.snapshot(1)
    place.unlink()
    assert run.snapshots() == (0, 2)


def test_a_step_that_was_not_kept_is_refused_in_one_line(tmp_path):
    run = trained(recipe_of(1, every=0), tmp_path / "run")
    assert run.snapshots() == ()
    assert not run.directory.snapshots.exists()
    with pytest.raises(RunError, match=r"step-000001.*got none"):
        run.snapshot(1)


def test_another_runs_snapshot_is_not_read(tmp_path):
    run, other = trained(recipe_of(), tmp_path / "run"), trained(replace(recipe_of(), seed=5), tmp_path / "other")
    run.snapshot(2)
    shutil.copy(other.directory.snapshots / "step-000002.safetensors", run.directory.snapshots)
    with pytest.raises(RunError, match="parameters after outer step 2"):
        run.snapshot(2)
