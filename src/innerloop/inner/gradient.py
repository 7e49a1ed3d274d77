"""The gradient nobody will differentiate again, taken without the graph that torch.func.grad always keeps.

`torch.func.grad` records its own backward pass so that it can be differentiated; where that is not wanted, plain
autograd frees as it goes and is a third faster on the small networks of this field.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from innerloop.errors import ConfigError
from innerloop.models import refuse_in_place
from innerloop.shapes import Params


def final_gradient(
    function: Callable[[Params], tuple[Tensor, Tensor]], params: Params
) -> tuple[Params, tuple[Tensor, Tensor]]:
    """Return the gradient of `function`'s first output and both outputs, all detached.

    Args:
        function: Maps parameters to (scalar to differentiate, anything else worth having).
        params: Where to differentiate. Entries that `function` does not use get a zero gradient.
    """
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
    return dict(zip(leaves, gradients, strict=True)), (value.detach(), rest.detach())
