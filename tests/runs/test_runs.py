import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save

from innerloop.algorithms import AlgorithmConfig
from innerloop.data import DataConfig, load
from innerloop.data.augment import Augmentation, check_fits
from innerloop.data.split import split_by_class
from innerloop.errors import ConfigError, DiskError, RunError
from innerloop.inner import InnerLoop
from innerloop.models import ModelConfig
from innerloop.runs import Best, Recipe, RunDirectory, history, open_run, provenance, read_checkpoint, write_checkpoint
from innerloop.runs.files import write_whole
from innerloop.runs.recipe import InnerConfig, build, fingerprint, from_values, from_yaml, to_yaml
from innerloop.training import State, TrainingConfig

STATE = State(
    7,
    {"encoder.weight": torch.randn(2, 3, generator=torch.Generator().manual_seed(0)), "head.bias": torch.zeros(2)},
    {"head.bias/exp_avg": torch.ones(2), "head.bias/step": torch.tensor(7.0)},
    {"head.bias": torch.ones(2)},
    0.5,
    0.75,
)


def test_a_recipe_survives_yaml():
    recipe = Recipe(
        model=ModelConfig("strided_conv4", head_scale=0.0), algorithm=AlgorithmConfig("anil", order="first"), seed=3
    )
    assert from_yaml(to_yaml(recipe), "x") == recipe


def test_what_a_recipe_leaves_out_takes_its_default_and_whole_numbers_pass_for_rates():
    assert from_values({}) == Recipe()
    assert from_values({"inner": {"lr": 1}}).inner.lr == 1.0


@pytest.mark.parametrize(
    "text", ["inner: [3", "inner: {lrr: 3}", "inner: {lr: fast}", "algorithm: {head: zer}", "just words", "- 1"]
)
def test_a_malformed_recipe_is_one_error_that_names_the_file(text):
    with pytest.raises(ConfigError, match=r"in 'here.yaml', got"):
        from_yaml(text, "here.yaml")


def test_a_checkpoint_gives_back_the_state_bit_for_bit(tmp_path):
    place = tmp_path / "last.safetensors"
    write_checkpoint(place, STATE, Best(0.6, 5))
    state, best = read_checkpoint(place)
    for group in ("params", "optimizer", "first_head"):
        left, right = getattr(state, group), getattr(STATE, group)
        assert left.keys() == right.keys()
        assert all(torch.equal(left[name], right[name]) for name in left)
    assert (state.step, state.loss, state.accuracy, best) == (7, 0.5, 0.75, Best(0.6, 5))


def test_a_checkpoint_from_before_steps_were_skipped_reads_as_one_that_skipped_none(tmp_path):
    place = tmp_path / "last.safetensors"
    write_checkpoint(place, replace(STATE, skipped="task 1", in_a_row=2, rate=0.25, gradient_norm=3.0), Best())
    with safe_open(place, framework="pt") as file:
        about = json.loads(file.metadata()["innerloop"])
        tensors = {name: file.get_tensor(name) for name in about["order"]}
    for name in ("skipped", "in_a_row", "rate", "gradient_norm", "digest"):
        about.pop(name)
    about["format"] = 1
    place.write_bytes(save(tensors, {"innerloop": json.dumps(about)}))
    state, _ = read_checkpoint(place)
    assert (state.step, state.skipped, state.in_a_row, state.rate) == (7, "", 0, 1.0)
    assert math.isnan(state.gradient_norm)


def fits(inputs, **augmentation):
    splits = {"train": split_by_class("x", "train", inputs, ["a"] * len(inputs))}
    check_fits(Augmentation(**augmentation), splits["train"])


def test_augmentation_that_does_not_fit_the_data_is_refused():
    images = np.zeros((4, 3, 8, 8), np.uint8)
    fits(images, crop=7, flip=True, jitter=0.4)
    fits(images / np.float32(255), jitter=0.4)
    fits(images[:, 0, 0])
    for inputs, augmentation, words in (
        (images[:, 0, 0], {"flip": True}, r"got examples of shape \(8,\) in 'x'"),
        (images.transpose(0, 2, 3, 1), {"flip": True}, "looks like channels last"),
        (images, {"crop": 8}, "below the images' 8 pixels, got 8"),
        (images.astype(np.float32) + 200, {"jitter": 0.1}, r"got float32 from 200 to 200 in 'x'"),
        (images.astype(np.float32) - 1, {"jitter": 0.1}, r"got float32 from -1 to -1"),
    ):
        with pytest.raises(ConfigError, match=words):
            fits(inputs, **augmentation)
    with pytest.raises(ConfigError, match=r"got examples of shape \(1,\) in 'sinusoid'"):
        check_fits(Augmentation(crop=1), load(DataConfig("sinusoid")).split("train"))


def test_augmentation_is_checked_before_a_run_is_built():
    with pytest.raises(ConfigError, match="below the images' 28 pixels"):
        build(Recipe(augmentation=Augmentation(crop=28)))


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(tmp_path, monkeypatch, call):
    place = tmp_path / "last.safetensors"
    write_checkpoint(place, STATE, Best())
    before = place.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(f"innerloop.runs.files.os.{call}", full)
    with pytest.raises(DiskError, match="No space left on device"):
        write_checkpoint(place, State(8, {"a": torch.zeros(1)}), Best())
    assert place.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["last.safetensors"]


@pytest.mark.parametrize("damage", ["missing", "empty", "half", "other format"])
def test_a_damaged_checkpoint_is_one_error(tmp_path, damage):
    place = tmp_path / "last.safetensors"
    if damage != "missing":
        write_checkpoint(place, STATE, Best())
        whole = place.read_bytes()
        other = save({"a": torch.zeros(1)}, {"innerloop": '{"format": 99}'})
        place.write_bytes({"empty": b"", "half": whole[: len(whole) // 2], "other format": other}[damage])
    with pytest.raises(RunError, match=r"expected a (whole )?checkpoint"):
        read_checkpoint(place)


def test_a_history_line_torn_by_an_interruption_is_left_out_and_damage_before_it_is_not(tmp_path):
    place = tmp_path / "history.jsonl"
    for step in range(3):
        history.append(place, {"step": step})
    with place.open("a") as file:
        file.write('{"step": 3, "lo')
    assert [record["step"] for record in history.read(place)] == [0, 1, 2]
    history.keep_until(place, 1)
    assert place.read_text() == '{"step": 0}\n{"step": 1}\n'
    place.write_text('{"st\n{"step": 1}\n')
    with pytest.raises(RunError, match="line 1"):
        history.read(place)


def test_a_line_too_long_to_be_one_is_damage_and_not_torn(tmp_path):
    place = tmp_path / "history.jsonl"
    place.write_text('{"step": 0}\n{"step": 1, "loss": ' + "1" * history.LONGEST + "}\n")
    with pytest.raises(RunError, match="line 2"):
        history.read(place)


@pytest.mark.parametrize("steps", [[0, 2, 1], [0, 1, 1]])
def test_records_out_of_order_are_damage(tmp_path, steps):
    place = tmp_path / "history.jsonl"
    for step in steps:
        history.append(place, {"step": step})
    with pytest.raises(RunError, match=f"line 3 of .* outer step 1 after step {steps[1]}"):
        history.read(place)


def test_a_folder_with_anything_in_it_is_not_begun_in(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match="continue that run with --resume"):
        RunDirectory(tmp_path).made()
    assert [each.name for each in tmp_path.iterdir()] == ["notes.txt"]


def test_a_begun_run_says_what_made_it(tmp_path):
    directory = RunDirectory(tmp_path / "run")
    with directory.made():
        directory.begin(Recipe(seed=4), provenance("innerloop train --seed 4"))
    run = open_run(tmp_path / "run")
    assert run.recipe == Recipe(seed=4)
    assert run.about["command"] == "innerloop train --seed 4"
    assert run.about["torch"] == torch.__version__
    assert json.loads((tmp_path / "run" / "run.json").read_text()) == run.about


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(RunError, match="name a folder that `train` made"):
        open_run(tmp_path)


def test_files_are_written_whole(tmp_path):
    write_whole(tmp_path / "a", "ü")
    assert (tmp_path / "a").read_text(encoding="utf-8") == "ü"
    with pytest.raises(DiskError, match="expected to write"):
        write_whole(tmp_path / "missing" / "a", "x")


def test_a_run_may_be_continued_for_longer_unless_its_outer_rate_falls_towards_the_end():
    longer = {
        schedule: [fingerprint(Recipe(training=TrainingConfig(steps, outer_schedule=schedule))) for steps in (4, 9)]
        for schedule in ("constant", "cosine")
    }
    assert len(set(longer["constant"])) == 1
    assert len(set(longer["cosine"])) == 2


def test_a_settled_recipe_writes_down_the_rate_and_steps_of_its_algorithm():
    recipe = Recipe(algorithm=AlgorithmConfig("imaml"))
    assert (recipe.inner.lr, recipe.settled().inner.lr, recipe.settled().inner.steps) == (None, 0.1, 16)
    asked = Recipe(algorithm=AlgorithmConfig("imaml"), inner=InnerConfig(lr=-0.2, lr_of={"head.*": [0.3, 0.1]}))
    assert asked.inner_loop == InnerLoop(lr=-0.2, steps=16, lr_of={"head.*": (0.3, 0.1)})
    assert from_yaml(to_yaml(asked.settled()), "here") == asked.settled()


@pytest.mark.parametrize("odd", ['"skipped": 5', '"outer_lr": []', '"loss": "low"', '"seconds": {}'])
def test_a_record_with_values_that_are_none_is_damage(tmp_path, odd):
    place = tmp_path / "history.jsonl"
    place.write_text(f'{{"step": 0, {odd}}}\n{{"step": 1}}\n')
    with pytest.raises(RunError, match=r"in line 1 of .* that is none"):
        history.read(place)
