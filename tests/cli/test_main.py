import subprocess
import sys

import numpy as np
import pytest

from innerloop import __version__


def test_version_help_and_the_module_are_the_same_command(installed, shell):
    assert installed("--version") == f"innerloop {__version__}\n"
    as_module = subprocess.run(
        [sys.executable, "-m", "innerloop", "--help"], capture_output=True, text=True, check=True
    )
    assert as_module.stdout == installed("--help") == installed()
    for verb in ("demo", "train", "evaluate", "explain", "experiment", "report", "sweep", "data", "bench"):
        assert f"  {verb} " in as_module.stdout
        assert f"usage: innerloop {verb}" in shell(verb, "--help")


def test_every_setting_of_a_recipe_is_explained(shell):
    said = " ".join(shell("train", "--help").split())
    for words in ("--inner.lr LR", "of any sign", "--algorithm.head", "the zeroing trick", "--print_config"):
        assert words in said


def test_unknown_commands_are_one_line(shell):
    assert "Did you mean 'train'?" in shell.refused("trian")
    assert "known: list" in shell.refused("data", "lst")


def test_data_list_names_every_data_set_with_its_source(shell):
    said = shell("data", "list")
    for name in ("typeface", "digits", "omniglot", "MIT licence", "mini_imagenet", "--data.skip_corrupt"):
        assert name in said


def test_data_prepare_and_show_say_what_is_in_a_data_set_and_draw_a_sheet(shell):
    said = shell("data", "prepare", "typeface")
    assert "typeface train: 609 classes, 20 examples each, 1x28x28" in said
    said = shell("data", "show", "digits", "--episode=7", "--out=sheet.png", "--k_shot=2")
    assert "episode 7 of seed 0, 5-way 2-shot" in said
    assert (shell.folder / "sheet.png").read_bytes().startswith(b"\x89PNG")
    assert "expected a data set after 'show'" in shell.refused("data", "show")
    assert "Did you mean 'digits'?" in shell.refused("data", "show", "digit")
    assert "has no split 'train'" in shell.refused("data", "show", "digits", "--split=train")


def test_data_list_shows_one_where_one_is_named(shell):
    said = shell("data", "list", "gaussians")
    assert said.startswith("gaussians\n")
    assert "takes" not in said
    assert "omniglot" not in said
    assert "Did you mean 'omniglot'?" in shell.refused("data", "list", "omniglott")


def test_data_show_prints_the_numbers_of_a_task_by_formula(shell):
    said = shell("data", "show", "sinusoid", "--k_shot=2", "--n_queries=3")
    assert "episode 0 of seed 0, 2-shot" in said
    assert said.count("    support ") == 2
    assert said.count("    query ") == 3
    assert " and 10 more -> 0\n" in shell("data", "show", "gaussians", "--n_way=2")


def test_a_sheet_that_cannot_be_is_refused_first(shell):
    for shape, words in (((40, 12, 12, 3), "channels last"), ((40, 2, 12, 12), "(2, 12, 12); leave --out")):
        np.savez(shell.folder / "a.npz", inputs=np.random.default_rng(0).random(shape), labels=np.arange(40) // 4)
        said = shell.refused("data", "show", "arrays", "--data.root=a.npz", "--n_way=2", "--n_queries=1", "--out=s.png")
        assert words in said
    assert "of 1 or 3 channels for a contact sheet" in shell.refused("data", "show", "gaussians", "--out=s.png")
    assert "a folder that is there for --out" in shell.refused("data", "show", "mini_imagenet", "--out=nowhere/s.png")


def test_termination_ends_a_command_in_order(shell):
    code = (
        "import os, signal, sys\n"
        "from innerloop.cli import data, main\n"
        "def stop(parsed):\n"
        "    try:\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "        signal.pause()\n"
        "    finally:\n"
        "        print('cleared away')\n"
        "data.run = stop\n"
        "sys.exit(main.main(['data', 'list']))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=shell.folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (143, "cleared away\n", "")


WARNED = """
import sys, warnings
from innerloop.cli.main import main
from innerloop.errors import EngineWarning
main(["data", "list"])
for _ in range(2):
    warnings.warn("8 tasks do not fit;\\ngoing on with 4", EngineWarning)
warnings.warn("something of a library's", UserWarning)
"""


def test_a_warning_is_one_line_each_time_and_others_name_their_place():
    done = subprocess.run([sys.executable, "-c", WARNED], capture_output=True, text=True, check=True)
    own = "innerloop: 8 tasks do not fit; going on with 4"
    assert done.stderr.splitlines() == [own, own, "innerloop: <string>:8: UserWarning: something of a library's"]


@pytest.mark.parametrize("size", [10**9, 2**62])
def test_what_does_not_fit_into_memory_is_one_line(shell, size):
    asked = ("--data.name=sinusoid", "--model.name=mlp", "--inner.loss=mse", "--record.validation=0")
    said = shell.refused("train", *asked, f"--model.hidden={size}", "--out=run")
    assert "to fit into memory, got: " in said
    assert "ask for a smaller network" in said
    assert not (shell.folder / "run").exists()
