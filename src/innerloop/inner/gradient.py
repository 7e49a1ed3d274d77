"""The gradient that nobody will differentiate again, and the one that somebody will.

`torch.func.grad` records its own backward pass so that it can be differentiated; where that is not wanted, plain
autograd frees as it goes and is a third faster on the small networks of this field. Inside a transform of torch.func
(an engine that maps over tasks, or that traces) only torch.func itself may differentiate: `transformable` says so.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

import torch
from torch import Tensor
from torch.func import grad_and_value

from innerloop.errors import ConfigError
from innerloop.models import refuse_in_place
from innerloop.shapes import Params

Rest = TypeVar("Rest", Tensor, dict[str, Tensor])

_transformed: ContextVar[bool] = ContextVar("transformed", default=False)


@contextmanager
def transformable() -> Iterator[None]:
    """Take gradients by torch.func alone meanwhile, so that the code within can be mapped, traced and compiled."""
    before = _transformed.set(True)
    try:
        yield
    finally:
        _transformed.reset(before)


def final_gradient(
    function: Callable[[Params], tuple[Tensor, Rest]], params: Params
) -> tuple[Params, tuple[Tensor, Rest]]:
    """Return the gradient of `function`'s first output and both outputs, all detached.

    Args:
        function: Maps parameters to (scalar to differentiate, anything else worth having).
        params: Where to differentiate. Entries that `function` does not use get a zero gradient.
    """
    if _transformed.get():
        gradient, (value, rest) = grad_and_value(function, has_aux=True)(
            {name: each.detach() for name, each in params.items()}
        )
        return {name: each.detach() for name, each in gradient.items()}, (value.detach(), _detached(rest))
    leaves = {name: value.detach().requires_grad_() for name, value in params.items()}
    with torch.enable_grad():
        value, rest = function(leaves)
    if not value.requires_grad:
        raise ConfigError(
            "expected a loss that depends on a parameter to train, got one that does not; do not detach it, and leave "
            "something unfrozen"
        )
    try:
        gradients = torch.autograd.grad(value, list(leaves.values()), allow_unused=True, materialize_grads=True)
    except RuntimeError as error:
        refuse_in_place(error)
        raise
    return dict(zip(leaves, gradients, strict=True)), (value.detach(), _detached(rest))


def lasting_gradient(
    function: Callable[[Params], tuple[Tensor, Rest]], params: Params
) -> tuple[Params, tuple[Tensor, Rest]]:
    """Return what `final_gradient` does, so that it can be differentiated again."""
    try:
        return grad_and_value(function, has_aux=True)(params)
    except RuntimeError as error:
        refuse_in_place(error)
        raise


def _detached(rest: Rest) -> Rest:
    if isinstance(rest, Tensor):
        return rest.detach()
    return {name: value.detach() for name, value in rest.items()}
