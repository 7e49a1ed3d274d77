import subprocess
import sys
from pathlib import Path

import pytest

# In a process of its own: what one has held at most cannot be known beside a whole test suite.
HELD = """
import subprocess, sys
from innerloop.bench import memory
block = bytearray({before} << 20)
del block
memory.forget_peak()
held = memory.peak()
block = bytearray({own} << 20)
started = "block = bytearray({child} << 20); print(1, flush=True); input()"
child = subprocess.Popen([sys.executable, "-c", started], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdout.readline()
print(memory.peak() - held)
child.communicate(b"\\n")
"""


def added(before=0, own=0, child=0):
    command = [sys.executable, "-c", HELD.format(before=before, own=own, child=child)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux forgets a peak")
def test_the_peak_is_what_is_held_from_then_on_by_a_process_and_those_it_started():
    nothing = added()
    assert added(before=200, own=100) - nothing == pytest.approx(100, abs=5)
    assert added(own=100, child=50) - nothing == pytest.approx(150, abs=5)
