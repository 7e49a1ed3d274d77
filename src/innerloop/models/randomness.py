"""How dropout, which takes no generator, is random and yet repeats: torch's own generator, seeded around the call."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Start torch's global generators from this seed meanwhile, and leave them as they were found.

    The generator of the CPU and, where CUDA is in use, that of every visible GPU; a few microseconds each.

    Args:
        seed: 64 bits; one for every task and step, as `innerloop.seeds.derived_seed` makes them.
    """
    generators = [torch.default_generator]
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        generators += torch.cuda.default_generators
    before = [each.get_state() for each in generators]
    for each in generators:
        each.manual_seed(seed)
    try:
        yield
    finally:
        for each, state in zip(generators, before, strict=True):
            each.set_state(state)
