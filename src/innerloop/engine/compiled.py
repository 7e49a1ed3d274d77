"""One task's meta-gradient as a traced graph, compiled: operations are fused, and Python is gone.

The whole meta-gradient is traced, inner gradients and outer one alike, so that the compiler sees plain operations and
nothing is left to differentiate. Compiling takes from 20 seconds to minutes: worth it for long trainings. Needs a C++
compiler (on a GPU, Triton); without one, and where tracing meets a choice that depends on numbers, the loop takes over.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx

from innerloop.algorithms import Algorithm, MetaGradient
from innerloop.data.episode import Batch, Episode, Examples, tasks
from innerloop.engine.batch_gradient import BatchGradient, Sum, mean
from innerloop.engine.loop import Loop, PerTask
from innerloop.errors import ConfigError, EngineWarning, InnerloopError
from innerloop.inner import transformable
from innerloop.shapes import Params

Graph = Callable[[list[Tensor]], Sequence[Tensor]]


class Compiled:
    """A loop over tasks whose body is compiled once for every shape of episode and order of the meta-gradient.

    Args:
        algorithm: What is compiled.
    """

    def __init__(self, algorithm: Algorithm) -> None:
        self.algorithm = algorithm
        self._graphs: dict[Any, Graph] = {}
        self._instead: Loop | None = None

    @property
    def name(self) -> str:
        """Which engine does the work: this one, or the loop that took over."""
        return "compiled" if self._instead is None else self._instead.name

    def gradient(self, params: Params, batch: Batch, step: int = 0, seed: int = 0, first: int = 0) -> BatchGradient:
        """Return the mean meta-gradient of an outer step, as `Loop.gradient`.

        Warns:
            EngineWarning: It cannot be compiled here; the loop goes on.
        """
        if self._instead is None:
            try:
                return self._gradient(params, batch, step)
            except InnerloopError:
                raise
            except Exception as error:  # torch's compilers raise what they please
                said = (str(error).strip().splitlines() or [type(error).__name__])[0]
                warnings.warn(
                    f"engine compiled cannot compile here ({said}); going on with the loop", EngineWarning, stacklevel=2
                )
                self._instead = Loop(self.algorithm)
        return self._instead.gradient(params, batch, step, seed, first)

    def each(self, function: PerTask, params: Params, batch: Batch) -> Tensor:
        """Return what the function says of every episode [task ...]; not compiled."""
        return Loop(self.algorithm).each(function, params, batch)

    def _gradient(self, params: Params, batch: Batch, step: int) -> BatchGradient:
        found = Sum()
        for episode in tasks(batch):
            values = [*(value.detach() for value in params.values()), *episode.support, *episode.query]
            shapes = tuple((value.shape, value.dtype, value.device) for value in values)
            key = (shapes, self.algorithm.order_at(step), step if self._changes(step) else None)
            if key not in self._graphs:
                self._graphs[key] = self._compiled(params, step, values)
            *gradients, loss, accuracy = self._graphs[key](values)
            found.take(MetaGradient(dict(zip(params, gradients, strict=True)), loss, accuracy))
        return mean([found])

    def _changes(self, step: int) -> bool:
        """Whether the outer loss weighs the inner steps otherwise from one outer step to the next."""
        axes = self.algorithm.axes
        return axes.outer_loss == "every_step" and step < axes.last_from

    def _compiled(self, params: Params, step: int, values: list[Tensor]) -> Graph:
        if self._changes(step):
            raise ConfigError(
                "expected an outer loss that stays the same for engine compiled, got one that changes until "
                f"algorithm.last_from={self.algorithm.axes.last_from}; use engine loop, or leave last_from out"
            )
        names = list(params)

        def one(flat: list[Tensor]) -> list[Tensor]:
            support, query = Examples(*flat[-4:-2]), Examples(*flat[-2:])
            with transformable():
                found = self.algorithm.meta_gradient(
                    dict(zip(names, flat[:-4], strict=True)), Episode(support, query), step
                )
            return [*(found.gradient[name] for name in names), found.loss, found.accuracy]

        compiled: Graph = torch.compile(_scaled_apart(make_fx(one)(values)), fullgraph=True, dynamic=False)
        return compiled


def _scaled_apart(graph: GraphModule) -> GraphModule:
    """Write `a + scale * b` as two operations, since torch's compiler drops the scale where b is a matrix product.

    Seen with torch 2.13. No faster or slower afterwards, since the compiler fuses the two.
    """
    aten = torch.ops.aten
    for node in list(graph.graph.nodes):
        if node.target in (aten.add.Tensor, aten.sub.Tensor) and node.kwargs.get("alpha", 1) != 1:
            with graph.graph.inserting_before(node):
                scaled = graph.graph.call_function(aten.mul.Tensor, (node.args[1], node.kwargs["alpha"]))
            node.args, node.kwargs = (node.args[0], scaled), {}
    graph.recompile()
    return graph
