"""The plain engine: one task after another, their meta-gradients averaged. The truth that others are held to."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from innerloop.algorithms import Algorithm
from innerloop.data.episode import Batch, Episode, tasks
from innerloop.engine.batch_gradient import BatchGradient, Sum, mean
from innerloop.seeds import derived_seed
from innerloop.shapes import Params

PerTask = Callable[[Algorithm, Params, Episode], Tensor]
"""Anything that an algorithm with its parameters has to say of one episode."""


@runtime_checkable
class Engine(Protocol):
    """A way to map an algorithm over the tasks of a batch."""

    @property
    def name(self) -> str:
        """As in `EngineConfig.name`, perhaps with the rule it works by."""

    @property
    def algorithm(self) -> Algorithm:
        """What is mapped."""

    def gradient(self, params: Params, batch: Batch, step: int = 0, seed: int = 0, first: int = 0) -> BatchGradient:
        """Return the mean meta-gradient of outer step `step`, as `Loop.gradient`."""

    def each(self, function: PerTask, params: Params, batch: Batch) -> Tensor:
        """Return what the function says of every episode [task ...]."""


@dataclass(frozen=True)
class Loop:
    """Tasks one after another, each on all of torch's threads."""

    algorithm: Algorithm
    name: str = "loop"

    def gradient(self, params: Params, batch: Batch, step: int = 0, seed: int = 0, first: int = 0) -> BatchGradient:
        """Return the mean meta-gradient of outer step `step` (from 0); dropout draws from `seed`, anew for every task.

        Where the batch is a part of a larger one, `first` is the number in it that this one begins with.
        """
        found = Sum()
        for index, episode in enumerate(tasks(batch), first):
            found.take(self.algorithm.meta_gradient(params, episode, step, noise(seed, step, index)))
        return mean([found])

    def each(self, function: PerTask, params: Params, batch: Batch) -> Tensor:
        """Return what the function says of every episode [task ...]."""
        return torch.stack([function(self.algorithm, params, episode) for episode in tasks(batch)])


def noise(seed: int, step: int, index: int) -> int:
    """Return the seed that dropout draws from in one task of one outer step."""
    return derived_seed(seed, "noise", step, index)
