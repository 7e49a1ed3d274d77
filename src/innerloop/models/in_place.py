"""What becomes of in-place operations in a module: layers that offer the choice write elsewhere, others are named.

An operation that overwrites its input can take away what the first or second derivative needs, and under torch.func
it may not touch anything that came from outside.
"""

import re
from types import TracebackType

from torch import nn

from innerloop.errors import ConfigError

_CURE = "write x = x + y for x += y, F.relu(x) for F.relu_(x), and keep in buffers what changes"


def out_of_place(module: nn.Module) -> nn.Module:
    """Turn `inplace=True` off in every layer; the module computes the same. Changes the module it is given."""
    for layer in module.modules():
        if getattr(layer, "inplace", None) is True:
            layer.inplace = False  # type: ignore[assignment]
    return module


def refuse_in_place(error: RuntimeError, module: nn.Module | None = None) -> None:
    """Say in one line which layer cannot be differentiated, if that is what torch's error is about; else return.

    Costs nothing where all goes well: call it where an error of forward or backward was caught, and raise that error
    again if this returns.

    Args:
        error: What torch raised.
        module: The module that was running, so that the layer can be named.

    Raises:
        ConfigError: The error is about an in-place operation, or one that torch.func cannot follow.
    """
    said, where = str(error), layer_of(error, module)
    if "data pointer of Tensor" in said:
        raise ConfigError(
            f"expected operations that torch.func can follow, got one that reads memory itself{where}, as packed "
            "sequences do; hand recurrent layers padded ones, or use first order"
        ) from error
    if "doubly backward" in said or "derivative for" in said:
        raise ConfigError(
            f"expected operations with a second derivative, got one without{where} ({said.splitlines()[0]}); "
            "use first order, or another operation"
        ) from error
    if re.search(r"in-?place|leaf Variable", said):
        lost = re.search(r"output \d+ of (\w+?)(Backward\w*)?,", said)
        what = f" on what {lost[1]} returned" if lost else ""
        raise ConfigError(f"expected no in-place operation, got one{what}{where}; {_CURE}") from error


def layer_of(error: BaseException, module: nn.Module | None) -> str:
    """Return ` in 'name' (Kind)` of the innermost layer of `module` that ran when the error came, or nothing."""
    trace: TracebackType | None = error.__traceback__
    names = {} if module is None else {id(layer): name for name, layer in module.named_modules()}
    found = ""
    while trace is not None:
        layer = trace.tb_frame.f_locals.get("self")
        if id(layer) in names:
            name = names[id(layer)]
            found = f" in {f'{name!r} ' if name else ''}({type(layer).__name__})"
        trace = trace.tb_next
    return found
