import os
import subprocess
import sys
from pathlib import Path

import pytest

from innerloop.bench import quiet
from innerloop.bench.quiet import Clock

COUNTED = pytest.mark.skipif(not Path("/proc/stat").exists(), reason="only Linux counts it")


def test_others_took_what_was_busy_and_not_our_own(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    assert quiet.others(Clock(10.0, 100.0, 5.0), Clock(12.0, 106.0, 9.0)) == pytest.approx(2 / 8)
    assert quiet.others(Clock(10.0, 100.0, 5.0), Clock(12.0, 103.0, 9.0)) == 0
    assert quiet.others(Clock(10.0, 100.0, 5.0), Clock(10.0, 100.0, 5.0)) == 0


@COUNTED
def test_a_family_is_a_process_and_all_it_started():
    nested = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(1, flush=True); input()'])"
    with subprocess.Popen([sys.executable, "-c", nested], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        started = set(quiet.family(child.pid))
        assert len(started) == 2
        assert started < set(quiet.family(os.getpid()))
        child.communicate(b"\n")
    assert list(quiet.family(child.pid)) == [str(child.pid)]


@COUNTED
def test_what_a_process_computes_is_counted_as_its_own():
    before = quiet.clock()
    busy = "sum(range(20_000_000)); print(1, flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", busy], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        assert quiet.clock(child.pid).own > 0
        child.communicate(b"\n")
    after = quiet.clock()
    assert (before.own, after.own) == (0, 0)
    assert after.busy > before.busy
