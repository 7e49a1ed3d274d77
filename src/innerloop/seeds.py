"""One integer becomes many independent generators, each known by its name.

`generator(0, "episodes", "test", 7)` is the same stream on every machine and in every process, whatever was drawn
before it: nothing in innerloop touches a global seed.
"""

from hashlib import sha256

import torch

from innerloop.errors import ConfigError
from innerloop.plain import MOST_BITS


def derived_seed(seed: int, *names: str | int) -> int:
    """Return a 63-bit seed that depends on the seed and on every name, and on nothing else.

    Raises:
        ConfigError: The seed is longer than what is kept of a run can be read back with.
    """
    if seed.bit_length() > MOST_BITS:
        raise ConfigError(f"expected a seed of at most {MOST_BITS} bits, got {seed}; choose a smaller one")
    digest = sha256(repr((seed, *names)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, *names: str | int) -> torch.Generator:
    """Return a fresh CPU generator for the stream called `names`."""
    return torch.Generator().manual_seed(derived_seed(seed, *names))
