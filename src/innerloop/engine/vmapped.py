"""All tasks in one go: torch.func.vmap over the task axis, in chunks that fit into memory.

Small networks leave a GPU waiting for the next operation; mapped, one operation serves all tasks. On a CPU convolutions
with weights of their own for each task make it slower than the loop.
"""

import warnings
from collections.abc import Callable, Iterator
from typing import TypeVar, cast

import torch
from torch import Tensor
from torch.func import vmap

from innerloop.algorithms import Algorithm, MetaGradient
from innerloop.data.episode import Batch, Episode, part, task_count
from innerloop.engine.batch_gradient import BatchGradient, Sum, mean
from innerloop.engine.loop import Loop, PerTask
from innerloop.errors import ConfigError, EngineWarning
from innerloop.inner import transformable
from innerloop.shapes import Params

Found = TypeVar("Found")


class Vmapped:
    """vmap in chunks; a chunk that does not fit is halved, and stays so.

    Args:
        algorithm: What is mapped.
        chunk: Tasks at once; 0 is all of a batch.
    """

    name = "vmap"

    def __init__(self, algorithm: Algorithm, chunk: int = 0) -> None:
        self.algorithm = algorithm
        self.chunk = chunk

    def gradient(self, params: Params, batch: Batch, step: int = 0, seed: int = 0, first: int = 0) -> BatchGradient:
        """Return the mean meta-gradient of an outer step, as `Loop.gradient`.

        Episodes of different shapes cannot be mapped and go one after another.

        Raises:
            ConfigError: Something in the module cannot be mapped; names the layer.
        """
        if not isinstance(batch, Episode):
            return Loop(self.algorithm).gradient(params, batch, step, seed, first)

        def one(episode: Episode) -> MetaGradient:
            return self.algorithm.meta_gradient(params, episode, step, seed)

        found = Sum()
        for several in self._parts(one, batch):
            found.take(several._replace(gradient={name: value.sum(0) for name, value in several.gradient.items()}))
        return mean([found])

    def each(self, function: PerTask, params: Params, batch: Batch) -> Tensor:
        """Return what the function says of every episode [task ...]."""
        if not isinstance(batch, Episode):
            return Loop(self.algorithm).each(function, params, batch)
        return torch.cat(list(self._parts(lambda episode: function(self.algorithm, params, episode), batch)))

    def _parts(self, function: Callable[[Episode], Found], batch: Episode) -> Iterator[Found]:
        """Yield what the mapped function makes of one chunk of tasks after another."""
        first, count = 0, task_count(batch)
        while first < count:
            size = min(self.chunk or count, count - first)
            try:
                found = self._mapped(function, cast("Episode", part(batch, first, first + size)))
            except (RuntimeError, ValueError) as error:
                if not is_out_of_memory(error):
                    raise self._refusal(error) from error
                if size == 1:
                    raise
                self.chunk = size // 2
                warnings.warn(
                    f"{size} tasks at once do not fit into memory; going on with {self.chunk}",
                    EngineWarning,
                    stacklevel=2,
                )
                continue
            yield found
            first += size

    def _mapped(self, function: Callable[[Episode], Found], episodes: Episode) -> Found:
        with transformable():
            found: Found = vmap(function)(episodes)
        return found

    def _refusal(self, error: Exception) -> ConfigError:
        said = str(error).strip().splitlines()[0]
        where = self.algorithm.learner.layer_of(error)
        return ConfigError(
            "expected a network and algorithm that can be mapped over tasks for engine vmap, got one that cannot"
            f"{where} ({said}); use engine loop or workers"
        )


def is_out_of_memory(error: Exception) -> bool:
    """Whether the error says that memory ran out, on a GPU or not."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
