import json
import os
import platform
import signal
import subprocess
import sys

import pytest

from innerloop.errors import DiskError, RunError, RunWarning
from innerloop.runs.lock import Lock

HOLDER = """
import sys, time
from pathlib import Path
from innerloop.runs.lock import Lock
held = Lock(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_the_second_process_is_refused_by_the_name_of_the_first(tmp_path, holder):
    with pytest.raises(RunError, match=rf"got it written by process {holder.pid} on {platform.node()} since 20"):
        Lock(tmp_path)
    assert json.loads((tmp_path / "lock").read_text())["process"] == holder.pid


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / "lock").exists()
    with Lock(tmp_path):
        assert json.loads((tmp_path / "lock").read_text())["process"] == os.getpid()
    assert not (tmp_path / "lock").exists()


def test_what_is_released_can_be_held_again_and_two_in_one_process_are_two(tmp_path):
    for _ in range(2):
        with Lock(tmp_path), pytest.raises(RunError, match="for this process alone"):
            Lock(tmp_path)


def test_a_lock_that_nobody_uses_any_more_is_released(tmp_path):
    Lock(tmp_path)
    assert not (tmp_path / "lock").exists()


def test_a_file_that_was_taken_away_by_its_holder_is_made_anew_and_held(tmp_path, monkeypatch):
    """A holder releases between the opening of the file here and the lock on it: then that file is nobody's."""
    import fcntl

    first, lock, ours = Lock(tmp_path), fcntl.flock, []

    def slow(file, how):
        if not ours:
            ours.append(file)
            first.release()
        return lock(file, how)

    monkeypatch.setattr(fcntl, "flock", slow)
    with Lock(tmp_path), pytest.raises(RunError, match="for this process alone"):
        Lock(tmp_path)


def test_words_of_a_damaged_lock_are_done_without(tmp_path, holder):
    (tmp_path / "lock").write_text("[" * 100_000)
    with pytest.raises(RunError, match="got it written by another process; wait"):
        Lock(tmp_path)


def test_where_there_are_no_locks_that_is_said(tmp_path, monkeypatch):
    import fcntl

    def none(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", none)
    with pytest.warns(RunWarning, match="cannot be locked here .Operation not supported."):
        Lock(tmp_path)


def test_a_folder_that_is_not_there_is_one_error(tmp_path):
    with pytest.raises(DiskError, match=r"expected to write .*lock"):
        Lock(tmp_path / "none")
