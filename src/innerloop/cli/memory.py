"""The allocator's settings for a process that runs networks: big blocks are kept, not given back after each use.

glibc returns large blocks to the system at once, and the next tensor pays for fresh pages again. Changes the whole
process, so the command line does it once at its start, and nothing else does. Results do not change.
"""

import ctypes

# mallopt's parameters as glibc numbers them, and what they are set to: from which size on a block is a mapping of its
# own, how much free memory at the top is given back, and how much is asked for at once.
KEPT = {-3: 1 << 30, -1: (1 << 31) - 1, -2: 256 << 20}


def keep_big_blocks() -> bool:
    """Tell glibc to keep what it has; return whether it was told (elsewhere there is nothing to tell)."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return all(mallopt(parameter, value) == 1 for parameter, value in KEPT.items())
