"""Tasks side by side on threads, with one intra-op thread for each.

A small network keeps few cores busy with one operation at a time, and every operation waits for the slowest core;
whole tasks keep all of them, and wait for each other once a batch. A thread has a learner of its own, since a module
holds the parameters of whoever runs it. Sums are taken in the order of tasks, so that the result does not depend on the
number of threads: it is that of the loop on one thread, bit for bit.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor

from innerloop.algorithms import Algorithm, MetaGradient
from innerloop.data.episode import Batch, Episode, tasks
from innerloop.engine.batch_gradient import BatchGradient, Sum, mean
from innerloop.engine.loop import PerTask, noise
from innerloop.models import plain_kernels, seeded
from innerloop.shapes import Params

Found = TypeVar("Found")
Item = TypeVar("Item")


class Workers:
    """Threads that live as long as the engine.

    Args:
        algorithm: What is mapped.
        count: How many threads.
    """

    name = "workers"

    def __init__(self, algorithm: Algorithm, count: int) -> None:
        self.algorithm = algorithm
        self.count = count
        self._own = threading.local()
        self._pool = ThreadPoolExecutor(count, "innerloop-worker", self._begin)

    def gradient(self, params: Params, batch: Batch, step: int = 0, seed: int = 0, first: int = 0) -> BatchGradient:
        """Return the mean meta-gradient of an outer step, as `Loop.gradient`."""

        def one(own: Algorithm, index: int, episode: Episode) -> MetaGradient:
            return own.meta_gradient(params, episode, step, noise(seed, step, first + index))

        found = Sum()
        for each in self._run(one, tasks(batch)):
            found.take(each)
        return mean([found])

    def each(self, function: PerTask, params: Params, batch: Batch) -> Tensor:
        """Return what the function says of every episode [task ...]."""
        return torch.stack(list(self._run(lambda own, _, episode: function(own, params, episode), tasks(batch))))

    def over(self, items: Iterable[Item], function: Callable[[Algorithm, Item], Found]) -> list[Found]:
        """Return what the function says of every item, in their order, with the algorithm of the thread it runs on."""
        return list(self._run(lambda own, _, item: function(own, item), items))

    def _begin(self) -> None:
        torch.set_num_threads(1)
        self._own.algorithm = replace(self.algorithm, learner=self.algorithm.learner.copied())

    def _run(self, work: Callable[[Algorithm, int, Item], Found], items: Iterable[Item]) -> Iterator[Found]:
        """Yield what `work` makes of every item, in their order, while threads go on with those to come."""
        gradients = torch.is_grad_enabled()

        def run(index: int, item: Item) -> Found:
            with torch.set_grad_enabled(gradients):  # a mode that does not go from a thread to those it starts
                return work(self._own.algorithm, index, item)

        # Settings of the whole process, once for all threads.
        with seeded(0), plain_kernels(self.algorithm.learner.recurrent):
            begun: list[Future[Found]] = [self._pool.submit(run, index, item) for index, item in enumerate(items)]
            try:
                while begun:
                    yield begun.pop(0).result()
            finally:
                # What has begun goes on to its end: it must not meet the settings of whoever comes next.
                for each in begun:
                    each.cancel()
                wait(begun)


def of_slopes_and_bends(algorithm: Algorithm, count: int) -> tuple[Workers, Workers]:
    """Return threads that are quick for losses and slopes, and threads for second derivatives; both without dropout."""
    still = algorithm.learner.tested()
    slopes, bends = (Workers(replace(algorithm, learner=own), count) for own in (still.pooled(), still.curved()))
    return slopes, bends
