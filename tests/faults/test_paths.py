"""Folders of any name: spaces, letters of any script, quotes, line breaks, leading dashes, as long as can be."""

import os
import shutil
import subprocess
import sys
from contextlib import chdir

import numpy as np
import pytest

from faults.test_disks import QUICK, opens, pictures, sweep_in
from shells import COMMAND, InProcess

# The first stand for all, in the tests that everybody runs.
NAMES = {
    "many": ' Übung グラフ😀 it\'s "x" `x` $HOME; 100%s [a-z]* {x}\n<b>&amp; ',
    "dashes": "--out",
    "long": "n" * 255,
    "spaces": " with  spaces ",
    "letters": "グラフ-Übung-😀",
    "quotes": 'it\'s "quoted" `and` $HOME; rm',
    "patterns": "100%s [a-z]* {x} ?",
    "line break": "two\nlines\tand a tab",
    "long letters": "😀" * 63,
    "tags": "<b>&amp;",
}


def every_verb(shell, folder):
    """Run all verbs with every path in a folder, which is also where they run."""
    sweep_in(folder)
    pictures(folder / "pictures", classes=5)
    np.savez(folder / "mine.npz", inputs=np.random.default_rng(0).normal(size=(240, 6)), labels=np.arange(240) // 8)
    run = folder / "run" / folder.name
    train = [*QUICK, "--training.steps=4"]
    shell("train", f"--config={folder / 'base.yaml'}", "--training.steps=4", f"--out={run}")
    shell("train", f"--resume={run}")
    shell("evaluate", run, "--episodes=4")
    shell("explain", run, "contrast", "--episodes=2")
    shell("report", run, f"--title={folder.name}")
    own = [each for each in train if "data.name" not in each and "k_shot" not in each]
    shell("train", *own, "--data.name=arrays", f"--data.root={folder / 'mine.npz'}", f"--out={folder / 'on-arrays'}")
    shell("data", "show", "folder", f"--data.root={folder / 'pictures'}", "--k_shot=1", "--n_queries=1", "--out=s.png")
    shell("sweep", folder / "grid.yaml", f"--out={folder / 'sweep'}", "--only=zeroing")
    for each in (run, folder / "on-arrays", folder / "sweep" / "zeroing" / "seed-0"):
        opens(each)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, id=kind, marks=[pytest.mark.slow] * (at > 2)) for at, (kind, name) in enumerate(NAMES.items())],
)
def test_every_verb_takes_folders_of_any_name(tmp_path, monkeypatch, name):
    folder = tmp_path / name
    folder.mkdir()
    monkeypatch.setenv("INNERLOOP_CACHE", str(folder / "cache"))
    every_verb(InProcess(folder), folder)
    with chdir(folder):  # and by names that are relative
        InProcess(folder)("train", *QUICK, "--training.steps=1", f"--out={name}")
        InProcess(folder)("evaluate", f"./{name}", "--episodes=4")
        shutil.rmtree(name)


def test_what_is_said_can_be_typed(tmp_path):
    shell = InProcess(tmp_path)
    said = shell("train", *QUICK, "--training.steps=1", "--out=-a 'b'")
    words = subprocess.run(
        ["bash", "-c", f"printf '%s\\n' {said.split('Next: innerloop')[1].splitlines()[0]}"],
        capture_output=True,
        text=True,
        check=True,
    )
    shell(*words.stdout.splitlines(), "--episodes=4")


def test_a_page_may_have_a_name_as_long_as_names_can_be(shell, finished):
    for name in ("p" * 250 + ".html", "😀" * 62 + ".html"):
        shell("report", finished, f"--out={name}")
        assert (shell.folder / name).exists()
    assert "File name too long" in shell.refused("report", finished, f"--out={'p' * 256}")
    assert "File name too long" in shell.refused("train", *QUICK, f"--out={'p' * 256}")
    assert "File name too long" in shell.refused("evaluate", "p" * 256)


@pytest.mark.parametrize("env", [{"LC_ALL": "C"}, {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}])
def test_where_the_system_has_no_letters_paths_have_them(tmp_path, env):
    script = (
        "import sys; from innerloop.cli.main import main\nfor run in sys.argv[1:]:\n    assert main([*WORDS, run]) == 0"
    )
    out = f"--out={tmp_path / 'Übung 😀'}"
    done = subprocess.run(
        [sys.executable, "-c", script.replace("WORDS", repr(list(QUICK))).replace("[*", "['train', *"), out],
        env={**os.environ, **env, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.isascii()
    opens(tmp_path / "Übung 😀")
    assert "Übung 😀" in (tmp_path / "Übung 😀" / "run.json").read_text(encoding="utf-8")


def test_a_run_in_a_folder_of_bytes_that_are_no_letters_is_refused_before_it_is_made(tmp_path):
    run = os.fsencode(tmp_path) + b"/\xff\xfe"
    done = subprocess.run(
        [os.fsencode(COMMAND), b"train", *map(str.encode, QUICK), b"--out=" + run], capture_output=True
    )
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1)
    assert b"got bytes that are no letters" in done.stderr
    assert not list(tmp_path.iterdir())
