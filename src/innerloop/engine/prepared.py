"""What is done around any engine: images laid out, a GPU's matrix products rounded as asked, all on one device."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from innerloop.algorithms import Algorithm
from innerloop.data.episode import Batch, on
from innerloop.engine.batch_gradient import BatchGradient
from innerloop.engine.config import Precision
from innerloop.engine.layout import laid_out, last_batch
from innerloop.engine.loop import Engine, PerTask
from innerloop.shapes import Params


class Prepared:
    """An engine, with its surroundings set up for each call.

    Args:
        engine: Does the work.
        channels_last: Whether images and convolutions lie in memory with channels last.
        precision: How matrix products round.
        rule: By which rule the engine works, if not by the algorithm's own.
    """

    def __init__(self, engine: Engine, channels_last: bool, precision: Precision, rule: str = "") -> None:
        self.engine = engine
        self.channels_last = channels_last
        self.precision: Precision = precision
        self.rule = rule

    @property
    def name(self) -> str:
        """That of the engine within, with its rule: `workers, closed form`."""
        return f"{self.engine.name}, {self.rule}" if self.rule else self.engine.name

    @property
    def algorithm(self) -> Algorithm:
        """What is mapped."""
        return self.engine.algorithm

    def gradient(self, params: Params, batch: Batch, step: int = 0, seed: int = 0, first: int = 0) -> BatchGradient:
        """Return the mean meta-gradient of an outer step, as `Loop.gradient`."""
        with self._around():
            return self.engine.gradient(*self._laid(params, batch), step, seed, first)

    def each(self, function: PerTask, params: Params, batch: Batch) -> Tensor:
        """Return what the function says of every episode [task ...]."""
        with self._around():
            return self.engine.each(function, *self._laid(params, batch))

    def _laid(self, params: Params, batch: Batch) -> tuple[Params, Batch]:
        batch = on(batch, next(iter(params.values())).device)
        return (laid_out(params), last_batch(batch)) if self.channels_last else (params, batch)

    @contextmanager
    def _around(self) -> Iterator[None]:
        shorter = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
        if self.precision == "tf32":
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        try:
            yield
        finally:
            torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = shorter
