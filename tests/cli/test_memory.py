import platform
import subprocess
import sys

import pytest

from innerloop.cli.memory import keep_big_blocks

# In a process of its own: the setting stays, and the other tests are not to know it.
ROUND = """
import resource, torch
from innerloop.cli.memory import keep_big_blocks
if {keep}: keep_big_blocks()
for _ in range(5): torch.ones(1 << 24)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20): torch.ones(1 << 24)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is glibc's")
def test_kept_blocks_ask_for_no_fresh_pages():
    faults = [
        int(subprocess.run([sys.executable, "-c", ROUND.format(keep=keep)], capture_output=True, check=True).stdout)
        for keep in (False, True)
    ]
    assert faults[1] < faults[0] / 10


def test_elsewhere_nothing_is_told(monkeypatch):
    monkeypatch.setattr("ctypes.CDLL", lambda _: object())
    assert keep_big_blocks() is False
