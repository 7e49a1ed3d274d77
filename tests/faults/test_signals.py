"""Ctrl-C and SIGTERM at any moment: exit codes 130 and 143, one line at most, and nothing half-done."""

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from faults.harness import IN_ORDER, came_too_early, differences, newest, steps
from faults.test_disks import EXPERIMENT, QUICK, opens, pictures, sweep_in
from innerloop.cli import ending
from innerloop.cli.ending import INTERRUPTED, TERMINATED, Ending
from innerloop.interrupts import undivided
from shells import COMMAND


@pytest.fixture
def taken():
    """Signals as a command takes them."""
    made = Ending()
    made.begin()
    yield made
    made.undo()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_is_undivided_is_done_before_a_signal_is_heard(taken, number):
    done = []

    def work():
        with undivided():
            signal.raise_signal(number)
            done.append(1)

    with pytest.raises((KeyboardInterrupt, SystemExit)):
        work()
    assert done == [1]
    assert signal.getsignal(number) == taken._came_in


def test_what_is_undivided_in_another_thread_takes_no_signals(taken):
    def work():
        with undivided():
            assert signal.getsignal(signal.SIGINT) == taken._came_in

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def test_a_signal_ends_once_and_again_only_after_a_while(taken, monkeypatch):
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGTERM)
    monkeypatch.setattr(ending, "PATIENCE", 0.0)
    with pytest.raises(SystemExit):
        signal.raise_signal(signal.SIGTERM)
    taken.is_over()
    signal.raise_signal(signal.SIGINT)


def test_a_signal_that_a_destructor_swallowed_comes_again(taken):
    class Odd:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)

    def work():
        Odd()
        signal.pause()

    with pytest.raises(KeyboardInterrupt):
        work()


def test_who_ignores_ctrl_c_goes_on_ignoring_it():
    code = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "from innerloop.cli import data, main\n"
        "data.run = lambda parsed: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.exit(main.main(['data', 'list']))\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


AFTERWARDS = """
import signal, sys, threading, time
from innerloop.cli import data, main
data.run = lambda parsed: threading.Thread(target=at_the_end).start()
def at_the_end():
    threading.main_thread().join()
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.raise_signal(each)
sys.argv = ["innerloop", "data", "list"]
sys.exit(main.main())
"""


def test_signals_after_the_work_change_nothing():
    done = subprocess.run([sys.executable, "-c", AFTERWARDS], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


class Counted:
    """Sends this process a signal after so many calls of what it stands for."""

    def __init__(self, number, after):
        self.number, self.left = number, after

    def __call__(self, real):
        def called(*arguments, **named):
            result = real(*arguments, **named)
            self.left -= 1
            if self.left == 0:
                signal.raise_signal(self.number)
            return result

        return called


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
# A file that a call has just opened when the signal comes is closed by nobody but Python.
@pytest.mark.filterwarnings("ignore:unclosed", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("stride", [31, pytest.param(5, marks=pytest.mark.slow)])
def test_a_signal_at_any_write_leaves_a_run_that_is_saved_where_it_stands(shell, finished, monkeypatch, number, stride):
    after, ends = 1, 0
    while True:
        run = shell.folder / f"run-{after}"
        with monkeypatch.context() as patched:
            counted = Counted(number, after)
            for owner, name in ((os, "fsync"), (os, "replace"), (Path, "open"), (os, "open")):
                patched.setattr(owner, name, counted(getattr(owner, name)))
            words = ("train", *QUICK, "--out", run)
            try:
                shell(*words, code=INTERRUPTED if number == signal.SIGINT else TERMINATED)
            except AssertionError:
                if counted.left <= 0:
                    raise
                break
        assert newest(run) == steps(run)
        opens(run)
        shell("train", *(("--resume", run) if (run / "recipe.yaml").exists() else words[1:]))
        assert differences(finished, run) == []
        after, ends = after + stride, ends + 1
    assert ends > 60 // stride


VERBS = {
    "evaluate": ("evaluate", "run", "--episodes=3000"),
    "explain": ("explain", "run", "contrast", "memorization", "--episodes=300"),
    "report": ("report", "run", "--out=page.html"),
    "sweep": ("sweep", "grid.yaml", "--out=sweep"),
    "prepare": ("data", "prepare", "folder", "--data.root=pictures"),
    "experiment": ("experiment", *EXPERIMENT, "--out=tried"),
    "demo": ("demo", "--steps=4", "--episodes=10", "--out=demo"),
}


def ended(folder, words, moment, kind, twice):
    """End a verb at a moment, perhaps twice; return its exit code and what it complained of."""
    process = subprocess.Popen(
        [str(COMMAND), *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "INNERLOOP_CACHE": str(folder / "cache")} if words[0] == "data" else None,
    )
    with suppress(subprocess.TimeoutExpired):
        process.wait(moment)
    for _ in range(1 + twice):
        process.send_signal(kind)
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
    return process.returncode if process.poll() is not None else process.wait(), process.communicate()[1]


@pytest.mark.slow
@pytest.mark.parametrize("name", VERBS)
def test_every_verb_ends_by_a_signal_at_any_moment_in_one_line(tmp_path, finished, name):

    shutil.copytree(finished, tmp_path / "run")
    sweep_in(tmp_path)
    pictures(tmp_path / "pictures", classes=20)
    dice = random.Random(name)
    began = time.monotonic()
    assert ended(tmp_path, VERBS[name], 600, signal.SIGINT, False)[0] == 0
    took = time.monotonic() - began
    for place in ("sweep", "tried", "demo", "cache", "page.html"):
        shutil.rmtree(tmp_path / place, ignore_errors=True)
    for number in range(6):
        kind = (signal.SIGINT, signal.SIGTERM)[number % 2]
        code, said = ended(tmp_path, VERBS[name], took * dice.random(), kind, number > 2)
        if not came_too_early(code, said):
            assert code in (0, *IN_ORDER, -kind), said
            assert len(said.splitlines()) <= 1, said
        for each in tmp_path.rglob("recipe.yaml"):
            opens(each.parent)
        if name in ("demo", "experiment"):
            shutil.rmtree(tmp_path / VERBS[name][-1].removeprefix("--out="), ignore_errors=True)
        (tmp_path / "page.html").unlink(missing_ok=True)
    assert ended(tmp_path, VERBS[name], 600, signal.SIGINT, False)[0] == 0
