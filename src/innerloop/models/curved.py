"""BatchNorm by batch statistics whose second derivative costs about as much as its first.

    normal = (x - mean) rstd                       y = weight normal + bias
    P(a)   = a - mean(a) - normal mean(a normal)   d loss / d x = weight rstd P(d loss / d y)

torch's own double backward is a formula of many full-size sums, which on a CPU is slower than all convolutions together
when channels come last. P is linear and is its own transpose, so the second derivative is one more P and three
multiples of tensors that are there already:

    s = weight rstd sum(u P(dy)) + v sum(dy normal) + t sum(dy)        u, v, t: cotangents of dx, dweight, dbias
    ds / d dy = weight rstd P(u) + v normal + t
    ds / d x  = rstd P((v - weight rstd mean(u normal)) dy - weight rstd mean(dy normal) u)
                - (ds / d rstd) rstd^2 normal / n

Same numbers as torch's to rounding; for reverse mode alone.
"""

from typing import Any, cast

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn.modules.batchnorm import _BatchNorm

from innerloop.models.normalization import FrozenNorm, ReferenceNorm


class CurvedNorm(nn.Module):
    """BatchNorm over all rows of the batch, without running statistics."""

    def __init__(self, norm: _BatchNorm) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = norm.weight, norm.bias, norm.eps

    def forward(self, inputs: Tensor) -> Tensor:
        """Normalise every row, then scale and shift by channel."""
        if self.weight is None or self.bias is None:
            return F.batch_norm(inputs, None, None, self.weight, self.bias, training=True, eps=self.eps)
        return cast("Tensor", _Norm.apply(inputs, self.weight, self.bias, self.eps)[0])  # type: ignore[no-untyped-call]


def curved(module: nn.Module) -> nn.Module:
    """Replace every plain BatchNorm by one with a fast second derivative. Changes the module: hand it a copy."""
    for name, child in module.named_children():
        if isinstance(child, _BatchNorm) and not child.track_running_stats:
            setattr(module, name, CurvedNorm(child))
        elif not isinstance(child, ReferenceNorm | FrozenNorm):
            curved(child)
    return module


class _Norm(Function):
    """x, weight, bias -> y, with mean and reciprocal deviation for the way back."""

    @staticmethod
    def forward(inputs: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
        return torch.native_batch_norm(inputs, weight, bias, None, None, True, 0.0, eps)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        values, weight, _, ctx.eps = inputs
        _, mean, rstd = output
        ctx.mark_non_differentiable(mean, rstd)
        ctx.save_for_backward(values, weight, mean, rstd)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
        values, weight, mean, rstd = ctx.saved_tensors
        found = _NormGradient.apply(cotangents[0], values, weight, mean, rstd, ctx.eps)  # type: ignore[no-untyped-call]
        return (*found, None)


class _NormGradient(Function):
    """dy, x, weight -> dx, dweight, dbias."""

    @staticmethod
    def forward(
        dy: Tensor, values: Tensor, weight: Tensor, mean: Tensor, rstd: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        return _backward(dy, values, weight, mean, rstd, eps)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        dy, values, weight, mean, rstd, ctx.eps = inputs
        ctx.save_for_backward(dy, values, weight, mean, rstd, *output)

    @staticmethod
    def backward(ctx: Any, u: Tensor, v: Tensor, t: Tensor) -> tuple[Tensor | None, ...]:
        dy, values, weight, mean, rstd, dx, dweight, dbias = ctx.saved_tensors
        count = values.numel() // values.shape[1]
        ones = torch.ones_like(weight)
        projected, u_normal, u_sum = _backward(u, values, ones, mean, rstd, ctx.eps)  # rstd P(u) and sums
        d_weight = rstd * ((u * dy).sum(_rows(values)) - u_sum * dbias / count - u_normal * dweight / count)
        by_channel = [1, -1] + [1] * (values.dim() - 2)

        def wide(value: Tensor) -> Tensor:
            return value.view(by_channel)

        # v normal + t, and its like below, as one multiple of x and a constant.
        d_dy = torch.addcmul(wide(t - v * rstd * mean), values, wide(v * rstd)).addcmul_(projected, wide(weight))
        d_normal = -d_weight * weight * rstd / count  # ds / d rstd is d_weight weight / rstd
        of_dy = v - weight * rstd * u_normal / count
        of_u = -weight * rstd * dweight / count
        again = _backward(dy, values, ones, mean, rstd, ctx.eps)[0] if bool((weight == 0).any()) else None
        d_values = torch.addcmul(wide(-d_normal * rstd * mean), values, wide(d_normal * rstd))
        d_values = d_values.addcmul_(projected, wide(of_u))
        if again is None:
            d_values = d_values.addcmul_(dx, wide(of_dy / weight))
        else:
            d_values = d_values.addcmul_(again, wide(of_dy))
        return d_dy, d_values, d_weight, None, None, None


def _backward(
    dy: Tensor, values: Tensor, weight: Tensor, mean: Tensor, rstd: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    mask = [True, True, True]
    found: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.native_batch_norm_backward(
        dy, values, weight, None, None, mean, rstd, True, eps, mask
    )
    return found


def _rows(values: Tensor) -> list[int]:
    return [axis for axis in range(values.dim()) if axis != 1]
