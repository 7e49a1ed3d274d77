"""How dropout, which takes no generator, is random and yet repeats: torch's own generator, seeded around the call."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Generator, Tensor


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Start torch's global generators from this seed meanwhile, and leave them as they were found.

    The generator of the CPU and, where CUDA is in use, that of every visible GPU; a few microseconds each.

    Args:
        seed: 64 bits; one for every task and step, as `innerloop.seeds.derived_seed` makes them.
    """
    with _put_back() as generators:
        for each in generators:
            each.manual_seed(seed)
        yield


def drawn() -> tuple[Tensor, ...]:
    """Return where those generators stand, for `drawing_from` to go back to."""
    return tuple(each.get_state() for each in _generators())


@contextmanager
def drawing_from(states: Sequence[Tensor]) -> Iterator[None]:
    """Let the generators go on from where they once stood, so that what was drawn there is drawn again.

    They are left as they were found.

    Args:
        states: What `drawn` returned there.
    """
    with _put_back() as generators:
        _place(generators, states)
        yield


@contextmanager
def _put_back() -> Iterator[list[Generator]]:
    generators, before = _generators(), drawn()
    try:
        yield generators
    finally:
        _place(generators, before)


def _place(generators: Sequence[Generator], states: Sequence[Tensor]) -> None:
    for each, state in zip(generators, states, strict=True):
        each.set_state(state)


def _generators() -> list[Generator]:
    found = [torch.default_generator]
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        found += torch.cuda.default_generators
    return found
