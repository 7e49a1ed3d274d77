"""Tasks side by side: every thread has a share of them, and one intra-op thread for its operations.

On many cores a small network keeps few of them busy with one operation at a time; whole tasks keep all of them. A
thread has a learner of its own, since a module holds the parameters of whoever runs it. Which task goes to which thread
is fixed, and so is the order of sums: the same result every time.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor

from innerloop.algorithms import Algorithm
from innerloop.data.episode import Batch, Episode, tasks
from innerloop.engine.batch_gradient import BatchGradient, Sum, mean
from innerloop.engine.loop import PerTask, noise
from innerloop.models import plain_kernels, seeded
from innerloop.shapes import Params

Found = TypeVar("Found")
Numbered = list[tuple[int, Episode]]


class Workers:
    """Threads that live as long as the engine.

    Args:
        algorithm: What is mapped.
        count: How many threads.
    """

    name = "workers"

    def __init__(self, algorithm: Algorithm, count: int) -> None:
        self.algorithm = algorithm
        self._own = [replace(algorithm, learner=algorithm.learner.copied()) for _ in range(count)]
        self._pool = ThreadPoolExecutor(count, "innerloop-worker", torch.set_num_threads, (1,))

    def gradient(self, params: Params, batch: Batch, step: int = 0, seed: int = 0, first: int = 0) -> BatchGradient:
        """Return the mean meta-gradient of an outer step, as `Loop.gradient`."""

        def summed(own: Algorithm, share: Numbered) -> Sum:
            found = Sum()
            for index, episode in share:
                found.take(own.meta_gradient(params, episode, step, noise(seed, step, first + index)))
            return found

        return mean(self._shared(summed, batch))

    def each(self, function: PerTask, params: Params, batch: Batch) -> Tensor:
        """Return what the function says of every episode [task ...]."""

        def said(own: Algorithm, share: Numbered) -> Tensor:
            return torch.stack([function(own, params, episode) for _, episode in share])

        return torch.cat(self._shared(said, batch))

    def _shared(self, work: Callable[[Algorithm, Numbered], Found], batch: Batch) -> list[Found]:
        """Run `work` on every thread's share of the tasks, and return what came out in the order of tasks."""
        numbered = list(enumerate(tasks(batch)))
        cuts = [round(part * len(numbered) / len(self._own)) for part in range(len(self._own) + 1)]
        shares = [numbered[first:last] for first, last in pairwise(cuts)]
        gradients, cast, kind = (
            torch.is_grad_enabled(),
            torch.is_autocast_enabled("cpu"),
            torch.get_autocast_dtype("cpu"),
        )

        def run(own: Algorithm, share: Numbered) -> Found:
            # Neither mode goes from a thread to those it starts.
            with torch.set_grad_enabled(gradients), torch.autocast("cpu", kind, cast):
                return work(own, share)

        # Settings of the whole process, once for all threads.
        with seeded(0), plain_kernels(self.algorithm.learner.recurrent):
            begun = [self._pool.submit(run, own, share) for own, share in zip(self._own, shares, strict=True) if share]
            return [each.result() for each in begun]
