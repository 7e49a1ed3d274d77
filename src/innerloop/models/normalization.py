"""Whose statistics a BatchNorm layer uses: those of the whole batch, of the support set alone, or the module's own.

    batch      query examples are normalised by one another, so predictions are transductive (the papers' way)
    support    query examples are normalised by the support set: each is predicted as if it came alone
    frozen     the running statistics that the module came with, which never change

Scale and shift are parameters like others in all three. Other kinds of normalisation are left as they are.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from innerloop.errors import ConfigError

Normalization = Literal["batch", "support", "frozen"]


class ReferenceNorm(nn.Module):
    """BatchNorm whose statistics come from the first `reference` rows of the batch (all rows when None)."""

    def __init__(self, norm: _BatchNorm) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = norm.weight, norm.bias, norm.eps
        self.reference: int | None = None

    def forward(self, inputs: Tensor) -> Tensor:
        """Normalise every row, then scale and shift by channel."""
        if self.reference is None:
            return F.batch_norm(inputs, None, None, self.weight, self.bias, training=True, eps=self.eps)
        axes = [axis for axis in range(inputs.dim()) if axis != 1]
        rows = inputs[: self.reference]
        shape = [1, -1] + [1] * (inputs.dim() - 2)
        mean = rows.mean(axes).view(shape)
        variance = rows.var(axes, correction=0).view(shape)
        normalised = (inputs - mean) * (variance + self.eps).rsqrt()
        if self.weight is None:
            return normalised
        return normalised * self.weight.view(shape) + self.bias.view(shape)


class FrozenNorm(nn.Module):
    """BatchNorm by running statistics that never change, in training and test alike."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, norm: _BatchNorm) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = norm.weight, norm.bias, norm.eps
        self.register_buffer("running_mean", norm.running_mean)
        self.register_buffer("running_var", norm.running_var)

    def forward(self, inputs: Tensor) -> Tensor:
        """Normalise every row, then scale and shift by channel."""
        return F.batch_norm(inputs, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)


def with_normalization(module: nn.Module, mode: Normalization, prefix: str = "") -> nn.Module:
    """Make every BatchNorm of `module` take its statistics as `mode` says, and gather none.

    Changes the module it is given: hand it a copy.

    Raises:
        ConfigError: `frozen` is asked for, and a layer has no running statistics.
    """
    for name, child in module.named_children():
        if not isinstance(child, _BatchNorm):
            with_normalization(child, mode, f"{prefix}{name}.")
        elif mode == "support":
            setattr(module, name, ReferenceNorm(child))
        elif mode == "frozen":
            if child.running_mean is None or child.running_var is None:
                raise ConfigError(
                    f"expected running statistics in '{prefix}{name}' to freeze, got a layer that tracks none; "
                    "use normalization batch or support"
                )
            setattr(module, name, FrozenNorm(child))
        else:
            child.track_running_stats = False
            child.running_mean = child.running_var = child.num_batches_tracked = None
    return module


def is_batch_norm(module: nn.Module, place: str) -> bool:
    """Whether the parameter at this place of a module is a BatchNorm layer's."""
    owner = module.get_submodule(place.rpartition(".")[0])
    return isinstance(owner, _BatchNorm | ReferenceNorm | FrozenNorm)


@contextmanager
def reference_rows(module: nn.Module, count: int) -> Iterator[None]:
    """Let every ReferenceNorm of `module` take its statistics from the first `count` rows meanwhile."""
    layers = [layer for layer in module.modules() if isinstance(layer, ReferenceNorm)]
    for layer in layers:
        layer.reference = count
    try:
        yield
    finally:
        for layer in layers:
            layer.reference = None
