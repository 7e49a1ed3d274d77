"""BatchNorm, 2x2 max-pooling and ReLU as one operation, for where nobody differentiates twice.

    y = relu(weight (pool(x) - mean) rstd + bias)

Where the weight is positive, pooling picks the same places before BatchNorm as after it. Only the statistics and the
pooling then look at every value; scale, shift and ReLU have a quarter of them, and so have on the way back the sums
over examples. Same numbers as the three layers to rounding. Worth it on a CPU, where such a block waits for memory;
needs channels last.
"""

from typing import Any, cast

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn.modules.batchnorm import _BatchNorm

_POOL = ([2, 2], [2, 2], [0, 0], [1, 1], False)


class PooledNorm(nn.Module):
    """BatchNorm by batch statistics, then max-pooling, then ReLU."""

    def __init__(self, norm: _BatchNorm) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = norm.weight, norm.bias, norm.eps

    def forward(self, inputs: Tensor) -> Tensor:
        """Return [example channel height/2 width/2]."""
        if inputs.is_contiguous(memory_format=torch.channels_last) and bool((self.weight > 0).all()):
            return cast("Tensor", _Pooled.apply(inputs, self.weight, self.bias, self.eps))  # type: ignore[no-untyped-call]
        normal = F.batch_norm(inputs, None, None, self.weight, self.bias, training=True, eps=self.eps)
        return F.max_pool2d(normal, 2).relu()


def pooled(module: nn.Module) -> nn.Module:
    """Replace BatchNorm, pooling and ReLU in a row, in any Sequential, by one. Changes the module: hand it a copy."""
    for child in module.children():
        pooled(child)
    if isinstance(module, nn.Sequential):
        names = [name for name, _ in module.named_children()]
        for norm, pool, relu in zip(names, names[1:], names[2:], strict=False):
            if _is_plain(module.get_submodule(norm), module.get_submodule(pool), module.get_submodule(relu)):
                setattr(module, norm, PooledNorm(cast("_BatchNorm", module.get_submodule(norm))))
                setattr(module, pool, nn.Identity())
                setattr(module, relu, nn.Identity())
    return module


def _is_plain(norm: nn.Module, pool: nn.Module, relu: nn.Module) -> bool:
    """Whether the three layers are what `PooledNorm` computes, and nobody listens in on them."""
    if not (type(norm) is nn.BatchNorm2d and type(pool) is nn.MaxPool2d and type(relu) is nn.ReLU):
        return False
    if any(layer._forward_hooks or layer._forward_pre_hooks for layer in (norm, pool, relu)):
        return False
    window = (pool.kernel_size, pool.stride, pool.padding, pool.dilation, pool.ceil_mode, pool.return_indices)
    usual = window in ((2, 2, 0, 1, False, False), ((2, 2), (2, 2), 0, 1, False, False))
    return usual and not norm.track_running_stats and norm.weight is not None


class _Pooled(Function):
    """x, weight, bias -> y."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
        mean, variance = torch.batch_norm_update_stats(inputs, None, None, 0.0)
        rstd = (variance + eps).rsqrt()
        scale = weight * rstd
        largest, places = torch.ops.aten.max_pool2d_with_indices(inputs, *_POOL)
        outputs = torch.addcmul(_wide(bias - mean * scale, largest), largest, _wide(scale, largest)).relu_()
        ctx.save_for_backward(inputs, largest, places, outputs, mean, rstd, scale)
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        inputs, largest, places, outputs, mean, rstd, scale = ctx.saved_tensors
        count = inputs.numel() // inputs.shape[1]
        dy = torch.ops.aten.threshold_backward(dy, outputs, 0)
        total = _summed(dy)
        d_weight = rstd * (_summed(dy * largest) - mean * total)
        slope = -scale * rstd * d_weight / count
        shift = -scale * total / count - slope * mean
        dx = torch.ops.aten.max_pool2d_with_indices_backward(dy * _wide(scale, dy), inputs, *_POOL, places)
        dx.addcmul_(inputs, _wide(slope, dx)).add_(_wide(shift, dx))
        return dx, d_weight, total, None


def _summed(values: Tensor) -> Tensor:
    """Return the sum over examples and places [channel], as a matrix product, which is the fastest way to it."""
    rows = values.permute(0, 2, 3, 1).reshape(-1, values.shape[1])
    return (rows.new_ones(1, len(rows)) @ rows)[0].to(torch.promote_types(rows.dtype, torch.float32))


def _wide(by_channel: Tensor, like: Tensor) -> Tensor:
    return by_channel.view(1, -1, 1, 1).to(like.dtype)
