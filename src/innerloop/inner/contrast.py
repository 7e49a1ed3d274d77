"""Which part of the meta-gradient is contrastive signal, and which is interference?

With the encoder held still in the inner loop, the gradient of the adapted query loss at each feature splits exactly:

    d loss / d query_q   = sum_s coefficients[q, s] support_s  +  residual_q @ weight
    d loss / d support_s = sum_q coefficients[q, s] query_q    +  curvature_s            (second order only)

The first sums pull a query to support examples of its class and push it from the others; the rest comes from the
head as it was before adaptation and vanishes when that is zero (for one inner step). Closed forms, no autograd.

Source: kao2022, equations 6, 7, 10 and appendix. Differs from the paper: the curvature term, which its equation 8
drops, is kept, so the second-order split is exact for any head; several inner steps; squared error; any rate.
"""

import math
from typing import Literal, NamedTuple, get_args

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float, Int
from torch import Tensor

from innerloop.errors import ConfigError, DataError, unknown_name
from innerloop.inner.one_hot import one_hot

LossName = Literal["cross_entropy", "mse"]
Reduction = Literal["mean", "sum"]
Order = Literal["second", "first"]


class ContrastSplit(NamedTuple):
    """Exact parts of the adapted query loss's gradient; their sums are autograd's.

    Attributes:
        coefficients: Weight of each support feature in each query's gradient; negative attracts, positive repels.
        query_contrast: To same-class support features, away from the rest.
        query_interference: What the head before adaptation adds; 0 for a zeroed head.
        support_contrast: The mirror image at the support features; 0 for first order.
        support_curvature: What the inner loop's second derivatives add there; 0 for first order, and for a zeroed
            head at one inner step.
        head_gradient: Gradient at the head's weight before adaptation.
        bias_gradient: Gradient at its bias; None where the head has none.
        loss: The query loss after adaptation.
        query_residuals: Its derivative by each query's adapted logits; times the head before adaptation it is the
            interference.
        query_outputs: Those logits.
    """

    coefficients: Float[Tensor, "query support"]
    query_contrast: Float[Tensor, "query feature"]
    query_interference: Float[Tensor, "query feature"]
    support_contrast: Float[Tensor, "support feature"]
    support_curvature: Float[Tensor, "support feature"]
    head_gradient: Float[Tensor, "way feature"]
    bias_gradient: Float[Tensor, " way"] | None
    loss: Float[Tensor, ""]
    query_residuals: Float[Tensor, "query way"]
    query_outputs: Float[Tensor, "query way"]


def split(
    support: Float[Tensor, "support feature"],
    support_labels: Int[Tensor, " support"],
    query: Float[Tensor, "query feature"],
    query_labels: Int[Tensor, " query"],
    weight: Float[Tensor, "way feature"],
    bias: Float[Tensor, " way"] | None = None,
    *,
    inner_lr: float,
    inner_steps: int = 1,
    loss: LossName = "cross_entropy",
    reduction: Reduction = "mean",
    order: Order = "second",
) -> ContrastSplit:
    """Split the gradient of the query loss after `inner_steps` steps of the head on the support features.

    Args:
        support: Support features, float32 or float64.
        support_labels: Their class slots, 0 to way - 1.
        query: Query features.
        query_labels: Their class slots.
        weight: The linear head before adaptation.
        bias: Its bias, which adapts too; None for a head without.
        inner_lr: Inner learning rate, any sign.
        inner_steps: Inner steps, 0 or more.
        loss: `cross_entropy`, or `mse` against one-hot rows; of both loops.
        reduction: `mean` over examples (and outputs, for mse) or `sum`; of both loops.
        order: `first` holds the inner loop constant.

    Raises:
        ConfigError: An unknown loss, reduction or order, or a negative number of steps.
        DataError: A label outside the ways, or features that are not finite.
    """
    _refuse(support, support_labels, query, query_labels, weight, bias, inner_lr, inner_steps, loss, reduction, order)
    return closed_form(
        support,
        support_labels,
        query,
        query_labels,
        weight,
        bias,
        inner_lr=inner_lr,
        inner_steps=inner_steps,
        loss=loss,
        reduction=reduction,
        order=order,
    )


def closed_form(
    support: Tensor,
    support_labels: Tensor,
    query: Tensor,
    query_labels: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    inner_lr: float,
    inner_steps: int,
    loss: LossName,
    reduction: Reduction = "mean",
    order: Order,
) -> ContrastSplit:
    """Return what `split` does without looking at its arguments: what is not finite stays so, for training to tell."""
    way = weight.shape[0]
    scale_in = scale_of(loss, reduction, len(support), way)
    scale_out = scale_of(loss, reduction, len(query), way)
    beta = 0.0 if bias is None else 1.0
    outputs, residuals = head_loop(support, support_labels, weight, bias, inner_lr, inner_steps, loss, scale_in)
    start = support @ weight.T
    summed = sum(residuals, torch.zeros_like(start))
    adapted = query @ weight.T - inner_lr * (query @ support.T + beta) @ summed
    adapted = adapted if bias is None else adapted + bias
    query_residual = scale_out * _residual(adapted, query_labels, loss)

    coefficients = _coefficients(adapted, query_labels, summed, query_residual, inner_lr, scale_out, loss)
    head, head_bias = query_residual.T @ query, query_residual.sum(0)
    mirrored = coefficients.T @ query
    support_side = torch.zeros_like(support)
    if order == "second":
        # Adjoint recursion: carry d loss / d head from the last inner step back to the first.
        for step in reversed(range(inner_steps)):
            earlier = sum(residuals[:step], torch.zeros_like(start))
            head_here = weight - inner_lr * earlier.T @ support
            turned = scale_in * _curve(outputs[step], support @ head.T + beta * head_bias, loss)
            support_side = support_side - inner_lr * (residuals[step] @ head + turned @ head_here)
            head = head - inner_lr * turned.T @ support
            head_bias = head_bias - inner_lr * turned.sum(0)
    support_contrast = mirrored if order == "second" else torch.zeros_like(support)
    return ContrastSplit(
        coefficients,
        coefficients @ support,
        query_residual @ weight,
        support_contrast,
        support_side - support_contrast,
        head,
        None if bias is None else head_bias,
        _loss(adapted, query_labels, loss, reduction),
        query_residual,
        adapted,
    )


def residuals(
    logits: Float[Tensor, "example way"],
    labels: Int[Tensor, " example"],
    loss: LossName = "cross_entropy",
    reduction: Reduction = "mean",
) -> Float[Tensor, "example way"]:
    """Return the loss's derivative by each example's logits (times the examples' features, the head's gradient)."""
    return scale_of(loss, reduction, *logits.shape) * _residual(logits, labels, loss)


def head_loop(
    support: Tensor,
    labels: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    inner_lr: float,
    inner_steps: int,
    loss: LossName,
    scale: float,
    weights: Tensor | None = None,
) -> tuple[list[Tensor], list[Tensor]]:
    """Return the support's outputs before every inner step, and the loss's derivative there, both [support way].

    The inner loop in its kernel form (A2): outputs move by inner products of features with what was summed so far.

    Args:
        support: Support features [support feature].
        labels: Their class slots.
        weight: The head before adaptation [way feature].
        bias: Its bias, or None.
        inner_lr: Any sign.
        inner_steps: How many.
        loss: Of the inner loop.
        scale: `scale_of` this loss.
        weights: How much each example's loss counts [support]; all alike when None.
    """
    gram = support @ support.T + (0.0 if bias is None else 1.0)
    start = support @ weight.T if bias is None else support @ weight.T + bias
    summed = torch.zeros_like(start)
    outputs: list[Tensor] = []
    residuals: list[Tensor] = []
    for _ in range(inner_steps):
        outputs.append(start - inner_lr * gram @ summed)
        residual = scale * _residual(outputs[-1], labels, loss)
        residuals.append(residual if weights is None else weights[:, None] * residual)
        summed = summed + residuals[-1]
    return outputs, residuals


def scale_of(loss: LossName, reduction: Reduction, examples: int, way: int) -> float:
    """Return the factor between (prediction - one-hot) and the derivative of the loss by the logits."""
    if loss == "cross_entropy":
        return 1 / examples if reduction == "mean" else 1.0
    return 2 / (examples * way) if reduction == "mean" else 2.0


def _residual(outputs: Tensor, labels: Tensor, loss: LossName) -> Tensor:
    """Return prediction - one-hot; p - 1 as minus the sum of the others, so that a saturated p loses nothing."""
    hot = one_hot(labels, outputs.shape[1], outputs.dtype)
    if loss == "mse":
        return outputs - hot
    others = outputs.softmax(1) * (1 - hot)
    return others - hot * others.sum(1, keepdim=True)


def _coefficients(
    adapted: Tensor,
    query_labels: Tensor,
    summed: Tensor,
    query_residual: Tensor,
    inner_lr: float,
    scale_out: float,
    loss: LossName,
) -> Tensor:
    if loss == "mse":
        return -inner_lr * query_residual @ summed.T
    # The same product as above, since a row of residuals sums to 0. In this form same-class terms share one sign, and
    # a zeroed head leaves one term alone, so that float32 cannot turn a coefficient's sign by cancellation.
    own = summed.T[query_labels]
    differences = own[:, :, None] - summed[None]
    return inner_lr * scale_out * (adapted.softmax(1)[:, None] * differences).sum(-1)


def _curve(outputs: Tensor, direction: Tensor, loss: LossName) -> Tensor:
    """Return the second derivative of each example's loss by its logits, times a direction."""
    if loss == "mse":
        return direction
    p = outputs.softmax(1)
    return p * (direction - (p * direction).sum(1, keepdim=True))


def _loss(outputs: Tensor, labels: Tensor, loss: LossName, reduction: Reduction) -> Tensor:
    if loss == "cross_entropy":
        return F.cross_entropy(outputs, labels, reduction=reduction)
    return F.mse_loss(outputs, one_hot(labels, outputs.shape[1], outputs.dtype), reduction=reduction)


def _refuse(
    support: Tensor,
    support_labels: Tensor,
    query: Tensor,
    query_labels: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    inner_lr: float,
    inner_steps: int,
    loss: str,
    reduction: str,
    order: str,
) -> None:
    for kind, value, known in (("loss", loss, LossName), ("reduction", reduction, Reduction), ("order", order, Order)):
        if value not in get_args(known):
            raise unknown_name(kind, value, get_args(known))
    if not isinstance(inner_steps, int) or inner_steps < 0:
        raise ConfigError(
            f"expected inner_steps, a whole number of at least 0, got {inner_steps}; ask for 1 or more to adapt"
        )
    if not math.isfinite(inner_lr):
        raise ConfigError(f"expected a finite inner_lr, got {inner_lr}; the papers use 0.01 to 0.4")
    way, width = weight.shape
    for name, values in (("weight", weight), ("bias", bias)):
        if values is not None and not bool(torch.isfinite(values).all()):
            raise DataError(f"expected a finite head {name}, got NaN or infinity; check the run for divergence")
    if bias is not None and len(bias) != way:
        raise DataError(
            f"expected one bias for each of the {way} rows of the head, got {len(bias)}; give the head's own"
        )
    if weight.dtype not in (torch.float32, torch.float64):
        raise DataError(f"expected float32 or float64, got {weight.dtype}; convert the features and the head")
    for name, features, labels in (("support", support, support_labels), ("query", query, query_labels)):
        if features.shape[1] != width or features.dtype != weight.dtype:
            raise DataError(
                f"expected {name} features of the head's width {width} and type {weight.dtype}, got "
                f"{features.shape[1]} and {features.dtype}; give what the head is given"
            )
        if len(labels) != len(features) or labels.is_floating_point():
            raise DataError(
                f"expected a whole-numbered label for each of {len(features)} {name} examples, got {len(labels)} of "
                f"{labels.dtype}; give class slots"
            )
        if len(labels) == 0:
            raise DataError(f"expected at least one {name} example, got none; draw a larger episode")
        if int(labels.min()) < 0 or int(labels.max()) >= way:
            raise DataError(
                f"expected {name} labels from 0 to {way - 1}, got {int(labels.min())} to {int(labels.max())}; "
                "use class slots, and a head with as many rows as ways"
            )
        if not bool(torch.isfinite(features).all()):
            raise DataError(f"expected finite {name} features, got NaN or infinity; check the run for divergence")
