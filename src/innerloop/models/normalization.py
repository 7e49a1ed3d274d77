"""Whose statistics a BatchNorm layer uses: those of the whole batch, or those of the support set alone.

`batch` is the papers' way: query examples are normalised by one another, so predictions are transductive. `support`
normalises query examples by the support set, so that each is predicted as if it came alone.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

Normalization = Literal["batch", "support"]


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


def without_running_statistics(module: nn.Module, mode: Normalization) -> nn.Module:
    """Make every BatchNorm of `module` keep no state; in `support` mode replace it by ReferenceNorm.

    Changes the module it is given: hand it a copy.
    """
    for name, child in module.named_children():
        if not isinstance(child, _BatchNorm):
            without_running_statistics(child, mode)
        elif mode == "support":
            setattr(module, name, ReferenceNorm(child))
        else:
            child.track_running_stats = False
            child.running_mean = child.running_var = child.num_batches_tracked = None
    return module


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
