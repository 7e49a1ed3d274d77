import os
import platform
import subprocess
import sys

import pytest

from innerloop.cli.memory import keep_big_blocks

# In a process of its own, since the setting stays: how many blocks of 64 MiB are mappings, given back when freed.
MAPPINGS = """
import ctypes
from innerloop.cli.memory import keep_big_blocks
class Info(ctypes.Structure):
    # arena, ordblks, smblks, hblks (the number of mappings), and six more.
    _fields_ = [("hblks" if place == 3 else str(place), ctypes.c_size_t) for place in range(10)]
libc = ctypes.CDLL(None)
libc.mallinfo2.restype, libc.malloc.restype, libc.malloc.argtypes = Info, ctypes.c_void_p, [ctypes.c_size_t]
if {keep}: keep_big_blocks()
before = libc.mallinfo2().hblks
libc.malloc(64 << 20)
print(libc.mallinfo2().hblks - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is glibc's")
def test_a_big_block_is_no_mapping_of_its_own():
    mapped = [
        int(subprocess.run([sys.executable, "-c", MAPPINGS.format(keep=keep)], capture_output=True, check=True).stdout)
        for keep in (False, True)
    ]
    assert mapped == [1, 0]


def test_elsewhere_nothing_is_told(monkeypatch):
    monkeypatch.setattr("ctypes.CDLL", lambda _: object())
    assert keep_big_blocks() is False


# The same of blocks that another thread asks for: where its heap is the first one's, that one grows by them.
THREADS = """
import ctypes, os, threading
from innerloop.cli.memory import keep_big_blocks
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.sbrk.restype = ctypes.c_void_p, [ctypes.c_size_t], ctypes.c_void_p
if {keep}: keep_big_blocks()
found = []
thread = threading.Thread(target=lambda: found.append(libc.malloc(4096)))
thread.start(); thread.join()
print(found[0] < libc.sbrk(0), os.environ.get("THP_MEM_ALLOC_ENABLE"))
"""


NAME = "THP_MEM_ALLOC_ENABLE"


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is glibc's")
def test_threads_share_one_heap_and_torch_asks_for_large_pages_unless_told_otherwise():
    def said(keep, **environment):
        # Another test of this process may have asked for them already.
        done = subprocess.run(
            [sys.executable, "-c", THREADS.format(keep=keep)],
            env={**{key: value for key, value in os.environ.items() if key != NAME}, **environment},
            capture_output=True,
            check=True,
            text=True,
        )
        return done.stdout.split()

    assert said(False) == ["False", "None"]
    assert said(True) == ["True", "1"]
    assert said(True, **{NAME: "0"}) == ["True", "0"]
