"""A run that was stopped anywhere and continued is the run that was not; what cannot be continued is said."""

import json
import os
import shutil
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from faults.harness import differences
from innerloop import driver
from innerloop.algorithms import ALGORITHMS, AlgorithmConfig
from innerloop.data import DataConfig
from innerloop.data.episode import EpisodeShape
from innerloop.engine import Chosen, Made
from innerloop.errors import DataError, InnerloopError, RunError, RunWarning
from innerloop.models import ModelConfig
from innerloop.runs import (
    InnerConfig,
    Recipe,
    RecordConfig,
    RunDirectory,
    history,
    open_run,
    read_checkpoint,
    saves,
    write_checkpoint,
)
from innerloop.runs.recipe import fingerprint, to_yaml
from innerloop.training import TrainingConfig
from kept import newest

STEPS = 7


def recipe_of(name="fomaml", **record):
    is_joint = ALGORITHMS[name].axes.is_joint  # needs classes that are the same in every task
    return Recipe(
        data=DataConfig("typeface" if is_joint else "gaussians"),
        episode=EpisodeShape(3, 2, 4),
        model=ModelConfig("strided_conv4", filters=2) if is_joint else ModelConfig("mlp"),
        algorithm=AlgorithmConfig(name),
        inner=InnerConfig(steps=min(ALGORITHMS[name].steps, 2)),
        training=TrainingConfig(steps=STEPS, tasks=2),
        record=RecordConfig(**{"validation": 2, "validation_episodes": 2, "checkpoint": 2, "heads": True, **record}),
    )


def on_arrays(place, seed=0):
    """Write examples that the seed decides, and return a recipe on them."""
    values = np.random.default_rng(seed).normal(size=(60, 4)).astype(np.float32)
    np.savez(place, inputs=values, labels=np.repeat(np.arange(12), 5))
    return replace(recipe_of(), data=DataConfig("arrays", root=str(place)), episode=EpisodeShape(2, 2, 3))


def done(progress, copies=()):
    """Go on to the end; copies are what a process killed after these outer steps would have left."""
    with closing(progress):
        for each in progress:
            for step, source, target in copies:
                if each.step == step:
                    shutil.copytree(source, target)


def continued(folder):
    done(driver.resume(str(folder), "test"))


@pytest.fixture
def whole(tmp_path):
    done(driver.begin(recipe_of(), str(tmp_path / "whole"), "test"))
    return tmp_path / "whole"


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_run_killed_at_any_step_and_continued_is_the_uninterrupted_one(tmp_path, name):
    whole = tmp_path / "whole"
    copies = [(step, whole, tmp_path / f"killed-{step}") for step in range(STEPS)]
    done(driver.begin(recipe_of(name), str(whole), "test"), copies)
    for _, _, killed in copies:
        assert (killed / "lock").exists()
        continued(killed)
        assert differences(whole, killed) == []


def test_a_run_killed_again_and_again_is_the_uninterrupted_one(tmp_path, whole):
    last = tmp_path / "0"
    done(driver.begin(recipe_of(), str(tmp_path / "begun"), "test"), [(1, tmp_path / "begun", last)])
    for step in range(2, STEPS):
        following = tmp_path / f"{step}"
        done(driver.resume(str(last), "test"), [(step, last, following)])
        last = following
    continued(last)
    assert differences(whole, last) == []
    assert [each["step"] for each in open_run(last).about["resumed"]] == [0, 2, 2, 4, 4, 6]


def test_a_run_that_is_stopped_in_order_saves_where_it_stood(tmp_path, whole):
    with closing(driver.begin(recipe_of(checkpoint=0), str(tmp_path / "run"), "test")) as progress:
        for each in progress:
            if each.step == 3:
                break
    assert saves.newest(RunDirectory(tmp_path / "run"))[0].step == 3
    continued(tmp_path / "run")
    found, expected = (read_checkpoint(newest(run))[0] for run in (tmp_path / "run", whole))
    for group in ("params", "optimizer"):
        left, right = getattr(found, group), getattr(expected, group)
        assert list(left) == list(right)
        assert all(torch.equal(left[name], right[name]) for name in left)


def killed_at(tmp_path, step, **record):
    begun, killed = tmp_path / "begun", tmp_path / "killed"
    done(driver.begin(recipe_of(**record), str(begun), "test"), [(step, begun, killed)])
    return killed


def test_with_the_newest_checkpoint_damaged_the_run_is_still_the_same(tmp_path, whole):
    killed = killed_at(tmp_path, 5)
    newest(killed).write_bytes(b"half")
    with pytest.warns(RunWarning, match=r"step-000004.safetensors', got a damaged one .*Going on from step 2"):
        continued(killed)
    assert differences(whole, killed) == []


@pytest.mark.parametrize("lost", ["history.jsonl", "heads.bin"])
def test_what_a_lost_power_took_from_the_end_of_a_file_is_written_again(tmp_path, whole, lost):
    killed = killed_at(tmp_path, 5)
    place = killed / lost
    content = place.read_bytes()
    rows = content.splitlines(keepends=True)
    place.write_bytes(b"".join(rows[:4]) if lost == "history.jsonl" else content[: len(content) // 2])
    with pytest.warns(RunWarning, match=rf"expected '.*{lost}' up to step 4, got less.*Going on from step 2"):
        continued(killed)
    assert differences(whole, killed) == []


def test_a_checkpoint_of_another_network_is_not_gone_on_from(tmp_path, whole):
    killed = killed_at(tmp_path, 5)
    other = replace(recipe_of(keep=9), model=ModelConfig("mlp", hidden=5))
    done(driver.begin(other, str(tmp_path / "other"), "test"))
    write_checkpoint(newest(killed), *read_checkpoint(tmp_path / "other" / "checkpoints" / "step-000004.safetensors"))
    with pytest.warns(RunWarning, match="the parameters of this run's network at step 4, got others"):
        continued(killed)
    assert differences(whole, killed) == []


def test_a_best_checkpoint_that_is_lost_is_said_and_the_run_goes_on(tmp_path):
    killed = killed_at(tmp_path, 5)
    (killed / "best.safetensors").unlink()
    with pytest.warns(RunWarning, match="what is better from here on takes its place"):
        continued(killed)
    assert saves.newest(RunDirectory(killed))[0].step == STEPS


def test_drafts_and_torn_lines_are_cleared_away(tmp_path, whole):
    killed = killed_at(tmp_path, 5)
    written = [place for place in killed.rglob("*") if place.is_file() and place.name != "lock"]
    for place in written:
        place.with_name(f".{place.name}-12").write_bytes(b"half")
    with (killed / "history.jsonl").open("ab") as file:
        file.write(b'{"step": 6, "lo')
    continued(killed)
    assert differences(whole, killed) == []


def test_what_others_are_writing_meanwhile_is_left_to_them(tmp_path):
    killed = killed_at(tmp_path, 5)
    draft = killed / ".evaluation-typeface.json-4711"
    draft.write_bytes(b"half")
    continued(killed)
    assert draft.exists()


def test_a_run_is_written_by_one_process(tmp_path):
    with closing(driver.begin(recipe_of(), str(tmp_path / "run"), "test")) as progress:
        next(progress)
        with pytest.raises(RunError, match="for this process alone"):
            driver.resume(str(tmp_path / "run"), "test")
        with pytest.raises(RunError, match="expected a new or empty run folder"):
            driver.begin(recipe_of(), str(tmp_path / "run"), "test")
    continued(tmp_path / "run")


def test_what_a_beginning_left_that_was_cut_short_is_begun_in_again(tmp_path):
    place = tmp_path / "run"
    place.mkdir()
    for name in ("run.json", "lock", ".recipe.yaml-12"):
        (place / name).write_text("half")
    done(driver.begin(recipe_of(), str(place), "test"))
    assert not (place / ".recipe.yaml-12").exists()
    assert open_run(place).history[-1]["step"] == STEPS


def test_other_data_than_the_run_began_with_are_refused(tmp_path):
    recipe = on_arrays(tmp_path / "data.npz")
    with closing(driver.begin(recipe, str(tmp_path / "run"), "test")) as progress:
        next(progress)
    kept = (tmp_path / "run" / "history.jsonl").read_bytes()
    on_arrays(tmp_path / "data.npz", seed=1)
    with pytest.raises(RunError, match="expected the examples of 'arrays' that the run was begun with, got others"):
        continued(tmp_path / "run")
    assert (tmp_path / "run" / "history.jsonl").read_bytes() == kept
    on_arrays(tmp_path / "data.npz")
    continued(tmp_path / "run")


def test_a_state_is_saved_when_its_time_has_come(tmp_path):
    for minutes, steps in ((1e-9, tuple(range(STEPS + 1))), (0.0, (0, STEPS)), (60.0, (0, STEPS))):
        place = tmp_path / f"{minutes}"
        done(driver.begin(recipe_of(checkpoint=0, checkpoint_minutes=minutes, keep=99), str(place), "test"))
        assert saves.steps(RunDirectory(place)) == steps


def test_as_many_checkpoints_stay_as_are_asked_for_beside_a_resume(tmp_path):
    killed = killed_at(tmp_path, 3)
    done(driver.resume(str(killed), "test", keep=3))
    assert saves.steps(RunDirectory(killed)) == (4, 6, 7)
    assert "keep: 2\n" in (killed / "recipe.yaml").read_text()


def test_the_engine_of_before_is_used_again_and_what_differs_is_said(tmp_path):
    killed = killed_at(tmp_path, 3)
    about = json.loads((killed / "run.json").read_text())
    about["engine"].update(mapping="workers", workers=3)
    about["torch"] = "2.0.0"
    (killed / "run.json").write_text(json.dumps(about))
    with pytest.warns(RunWarning, match=r"begun with torch 2\.0\.0"):
        progress = driver.resume(str(killed), "test")
    assert {each.engine for each in progress} == {"workers"}
    assert open_run(killed).about["resumed"][0]["torch"] != "2.0.0"
    continued(killed)  # and is not said again


def test_a_chunk_that_turned_out_too_large_is_kept_as_it_is_by_now(tmp_path, monkeypatch):
    with closing(driver.begin(recipe_of(), str(tmp_path / "run"), "test")) as progress:
        next(progress)
        monkeypatch.setattr(Chosen, "made", property(lambda _: Made("vmap", chunk=1)))
        for _ in progress:
            pass
    kept = json.loads((tmp_path / "run" / "run.json").read_text())["engine"]
    assert (kept["mapping"], kept["chunk"]) == ("vmap", 1)


def test_another_engine_may_be_asked_for_on_the_way(tmp_path):
    killed = killed_at(tmp_path, 3)
    recipe = open_run(killed).recipe
    (killed / "recipe.yaml").write_text(to_yaml(replace(recipe, engine=replace(recipe.engine, name="workers"))))
    for each in driver.resume(str(killed), "test"):
        assert each.engine == "workers"


def test_a_finished_run_is_left_as_it_is(tmp_path, whole):
    shutil.copytree(whole, tmp_path / "again")
    continued(tmp_path / "again")
    assert differences(whole, tmp_path / "again") == []
    assert len(history.read(whole / "history.jsonl")) == STEPS + 1


def test_what_a_checkpoint_needs_is_on_the_disk_before_it(tmp_path, monkeypatch):
    flushed, flush = [], os.fsync

    def watched(file):
        flushed.append(Path(os.readlink(f"/proc/self/fd/{file}")).name)
        flush(file)

    monkeypatch.setattr(os, "fsync", watched)
    done(driver.begin(recipe_of(checkpoint=0, snapshots=0, validation=0), str(tmp_path / "run"), "test"))
    written = [each.removesuffix(f"-{os.getpid()}") for each in flushed]
    assert written[-4:] == ["history.jsonl", "heads.bin", f".step-{STEPS:06d}.safetensors", "checkpoints"]


def test_a_run_says_what_made_it_and_what_continued_it(tmp_path):
    killed = killed_at(tmp_path, 3)
    done(driver.resume(str(killed), "innerloop train --resume killed"))
    about = open_run(killed).about
    assert about["command"] == "test"
    assert {"innerloop", "commit", "torch", "numpy", "python", "platform", "processor", "started", "device"} <= set(
        about
    )
    assert about["resumed"][0]["command"] == "innerloop train --resume killed"


@pytest.mark.parametrize("name", ["checkpoints", "snapshots", "lock"])
def test_a_part_of_a_run_that_lies_elsewhere_is_not_written(tmp_path, name):
    killed = killed_at(tmp_path, 5)
    (killed / name).rename(tmp_path / "elsewhere")
    (killed / name).symlink_to(tmp_path / "elsewhere")
    place = tmp_path / "elsewhere"
    before = place.read_bytes() if place.is_file() else sorted(each.name for each in place.iterdir())
    with pytest.raises(InnerloopError, match=rf"{name}'.*got"):
        continued(killed)
    assert before == (place.read_bytes() if place.is_file() else sorted(each.name for each in place.iterdir()))


def test_a_file_that_is_a_copys_as_well_is_not_changed_for_it(tmp_path, whole):
    killed, copy = killed_at(tmp_path, 5), tmp_path / "copy"
    shutil.copytree(killed, copy, copy_function=os.link)
    before = {place: place.read_bytes() for place in copy.rglob("*") if place.is_file()}
    (copy / "lock").unlink()
    before.pop(copy / "lock")
    continued(killed)
    assert differences(whole, killed) == []
    assert before == {place: place.read_bytes() for place in copy.rglob("*") if place.is_file()}


def test_data_may_have_moved_and_where_to_say_so_is_said(tmp_path):
    recipe = on_arrays(tmp_path / "data.npz")
    with closing(driver.begin(recipe, str(tmp_path / "run"), "test")) as progress:
        next(progress)
    (tmp_path / "data.npz").rename(tmp_path / "moved.npz")
    with pytest.raises(DataError, match=r"`root` under `data` in '.*recipe.yaml'"):
        continued(tmp_path / "run")
    place = tmp_path / "run" / "recipe.yaml"
    place.write_text(place.read_text().replace("data.npz", "moved.npz"))
    continued(tmp_path / "run")


def test_a_run_from_when_the_place_of_its_data_was_part_of_it_goes_on_where_it_was(tmp_path):
    recipe = on_arrays(tmp_path / "data.npz")
    with closing(driver.begin(recipe, str(tmp_path / "run"), "test")) as progress:
        next(progress)
    run = open_run(tmp_path / "run")
    run.directory.tell({**run.about, "recipe": fingerprint(run.recipe, with_root=True)})
    for place in (run.directory.best, *run.directory.checkpoints.iterdir()):  # nor did checkpoints say whose they are
        write_checkpoint(place, *read_checkpoint(place))
    continued(tmp_path / "run")


def test_fewer_steps_than_were_done_are_refused(whole):
    place = whole / "recipe.yaml"
    place.write_text(place.read_text().replace(f"\n  steps: {STEPS}\n", "\n  steps: 3\n", 1))
    with pytest.raises(RunError, match=rf"training.steps of at least {STEPS} .* got 3"):
        continued(whole)


@pytest.mark.parametrize("odd", ["5", "null", "{}", "[5]"])
def test_odd_words_of_what_continued_a_run_are_one_line(whole, odd):
    about = json.loads((whole / "run.json").read_text())
    (whole / "run.json").write_text(json.dumps({**about, "resumed": json.loads(odd)}))
    with pytest.raises(RunError, match="expected what continued the run"):
        continued(whole)


def test_without_what_made_it_a_run_is_not_continued(whole):
    (whole / "run.json").unlink()
    with pytest.raises(RunError, match=r"expected '.*run.json' with what the run was begun with, got none"):
        continued(whole)


@pytest.mark.parametrize("name", ["history.jsonl", "heads.bin"])
def test_a_pipe_in_a_files_place_is_one_line(whole, name):
    (whole / name).unlink()
    os.mkfifo(whole / name)
    with pytest.raises(RunError, match=f"{name}'"):
        continued(whole)


def test_the_best_of_another_run_is_not_taken_for_its_own(tmp_path, whole):
    done(driver.begin(replace(recipe_of(), seed=1), str(tmp_path / "other"), "test"))
    shutil.copy(tmp_path / "other" / "best.safetensors", whole / "best.safetensors")
    with pytest.raises(RunError, match=r"another run's.*--checkpoint=last"):
        open_run(whole).state("best")


def test_checkpoints_of_a_run_on_other_data_are_another_runs(tmp_path):
    folders = {}
    for seed in (0, 1):
        folders[seed] = tmp_path / f"run-{seed}"
        done(driver.begin(on_arrays(tmp_path / f"{seed}.npz", seed), str(folders[seed]), "test"))
    theirs, own = newest(folders[1]), newest(folders[0])
    shutil.copy(theirs, own)
    with pytest.warns(RunWarning, match=r"another run's.*Going on from step"):
        continued(folders[0])
    assert newest(folders[0]).read_bytes() != theirs.read_bytes()


@pytest.mark.parametrize(
    "odd",
    [
        lambda state, best: (replace(state, optimizer={}), best),
        lambda state, best: (replace(state, optimizer=without(state.optimizer, "exp_avg")), best),
        lambda state, best: (replace(state, optimizer=without(state.optimizer, "step")), best),
        lambda state, best: (replace(state, optimizer={k: v.double() for k, v in state.optimizer.items()}), best),
        lambda state, best: (replace(state, optimizer={k: v[None] for k, v in state.optimizer.items()}), best),
        lambda state, best: (replace(state, optimizer={k: -abs(v) for k, v in state.optimizer.items()}), best),
        lambda state, best: (replace(state, optimizer={**state.optimizer, "a": torch.zeros(())}), best),
    ],
)
def test_a_whole_checkpoint_that_no_run_wrote_is_not_gone_on_from(tmp_path, whole, odd):
    killed = killed_at(tmp_path, 5)
    write_checkpoint(newest(killed), *odd(*read_checkpoint(newest(killed))))
    with pytest.warns(RunWarning, match="Going on from step 2"):
        continued(killed)
    assert differences(whole, killed) == []


def without(optimizer, what):
    return {name: value for name, value in optimizer.items() if not name.endswith(f"/{what}")}


def test_a_best_of_another_type_is_not_tested(whole):
    place = whole / "best.safetensors"
    state, best = read_checkpoint(place)
    write_checkpoint(place, replace(state, params={name: value.double() for name, value in state.params.items()}), best)
    run = open_run(whole)
    with pytest.raises(RunError, match="got some of another type"):
        run.learned(driver.build(run.recipe).data.split("test"))


def test_a_recipe_changed_since_is_said_whenever_the_run_is_opened(whole):
    open_run(whole)
    place = whole / "recipe.yaml"
    place.write_text(place.read_text().replace("seed: 0", "seed: 1"))
    with pytest.warns(RunWarning, match=r"recipe.yaml' was changed since"):
        open_run(whole)
    with pytest.raises(RunError, match="as the run began with it"):  # and warns of nothing beside
        continued(whole)


@pytest.mark.parametrize("settings", [{"seed": 2**64}, {"record": RecordConfig(checkpoint=10**20)}])
def test_settings_that_could_not_be_read_back_are_refused_before_the_folder_is_made(tmp_path, settings):
    with pytest.raises(InnerloopError, match=r"whole number of|at most 64 bits"):
        driver.begin(replace(recipe_of(), **settings), str(tmp_path / "run"), "test")
    assert not (tmp_path / "run").exists()


def test_with_its_history_lost_a_runs_best_is_still_its_best(whole):
    best = open_run(whole).state("best").step
    (whole / "history.jsonl").unlink()
    assert open_run(whole).chosen("best") == "best"
    assert open_run(whole).state("best").step == best
