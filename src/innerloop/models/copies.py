"""How a module is copied: its structure anew, each parameter and buffer as the caller says."""

import copy
from collections.abc import Callable

from torch import Tensor, nn

from innerloop.errors import ConfigError


def copy_of(module: nn.Module, tensor: Callable[[Tensor], Tensor]) -> nn.Module:
    """Return a module of the same structure that holds `tensor(value)` for every parameter and buffer.

    Tied tensors stay tied. Tensors that a forward pass left behind in plain attributes are handed over as they are,
    for Python refuses to copy one that hangs on a graph.

    Args:
        module: Any module; it is not changed.
        tensor: What becomes of a parameter or buffer; the identity shares it.

    Raises:
        ConfigError: Something in the module cannot be copied.
    """
    memo: dict[int, object] = {}
    for layer in module.modules():
        memo |= {id(value): value for value in vars(layer).values() if isinstance(value, Tensor) and not value.is_leaf}
    for value in (*module.parameters(), *module.buffers()):
        memo[id(value)] = tensor(value)
    try:
        return copy.deepcopy(module, memo)
    except (TypeError, RuntimeError) as error:
        raise ConfigError(
            f"expected a module that can be copied, got {type(module).__name__}, in which Python says: {error}; "
            "keep only layers, parameters, buffers and plain values in it"
        ) from error
