import json
import os
import re

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save

from innerloop.errors import DamagedError, RunError, RunWarning
from innerloop.runs import Best, RunDirectory, read_checkpoint, saves, write_checkpoint
from innerloop.training import State
from kept import newest


def state(step):
    return State(step, {"a": torch.full((3,), float(step))}, {"a/exp_avg": torch.zeros(3)})


@pytest.fixture
def directory(tmp_path):
    made = RunDirectory(tmp_path)
    for step in (0, 5, 10):
        saves.write(made, state(step), Best(0.5, 0), keep=2)
    return made


def test_the_newest_stay_and_are_found(directory):
    assert saves.steps(directory) == (5, 10)
    assert saves.newest(directory)[0].step == 10


@pytest.mark.parametrize("keep", [1, 3])
def test_as_many_stay_as_were_asked_for(directory, keep):
    for step in (15, 20, 25):
        saves.write(directory, state(step), Best(), keep)
    assert saves.steps(directory) == (15, 20, 25)[-keep:]


def test_a_state_from_before_leaves_those_that_lie_ahead(directory):
    saves.write(directory, state(7), Best(), 1)
    assert saves.steps(directory) == (7, 10)


@pytest.mark.parametrize("way", ["cut", "empty", "a turned bit", "another's"])
def test_of_a_damaged_one_the_name_is_said_and_the_one_before_is_used(directory, way):
    place = newest(directory.folder)
    content = bytearray(place.read_bytes())
    if way == "a turned bit":
        content[-1] ^= 1
    other = save({"params:a": torch.zeros(3)}, {"innerloop": "{}"})
    place.write_bytes({"cut": content[:-1], "empty": b"", "a turned bit": content, "another's": other}[way])
    with pytest.warns(RunWarning, match=r"step-000010.*a damaged one.*Going on from step 5, 'step-000005"):
        assert saves.newest(directory)[0].step == 5


def test_of_one_that_cannot_be_continued_the_one_before_is_used(directory):
    with pytest.warns(RunWarning, match="no history. Going on from step 5"):
        found = saves.newest(directory, lacks=lambda state: "no history" if state.step > 5 else "")
    assert found[0].step == 5


def test_where_none_is_whole_the_newest_is_named(directory):
    for place in directory.checkpoints.iterdir():
        place.write_bytes(b"")
    with pytest.raises(RunError, match=r"step-000010.safetensors', got a damaged one"):
        saves.newest(directory)


def test_one_of_a_later_format_is_refused_and_not_passed_over(directory):
    newest(directory.folder).write_bytes(save({"a": torch.zeros(1)}, {"innerloop": '{"format": 99}'}))
    with pytest.raises(RunError, match="got 99; open it with the version"):
        saves.newest(directory)


def test_every_bit_of_a_checkpoint_is_watched_over(tmp_path):
    place = tmp_path / "one.safetensors"
    write_checkpoint(place, state(3), Best(0.25, 2))
    whole = place.read_bytes()
    for at in range(len(whole)):
        place.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        try:
            found, best = read_checkpoint(place)
        except RunError:
            continue
        # What survives says the same: white space, or a name that nobody asks for.
        assert (found.step, best) == (3, Best(0.25, 2))
        assert torch.equal(found.params["a"], state(3).params["a"])
        assert list(found.optimizer) == ["a/exp_avg"]


def test_values_that_no_state_has_are_damage(tmp_path):
    place = tmp_path / "one.safetensors"
    for about in ('{"format": 1}', "[]", "5", "[" * 90_000, '{"format": 1, "step": -1}', '{"format": [1]}'):
        place.write_bytes(save({"params:a": torch.zeros(1)}, {"innerloop": about}))
        with pytest.raises((DamagedError, RunError), match=re.escape(str(place))):
            read_checkpoint(place)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("step", odd) for odd in (-1, 2.0, True, "2", None)),
        *(("rate", odd) for odd in ("x", None, [1], 1e300, -1.0, True)),
        *(("in_a_row", odd) for odd in ("x", -5, 1.5, True)),
        *(("skipped", odd) for odd in (None, 3)),
        *(("gradient_norm", odd) for odd in ("x", [1.0], None)),
        *(("best_score", odd) for odd in ("0.5", float("nan"), True, None)),
        *(("best_step", odd) for odd in (-2, 0.5, "3", None)),
    ],
)
def test_values_of_which_one_is_none_of_a_state_are_damage(tmp_path, name, value):
    place = tmp_path / "one.safetensors"
    write_checkpoint(place, state(2), Best())
    with safe_open(place, framework="pt") as file:
        about = json.loads(file.metadata()["innerloop"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is no mapping
    # Of the first format, which has no digest.
    place.write_bytes(save(tensors, {"innerloop": json.dumps({**about, "format": 1, name: value})}))
    with pytest.raises(DamagedError, match=re.escape(str(place))):
        read_checkpoint(place)
    place.write_bytes(save(tensors, {"innerloop": json.dumps({**about, "format": 1})}))
    read_checkpoint(place)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    place = tmp_path / "one.safetensors"
    os.mkfifo(place)
    with pytest.raises(DamagedError, match="something else than a file"):
        read_checkpoint(place)


def test_names_that_are_no_states_are_passed_over(directory):
    for name in (
        "step-abc.safetensors",
        "step-5.safetensors",
        "step-0000099.safetensors",
        ".step-000099.safetensors-17",
        "step-000099.safetensors~",
    ):
        (directory.checkpoints / name).write_bytes(b"")
    assert saves.steps(directory) == (5, 10)


def test_another_runs_are_passed_over_and_those_that_do_not_say_are_taken(directory):
    saves.write(directory, state(15), Best(), 3, of="this run")
    assert saves.newest(directory, of="this run")[0].step == 15
    with pytest.warns(RunWarning, match=r"got a damaged one .another run's.*Going on from step 10"):
        assert saves.newest(directory, of="that run")[0].step == 10


def test_one_under_another_steps_name_is_passed_over(directory):
    newest(directory.folder).write_bytes((directory.checkpoints / "step-000005.safetensors").read_bytes())
    with pytest.warns(RunWarning, match=r"step-000010.safetensors' as it is named, got step 5"):
        assert saves.newest(directory)[0].step == 5


def test_a_link_to_nothing_is_passed_over(directory):
    newest(directory.folder).unlink()
    (directory.checkpoints / "step-000010.safetensors").symlink_to("nowhere")
    with pytest.warns(RunWarning, match=r"step-000010.safetensors', got none.*Going on from step 5"):
        assert saves.newest(directory)[0].step == 5


def test_one_that_another_process_took_away_meanwhile_is_looked_for_anew(directory, monkeypatch):
    def reading(place, of):
        if place.name == "step-000010.safetensors" and place.exists():
            saves.write(directory, state(15), Best(), keep=1)
        return read_checkpoint(place, of)

    monkeypatch.setattr(saves, "read_checkpoint", reading)
    assert saves.newest(directory)[0].step == 15


def test_what_lies_ahead_of_a_step_is_dropped(directory):
    saves.keep_until(directory, 5)
    assert saves.steps(directory) == (5,)
