"""A run that goes on for long grows in nothing: memory, open files, threads."""

import json
import subprocess
import sys

import pytest

from innerloop.runs import open_run

EVERY = 2000  # outer steps
SETTLED = 2  # of these samples are taken before memory is held against the first
MOST = 8 << 20  # bytes that may come on top of that

TRAINED = """
import json, os, sys
from contextlib import closing
from dataclasses import replace

from innerloop import driver
from innerloop.cli.memory import keep_big_blocks
from innerloop.runs import open_run

kept = []


def looked():
    pages = int(open("/proc/self/statm").read().split()[1])
    return {
        "memory": pages * os.sysconf("SC_PAGESIZE"),
        "files": len(os.listdir("/proc/self/fd")),
        "threads": len(os.listdir("/proc/self/task")),
    }


source, folder, steps, every, leaks = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
keep_big_blocks()
recipe = open_run(source).recipe
wanted = replace(recipe.record, validation=500, contrast=500, cosine=500, rates=100, checkpoint=500, heads=True)
recipe = replace(recipe, training=replace(recipe.training, steps=steps), record=wanted)
with closing(driver.begin(recipe, folder, "test")) as progress:
    for each in progress:
        if leaks:
            kept.append((each.record, bytearray(4000)))
        if each.step and each.step % every == 0:
            print(json.dumps(looked()), flush=True)
"""


def samples(source, folder, steps, leaks=False):
    words = [sys.executable, "-c", TRAINED, source, folder, steps, EVERY, int(leaks)]
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def grows(taken):
    """What there is more of at the end than once everything had been done."""
    settled, last = taken[SETTLED - 1], taken[-1]
    more = [name for name in ("files", "threads") if last[name] > settled[name]]
    return more + (["memory"] if last["memory"] - settled["memory"] > MOST else [])


@pytest.mark.slow
def test_nothing_grows_over_20000_outer_steps_and_what_they_leave_is_read_at_once(tmp_path, finished, shell):
    taken = samples(finished, tmp_path / "run", 20_000)
    assert len(taken) == 10
    assert grows(taken) == [], taken
    run = open_run(tmp_path / "run")
    assert [record["step"] for record in run.history] == list(range(20_001))
    assert len(run.snapshots()) == 15
    shell("report", tmp_path / "run")
    assert (tmp_path / "run" / "report.html").stat().st_size < 500_000


@pytest.mark.slow
def test_a_leak_of_a_page_a_step_is_found(tmp_path, finished):
    assert grows(samples(finished, tmp_path / "run", 8000, leaks=True)) == ["memory"]
