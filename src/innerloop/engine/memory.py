"""Does the graph that second order keeps fit into memory? It grows by the same with every inner step.

    bytes(steps) = bytes(1) + (steps - 1) * (bytes(2) - bytes(1))

Both are measured on the episode itself: the storages made on the way to the outer loss that are still alive when it
stands, which are those that its graph keeps.
"""

import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from innerloop.algorithms import Algorithm
from innerloop.algorithms.maml import adapted_loss
from innerloop.data.episode import Episode
from innerloop.engine.free import free_bytes
from innerloop.models import seeded
from innerloop.shapes import Params

# How much of the free memory a graph may take: going back over it needs some of its own, and so does the rest.
SHARE = 0.8


class Living(TorchDispatchMode):
    """While it is on, follows the storages that operations make, also those inside torch.func's transforms.

    Saved-tensor hooks would say the same of plain autograd, but torch.func refuses them.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._sizes: dict[int, int] = {}

    @property
    def bytes(self) -> int:
        """How many bytes of these storages are alive."""
        return sum(self._sizes.values())

    def __torch_dispatch__(
        self,
        operation: Callable[..., Any],
        _types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run the operation, and follow what it made: a view of what it was given is nothing new."""
        kwargs = kwargs or {}
        found = operation(*args, **kwargs)
        given = {each.untyped_storage()._cdata for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)}
        for each in tree_leaves(found):
            if isinstance(each, Tensor):
                storage = each.untyped_storage()
                key = storage._cdata
                if key not in given and key not in self._sizes:
                    self._sizes[key] = storage.nbytes()
                    weakref.finalize(storage, self._sizes.pop, key, None)
        return found


def fits(algorithm: Algorithm, params: Params, episode: Episode, tasks_at_once: int = 1) -> bool:
    """Whether the graph of a second-order meta-gradient fits into the memory that is free; no work at one step or none.

    Args:
        algorithm: Whose inner loop is differentiated, at its number of inner steps.
        params: The meta-parameters, on the device in question.
        episode: One task, like all others in size.
        tasks_at_once: How many tasks' graphs are held together.
    """
    if algorithm.inner.steps <= 1:
        return True
    free = free_bytes(next(iter(params.values())).device)
    return free is None or tasks_at_once * graph_bytes(algorithm, params, episode) <= SHARE * free


def graph_bytes(algorithm: Algorithm, params: Params, episode: Episode) -> int:
    """Return how many bytes the graph of a second-order meta-gradient keeps, predicted from one and two inner steps."""
    steps = algorithm.inner.steps
    if steps <= 2:
        return retained_bytes(algorithm, params, episode)
    one, two = (retained_bytes(algorithm.with_inner(steps=count), params, episode) for count in (1, 2))
    return one + (steps - 1) * (two - one)


def retained_bytes(algorithm: Algorithm, params: Params, episode: Episode) -> int:
    """Return how many bytes the graph keeps, counted at all of the algorithm's inner steps."""
    leaves = {name: value.detach().requires_grad_() for name, value in params.items()}
    living = Living()
    with seeded(0), torch.enable_grad(), living:
        held = adapted_loss(algorithm, leaves, episode, step=0, differentiable=True)
    kept = living.bytes
    del held
    return kept
