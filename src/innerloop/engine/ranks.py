"""Tasks over several processes: every rank has a share of the batch, and all get the whole result.

    mean gradient of the batch = sum over ranks of (tasks of the rank / tasks of the batch) * mean gradient of the rank

Every rank draws the same batch and takes the same outer step with the same gradient, so all hold the same parameters
and training knows nothing of ranks. Which task goes to which rank is fixed.
"""

from collections.abc import Iterable
from math import ceil

import torch
from torch import Tensor

from innerloop.algorithms import Algorithm
from innerloop.data.episode import Batch, part, task_count
from innerloop.engine.batch_gradient import BatchGradient
from innerloop.engine.group import Group
from innerloop.engine.loop import Engine, PerTask
from innerloop.params import scaled
from innerloop.shapes import Params


class Sharded:
    """An engine whose tasks are shared out among the ranks of a group.

    Args:
        engine: What maps over this rank's own tasks.
        group: The ranks.
    """

    def __init__(self, engine: Engine, group: Group) -> None:
        self.engine = engine
        self.group = group

    @property
    def name(self) -> str:
        """That of the engine of each rank, and how many there are."""
        return f"{self.engine.name}, {self.group.size} ranks"

    @property
    def algorithm(self) -> Algorithm:
        """What is mapped."""
        return self.engine.algorithm

    def gradient(self, params: Params, batch: Batch, step: int = 0, seed: int = 0, first: int = 0) -> BatchGradient:
        """Return the mean meta-gradient of an outer step on every rank, as `Loop.gradient`.

        Raises:
            RankError: A rank is gone.
        """
        tasks = task_count(batch)
        own = self._share(tasks)
        numbers = torch.zeros(2, tasks, dtype=torch.float64, device=self.group.device)  # exact for what is narrower
        gradient = {name: torch.zeros_like(value) for name, value in params.items()}
        kinds = (numbers.dtype, numbers.dtype)
        if own:
            found = self.engine.gradient(params, part(batch, own.start, own.stop), step, seed, first + own.start)
            gradient = scaled(found.gradient, len(own) / tasks)
            kinds = (found.losses.dtype, found.accuracies.dtype)
            numbers[:, own.start : own.stop] = torch.stack([found.losses.double(), found.accuracies.double()])
        *whole, numbers = self._summed([*gradient.values(), numbers])
        losses, accuracies = (values.to(kind) for values, kind in zip(numbers, kinds, strict=True))
        return BatchGradient(dict(zip(gradient, whole, strict=True)), losses, accuracies)

    def each(self, function: PerTask, params: Params, batch: Batch) -> Tensor:
        """Return on every rank what the function says of every episode [task ...].

        Raises:
            RankError: A rank is gone.
        """
        tasks = task_count(batch)
        own = self._share(tasks)
        # A rank with no task of its own still has to know what an answer looks like.
        asked = own or range(1)
        said = self.engine.each(function, params, part(batch, asked.start, asked.stop))
        found = torch.zeros(tasks, *said.shape[1:], dtype=said.dtype, device=said.device)
        found[own.start : own.stop] = said[: len(own)]
        return self._summed([found])[0]

    def _share(self, tasks: int) -> range:
        """Return the numbers of this rank's tasks; the first ranks have one more where they cannot be even."""
        rank, ranks = self.group.rank, self.group.size
        return range(ceil(tasks * rank / ranks), ceil(tasks * (rank + 1) / ranks))

    def _summed(self, tensors: Iterable[Tensor]) -> list[Tensor]:
        """Return the sums over ranks of tensors that all of them have, with one message for all of a kind."""
        tensors = list(tensors)
        summed: dict[int, Tensor] = {}
        for kind in dict.fromkeys(tensor.dtype for tensor in tensors):
            alike = {place: tensor for place, tensor in enumerate(tensors) if tensor.dtype == kind}
            flat = self.group.sum(torch.cat([tensor.reshape(-1) for tensor in alike.values()]))
            parts = torch.split(flat, [tensor.numel() for tensor in alike.values()])
            summed |= {place: own.view(tensor.shape) for (place, tensor), own in zip(alike.items(), parts, strict=True)}
        return [summed[place] for place in range(len(tensors))]
