"""The plain engine: one task after another, their meta-gradients averaged."""

from typing import NamedTuple

import torch
from torch import Tensor

from innerloop.algorithms import Algorithm
from innerloop.data.episode import Batch, tasks
from innerloop.params import add, scaled
from innerloop.seeds import derived_seed
from innerloop.shapes import Params


class BatchGradient(NamedTuple):
    """The mean meta-gradient over a batch of tasks, with each task's query loss and accuracy [task]."""

    gradient: Params
    losses: Tensor
    accuracies: Tensor


def mean_meta_gradient(
    algorithm: Algorithm, params: Params, batch: Batch, step: int = 0, seed: int = 0
) -> BatchGradient:
    """Map the algorithm's meta-gradient in outer step `step` (from 0) over a batch of episodes and average.

    Dropout in the learner draws anew for every task and step, from `seed`.
    """
    total: Params = {}
    losses, accuracies = [], []
    for index, episode in enumerate(tasks(batch)):
        one = algorithm.meta_gradient(params, episode, step, derived_seed(seed, "noise", step, index))
        total = add(total, one.gradient) if total else one.gradient
        losses.append(one.loss)
        accuracies.append(one.accuracy)
    return BatchGradient(scaled(total, 1 / len(losses)), torch.stack(losses), torch.stack(accuracies))
