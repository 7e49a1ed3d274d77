"""A module as a pure function of its trainable parameters: calling it changes nothing, whatever the module does."""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.func import functional_call

from innerloop.errors import ConfigError
from innerloop.models.in_place import refuse_in_place
from innerloop.models.kernels import is_recurrent, plain_kernels
from innerloop.shapes import Params


def parameter_places(module: nn.Module) -> Params:
    """Return every place in the module that holds a parameter, with what it holds: a tied parameter has several.

    A layer that goes by several names is one place.
    """
    return {
        f"{prefix}.{own}" if prefix else own: value
        for prefix, layer in module.named_modules()
        for own, value in layer.named_parameters(recurse=False, remove_duplicate=False)
    }


class PureModule:
    """A module without the values of its trainable parameters.

    Frozen parameters are constants. Buffers are handed to every call as fresh copies: a module may write into them, and
    the next call starts from the first values again. Constants and buffers follow parameters of another type or
    device; real inputs follow the parameters' type.

    Args:
        module: What to run; nobody else may hold it.
        places: Where each parameter goes: place in the module -> name in Params. A tied parameter has several places.
        lead: The parameter, of this module or beside it, whose type and device the others are expected to have, and
            what it was like in the module as brought.
        rounding: The type that convolutions and matrix products round to; None for none. Outputs keep the parameters'.
    """

    def __init__(
        self,
        module: nn.Module,
        places: Mapping[str, str],
        lead: tuple[str, Tensor],
        rounding: torch.dtype | None = None,
    ) -> None:
        self.rounding = rounding
        self.module = module
        self.places = tuple(places.items())
        self.lead, self.home = lead
        self.frozen = {place: value for place, value in parameter_places(module).items() if place not in places}
        self.buffers = {
            f"{prefix}.{own}" if prefix else own: value
            for prefix, layer in module.named_modules()
            for own, value in layer.named_buffers(recurse=False, remove_duplicate=False)
        }
        self.recurrent = is_recurrent(module)

    def __call__(self, params: Params, inputs: Tensor) -> Tensor:
        """Return what the module makes of the inputs with these parameters.

        Raises:
            ConfigError: A parameter is missing, the module returns no tensor, or it works in place where that breaks.
        """
        values = self._values(params)
        kept = (inputs, *values.values())
        written = _writes(kept)
        try:
            with plain_kernels(self.recurrent), self._rounded(inputs):
                # Every place of a tied parameter is named, so torch need not look for them.
                output = functional_call(
                    self.module, {**values, **self._constants(params)}, (inputs,), tie_weights=False
                )
        except RuntimeError as error:
            refuse_in_place(error, self.module)
            raise
        if _writes(kept) != written:
            raise ConfigError(
                "expected a module that leaves its inputs and parameters as they are, got "
                f"{type(self.module).__name__}, which overwrites some; write x = x + y for x += y"
            )
        if not isinstance(output, Tensor):
            raise ConfigError(
                f"expected one tensor from {type(self.module).__name__}, got {type(output).__name__}; "
                "wrap the module in one that returns the logits alone"
            )
        return output if self.rounding is None else output.to(self._like(params).dtype)

    def fitted(self, params: Params, inputs: Tensor) -> Tensor:
        """Return real inputs in the parameters' type, and others as they are."""
        if not inputs.is_floating_point():
            return inputs
        return inputs.to(self._like(params).dtype)

    def _rounded(self, inputs: Tensor) -> AbstractContextManager[object]:
        return nullcontext() if self.rounding is None else torch.autocast(inputs.device.type, self.rounding)

    def _values(self, params: Params) -> Params:
        try:
            return {place: params[name] for place, name in self.places}
        except KeyError as error:
            raise ConfigError(
                f"expected a value for every parameter, got none for {error}; start from initial_params()"
            ) from error

    def _like(self, params: Params) -> Tensor:
        """Return what decides type and device: the leading parameter as handed, or where it is not, as brought."""
        return params.get(self.lead, self.home)

    def _constants(self, params: Params) -> Params:
        if self.buffers or self.frozen:
            like = self._like(params)
            if like.dtype != self.home.dtype or like.device != self.home.device:
                return _moved({**self.frozen, **self.buffers}, self.home, like)
        return {place: value.clone() for place, value in self.buffers.items()}


def _writes(tensors: Iterable[Tensor]) -> int:
    """Count how often the tensors were written into; those of inference mode keep no count."""
    return sum(0 if tensor.is_inference() else tensor._version for tensor in tensors)


def _moved(constants: Params, home: Tensor, like: Tensor) -> Params:
    """Return copies on the device of `like`; what had the type of `home` gets that of `like`."""
    return {
        place: value.to(like.device, like.dtype if value.dtype == home.dtype else value.dtype, copy=True)
        for place, value in constants.items()
    }
