"""Which blocks does an encoder consist of, and what does each of them return while it runs?

Blocks are the encoder's children that have parameters; where there is only one, its own children, and so on. In a
Sequential, layers without parameters belong to the block before them, so that a block returns what the next is given.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

from torch import Tensor, nn

from innerloop.shapes import Params

_LISTS = (nn.ModuleList, nn.ModuleDict)


class Block(NamedTuple):
    """One block of an encoder.

    Attributes:
        name: As a reader knows it: its name where it stands, and its kind where that is a number.
        place: The submodule that holds its parameters.
        last: The submodule whose output is the block's.
    """

    name: str
    place: str
    last: str


def blocks(module: nn.Module) -> tuple[Block, ...]:
    """Return a module's blocks in the order in which they were defined; none for a module without parameters."""
    parent = ""
    found = _within(module, parent)
    while len(found) == 1:
        inner = _within(module, found[0].place)
        if not inner or _has_parameters(module.get_submodule(found[0].place), recurse=False):
            break
        found, parent = inner, found[0].place
    return tuple(each._replace(name=_named(module, parent, each.place)) for each in found)


@contextmanager
def heard(module: nn.Module, listened: Sequence[Block]) -> Iterator[Params]:
    """Yield a mapping that every block writes its output into when it has run; the last one, if it runs repeatedly.

    A block that returns several values is known by the first; one that returns no tensor stays unheard.
    """
    said: Params = {}
    hooks = [
        module.get_submodule(each.last).register_forward_hook(partial(_keep, said, each.name)) for each in listened
    ]
    try:
        yield said
    finally:
        for hook in hooks:
            hook.remove()


def _keep(said: Params, name: str, _layer: nn.Module, _inputs: Any, output: Any) -> None:
    value = output[0] if isinstance(output, tuple | list) and output else output
    if isinstance(value, Tensor):
        said.pop(name, None)
        # A copy, since what comes next may write into it.
        said[name] = value.detach().clone()


def _within(module: nn.Module, parent: str) -> list[Block]:
    layer, found = module.get_submodule(parent), list[Block]()
    for name, child in layer.named_children():
        place = f"{parent}.{name}" if parent else name
        if isinstance(child, _LISTS):
            found += _within(module, place)  # nobody calls a list, only what is in it
        elif _has_parameters(child):
            found.append(Block(place, place, place))
        elif found and isinstance(layer, nn.Sequential):
            found[-1] = found[-1]._replace(last=place)
    return found


def _named(module: nn.Module, parent: str, place: str) -> str:
    name = place.removeprefix(f"{parent}.")
    return f"{type(module.get_submodule(place)).__name__} {name}" if name.isdigit() else name


def _has_parameters(layer: nn.Module, recurse: bool = True) -> bool:
    return next(layer.parameters(recurse), None) is not None
