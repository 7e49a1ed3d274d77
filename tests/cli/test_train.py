import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from innerloop.runs import open_run
from kept import newest

COMMAND = Path(sys.executable).with_name("innerloop")


def files(run):
    return {each.name for each in run.iterdir()}


def history(run, *leave_out):
    records = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    return [{key: value for key, value in record.items() if key not in leave_out} for record in records]


def bytes_of(run, name=None):
    return (run / name if name else newest(run)).read_bytes()


def test_a_training_run_leaves_recipe_history_and_checkpoints(installed, small):
    said = installed("train", *small, "--training.steps=4", "--out=run", "--seed=3")
    run = installed.folder / "run"
    checkpoints = {"checkpoints", "best.safetensors", "snapshots"}
    assert files(run) == {"recipe.yaml", "run.json", "history.jsonl", *checkpoints}
    assert "innerloop evaluate run" in said
    assert [record["step"] for record in history(run)] == [0, 1, 2, 3, 4]
    assert {"loss", "accuracy", "validation", "contrast", "cosine", "seconds"} <= history(run)[4].keys()
    assert "validation" not in history(run)[3]
    recipe = yaml.safe_load((run / "recipe.yaml").read_text())
    assert (recipe["seed"], recipe["model"]["filters"], recipe["inner"]["lr"]) == (3, 8, 0.4)
    assert open_run(run).about["command"].startswith("innerloop train --model.name=strided_conv4")


def test_the_same_command_gives_the_same_run_bit_for_bit(shell, small):
    for name in ("a", "b"):
        shell("train", *small, "--training.steps=3", f"--out={name}")
    left, right = shell.folder / "a", shell.folder / "b"
    assert bytes_of(left) == bytes_of(right)
    assert history(left, "seconds") == history(right, "seconds")


@pytest.mark.parametrize("policy", ["learned", "zeroing", "first"])
def test_a_killed_run_resumed_is_the_uninterrupted_run(shell, small, policy):
    settings = (*small, "--training.steps=12", f"--algorithm.head={policy}", "--record.checkpoint=3")
    shell("train", *settings, "--out=whole")
    whole, killed = shell.folder / "whole", shell.folder / "killed"
    process = subprocess.Popen(
        [str(COMMAND), "train", *settings, "--out=killed"],
        cwd=shell.folder,
        stdout=subprocess.DEVNULL,
    )
    while process.poll() is None and len(history_lines(killed)) < 6:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    shell("train", "--resume=killed")
    assert bytes_of(killed) == bytes_of(whole)
    assert bytes_of(killed, "best.safetensors") == bytes_of(whole, "best.safetensors")
    assert history(killed, "seconds") == history(whole, "seconds")


def history_lines(run):
    place = run / "history.jsonl"
    return place.read_text().splitlines() if place.exists() else []


def test_ctrl_c_saves_the_run_and_says_how_to_go_on(shell, small):
    process = subprocess.Popen(
        [str(COMMAND), "train", *small, "--training.steps=100000", "--out=run", "--record.checkpoint=0"],
        cwd=shell.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    while len(history_lines(shell.folder / "run")) < 5:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate()
    assert process.returncode == 130
    assert "Traceback" not in said
    assert "go on with: innerloop train --resume run" in said
    run = open_run(shell.folder / "run")
    assert run.state("last").step == run.history[-1]["step"] >= 4


def test_a_loss_that_is_not_finite_keeps_the_last_good_checkpoint(shell, small):
    said = shell.refused("train", *small, "--training.steps=3", "--out=run", "--inner.lr=1e30", "--record.validation=0")
    assert "at outer step 1 in task 0" in said
    assert open_run(shell.folder / "run").state("last").step == 0


def test_a_recipe_in_yaml_with_options_that_win(shell, small):
    (shell.folder / "mine.yaml").write_text("training:\n  steps: 9\nalgorithm:\n  head: zeroing\ninner:\n  lr: 1e-1\n")
    shell("train", "--config=mine.yaml", *small, "--training.steps=1")
    recipe = open_run(shell.folder / "runs" / "mine").recipe
    assert (recipe.training.steps, recipe.algorithm.head, recipe.inner.lr) == (1, "zeroing", 0.1)
    shell("train", "--config=mine.yaml", *small, "--training.steps=0")
    assert (shell.folder / "runs" / "mine-2").is_dir()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--inner.lrr=3"], "unknown setting 'inner.lrr'. Did you mean 'inner.lr'?"),
        (["--inner.lr=fast"], "expected inner.lr to be a number, got 'fast'"),
        (["--algorithm.name=mamal"], "Did you mean 'maml'?"),
        (
            ["--algorithm.order=secnd"],
            "one of second, first, implicit, reptile, joint, entropy, got 'secnd'. Did you mean 'second'?",
        ),
        (
            ["--algorithm.name=maml", "--algorithm.second_from=600"],
            "expected algorithm.second_from below training.steps=600, got 600",
        ),
        (["--data.name=omniglott"], "Did you mean 'omniglot'?"),
        (["--data.name=omniglot", "--data.root=nowhere"], "got neither; set --data.root"),
        (["--data.name=digits"], "no split 'train'"),
        (["--episode.k_shot=6"], "expected at least 21 images"),
        (["--episode.n_way=200"], "expected at least 200 classes in 'typeface' validation for 200-way"),
        (["--training.steps=-1"], "training.steps of at least 0"),
        (["--config=nowhere.yaml"], "no such file"),
        (["--resume=nowhere"], "expected a run folder"),
        (["--resume=nowhere", "--seed=3"], "expected --resume alone"),
        (["--model.normalization=layer"], "one of batch, support"),
    ],
)
def test_bad_input_is_one_line_and_makes_nothing(shell, arguments, words):
    assert words in shell.refused("train", *arguments)
    assert not list(shell.folder.iterdir())


@pytest.mark.parametrize("text", ["inner: [3", "inner:\n  lrr: 3\n", "just words"])
def test_a_malformed_recipe_is_one_line(shell, text):
    (shell.folder / "bad.yaml").write_text(text)
    shell.refused("train", "--config=bad.yaml")


def test_a_run_folder_that_exists_is_left_as_it_is(shell):
    (shell.folder / "run").mkdir()
    (shell.folder / "run" / "notes.txt").write_text("mine")
    assert "choose another with --out" in shell.refused("train", "--out=run")
    assert files(shell.folder / "run") == {"notes.txt"}


def finished(shell, small, *settings):
    shell("train", *small, "--training.steps=4", "--record.checkpoint=2", "--out=run", *settings)
    return shell.folder / "run"


def test_a_run_goes_on_for_more_steps_but_not_by_another_recipe(shell, small):
    run = finished(shell, small)
    recipe = (run / "recipe.yaml").read_text()
    (run / "recipe.yaml").write_text(recipe.replace("filters: 8", "filters: 9"))
    assert "as the run began with it" in shell.refused("train", "--resume=run")
    (run / "recipe.yaml").write_text(recipe.replace("  steps: 4\n", "  steps: 6\n"))
    shell("train", "--resume", "run")
    assert history(run)[-1]["step"] == 6
    shell("train", *small, "--training.steps=6", "--record.checkpoint=2", "--out=whole")
    assert bytes_of(run) == bytes_of(shell.folder / "whole")


def test_what_is_missing_from_a_run_is_said_and_nothing_is_wiped(shell, small):
    run = finished(shell, small)
    kept = (run / "history.jsonl").read_bytes()
    (run / "history.jsonl").write_bytes(b"")
    assert "got less; restore it" in shell.refused("train", "--resume=run")
    (run / "history.jsonl").write_bytes(kept)
    shutil.rmtree(run / "checkpoints")
    assert "got none; restore it" in shell.refused("train", "--resume=run")
    assert (run / "history.jsonl").read_bytes() == kept
    (run / "checkpoints").mkdir()
    best = open_run(run).state("best").step
    (run / "checkpoints" / f"step-{best:06d}.safetensors").write_bytes((run / "best.safetensors").read_bytes())
    shell("train", "--resume=run")
    assert [record["step"] for record in history(run)] == [0, 1, 2, 3, 4]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "content"),
    [("history.jsonl", b"5\n{}\n"), ("history.jsonl", b"\xff\xfe\n"), ("recipe.yaml", b"\xff"), ("run.json", b"[]")],
)
def test_damaged_files_are_one_line(shell, small, file, content):
    run = finished(shell, small)
    (run / file).write_bytes(content)
    assert file in shell.refused("train", "--resume=run")
    assert file in shell.refused("report", "run")


def test_other_settings_beside_resume_are_refused_even_at_their_defaults(shell, small):
    finished(shell, small)
    assert "expected --resume alone" in shell.refused("train", "--resume=run", "--training.steps=600")


@pytest.mark.parametrize("setting", ["--evaluation.inner_lr=1e999", "--model.head_scale=1e999"])
def test_rates_that_are_no_numbers_are_refused_before_anything_is_made(shell, setting):
    assert "finite" in shell.refused("train", setting, "--out=run")
    assert not (shell.folder / "run").exists()


def test_a_folder_of_any_name_is_shown_as_it_is(shell, small):
    said = shell("train", *small, "--training.steps=0", "--out=odd [/red] [v2] ü")
    assert "Run:  odd [/red] [v2] ü\n" in said
    assert "innerloop evaluate 'odd [/red] [v2] ü'" in said
    assert "odd [/red] [v2] ü" in shell("report", "odd [/red] [v2] ü")


def test_ctrl_c_while_the_command_starts_is_quiet():
    for wait in (0.05, 0.4, 0.9):
        process = subprocess.Popen(
            [str(COMMAND), "data", "list"], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        time.sleep(wait)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
        assert process.returncode in (0, 130, -signal.SIGINT)
        if wait > 0.05:
            assert "Traceback" not in said, said


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["--engine.name=wmap"], "Did you mean 'vmap'"),
        (["--engine.name=closed_form"], "one of which the encoder adapts"),
        (["--engine.precision=tf32"], "expected a GPU for engine.precision=tf32"),
        (["--engine.device=cuda:99"], "expected a GPU for engine.device=cuda:99"),
        (["--engine.name=loop", "--engine.chunk=4"], "engine.name=vmap beside engine.chunk"),
    ],
)
def test_an_engine_that_cannot_be_had_is_refused_before_the_folder_is_made(shell, small, settings, said):
    assert said in shell.refused("train", *small, *settings, "--out=none")
    assert not (shell.folder / "none").exists()


def test_the_engine_that_did_the_work_is_said_and_kept(shell, small):
    said = shell("train", *small, "--training.steps=1", "--engine.name=vmap", "--out=mapped")
    assert said.endswith("Done by engine vmap.\n")
    assert open_run(shell.folder / "mapped").history[1]["engine"] == "vmap"
