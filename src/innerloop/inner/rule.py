"""One inner update: the direction a step goes in, from the gradients so far; pure and differentiable.

    sgd         gradient
    momentum    buffer = momentum * buffer + gradient
    adam        mean / sqrt(square + eps^2), both without their bias towards 0

Adam's eps stands under the root, where torch has it outside: at a gradient of exactly 0 (every encoder gradient of a
zeroed head's first step) the root then has a derivative. Source: kingma2015; sutskever2013.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from innerloop.inner.loop import InnerLoop, Rule
from innerloop.shapes import Params

EPS = 1e-8


class Memory(NamedTuple):
    """What a rule remembers of earlier gradients.

    Attributes:
        mean: Running mean, or momentum's buffer.
        square: Running mean square.
        taken: Steps so far.
    """

    mean: Params
    square: Params
    taken: int


Update = Callable[[InnerLoop, Memory, Params], tuple[Memory, Params]]

EMPTY = Memory({}, {}, 0)


def sgd(_inner: InnerLoop, memory: Memory, gradient: Params) -> tuple[Memory, Params]:
    """Return the gradient itself."""
    return memory, gradient


def momentum(inner: InnerLoop, memory: Memory, gradient: Params) -> tuple[Memory, Params]:
    """Return the gradient plus a share of the last direction."""
    kept = {name: _mixed(memory.mean, name, inner.momentum, value, 1.0) for name, value in gradient.items()}
    return Memory(kept, {}, memory.taken + 1), kept


def adam(inner: InnerLoop, memory: Memory, gradient: Params) -> tuple[Memory, Params]:
    """Return the mean gradient in units of its root mean square."""
    first, second = inner.betas
    count = memory.taken + 1
    mean = {name: _mixed(memory.mean, name, first, value, 1 - first) for name, value in gradient.items()}
    square = {name: _mixed(memory.square, name, second, value**2, 1 - second) for name, value in gradient.items()}
    direction = {
        name: (mean[name] / (1 - first**count)) / torch.sqrt(square[name] / (1 - second**count) + EPS**2)
        for name in gradient
    }
    return Memory(mean, square, count), direction


UPDATES: Mapping[Rule, Update] = {"sgd": sgd, "momentum": momentum, "adam": adam}


def _mixed(before: Params, name: str, kept: float, value: Tensor, added: float) -> Tensor:
    return kept * before[name] + added * value if name in before else added * value
