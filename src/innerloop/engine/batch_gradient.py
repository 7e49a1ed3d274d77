"""What an engine returns for a batch of tasks, and how it is put together from single ones."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from innerloop.algorithms import MetaGradient
from innerloop.params import add, scaled
from innerloop.shapes import Params


class BatchGradient(NamedTuple):
    """The mean meta-gradient over a batch of tasks, with each task's query loss and accuracy [task]."""

    gradient: Params
    losses: Tensor
    accuracies: Tensor


class Sum:
    """A sum over tasks that grows one by one, so that no more than one task's gradient is held beside it."""

    def __init__(self) -> None:
        self.gradient: Params = {}
        self.losses: list[Tensor] = []
        self.accuracies: list[Tensor] = []

    def take(self, one: MetaGradient) -> None:
        """Add one task, or several at once: gradients summed over them, losses and accuracies [task]."""
        self.gradient = add(self.gradient, one.gradient) if self.gradient else one.gradient
        self.losses.append(one.loss.reshape(-1))
        self.accuracies.append(one.accuracy.reshape(-1))


def mean(sums: Sequence[Sum]) -> BatchGradient:
    """Return the mean over all tasks of all sums, in their order."""
    total: Params = {}
    for each in sums:
        total = add(total, each.gradient) if total else each.gradient
    losses = torch.cat([loss for each in sums for loss in each.losses])
    accuracies = torch.cat([accuracy for each in sums for accuracy in each.accuracies])
    return BatchGradient(scaled(total, 1 / len(losses)), losses, accuracies)
