"""A clock that goes backwards: nothing is ordered, saved or refused by what it shows."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from faults.conftest import QUICK
from faults.harness import differences
from shells import COMMAND

# Every look at the wall's clock shows an hour less than the one before; the clock that measures is left alone.
BACKWARDS = """
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static long long looks;
static time_t shown(void) { return 2000000000 - 3600 * __atomic_add_fetch(&looks, 1, __ATOMIC_SEQ_CST); }
int clock_gettime(clockid_t clock, struct timespec *now) {
    int done = syscall(SYS_clock_gettime, clock, now);
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) now->tv_sec = shown();
    return done;
}
int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    *now = (struct timeval){shown(), 0};
    return 0;
}
time_t time(time_t *now) { time_t then = shown(); if (now) *now = then; return then; }
"""


@pytest.fixture
def backwards(tmp_path):
    """What a process is started with whose clock goes backwards."""
    if shutil.which("gcc") is None:
        pytest.skip("no compiler for a clock that goes backwards")
    (tmp_path / "clock.c").write_text(BACKWARDS)
    made = tmp_path / "clock.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(made), str(tmp_path / "clock.c")], check=True)
    return {**os.environ, "LD_PRELOAD": str(made)}


def test_a_run_and_its_continuation_are_the_same_whatever_the_clock_shows(tmp_path, finished, backwards):
    def command(*words):
        done = subprocess.run(
            [str(COMMAND), *map(str, words)], env=backwards, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")

    command("train", *QUICK, "--training.steps=4", "--record.checkpoint_minutes=1", "--out=run")
    recipe = tmp_path / "run" / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("  steps: 4\n", "  steps: 8\n"))
    recipe.write_text(recipe.read_text().replace("checkpoint_minutes: 1.0", "checkpoint_minutes: 10.0"))
    for place in (tmp_path / "run").rglob("*"):  # files from a time to come
        os.utime(place, (4e9, 4e9))
    command("train", "--resume", "run")
    run = tmp_path / "run"
    left = differences(finished, run)
    assert [each for each in left if not each.startswith("snapshots")] == []  # one more at the end of the first part
    about = json.loads((run / "run.json").read_text())
    assert about["started"].startswith(("2033", "2032"))
    assert about["resumed"][0]["started"] != about["started"]
    seconds = [json.loads(line)["seconds"] for line in Path(run / "history.jsonl").read_text().splitlines()]
    assert min(seconds) >= 0
