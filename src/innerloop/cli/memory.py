"""The allocator's settings for a process that runs networks: big blocks are kept, in large pages, not given back.

glibc returns large blocks to the system at once, and the next tensor pays for fresh pages again; threads other than the
first have heaps of their own, which cannot hold such blocks at all. Changes the whole process, so the command line does
it once at its start, before the first tensor, and nothing else does. Results do not change.
"""

import ctypes
import os

# mallopt's parameters as glibc numbers them, and what they are set to: from which size on a block is a mapping of its
# own, how much free memory at the top is given back, how much is asked for at once, and one heap for all threads.
KEPT = {-3: 1 << 30, -1: (1 << 31) - 1, -2: 256 << 20, -8: 1}
# torch asks for pages of 2 MiB for its big blocks; read when the first tensor is made.
LARGE_PAGES = "THP_MEM_ALLOC_ENABLE"


def keep_big_blocks() -> bool:
    """Tell glibc to keep what it has; return whether it was told (elsewhere there is nothing to tell)."""
    os.environ.setdefault(LARGE_PAGES, "1")
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return all(mallopt(parameter, value) == 1 for parameter, value in KEPT.items())
