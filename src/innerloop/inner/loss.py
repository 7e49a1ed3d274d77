"""What the inner and the outer loop minimise, as functions of (outputs, targets)."""

from collections.abc import Callable, Mapping
from functools import partial

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from innerloop.errors import ConfigError
from innerloop.inner.one_hot import one_hot
from innerloop.models import refuse_targets
from innerloop.shapes import Logits, Scalar, Targets

Loss = Callable[[Tensor, Tensor], Tensor]


def cross_entropy(outputs: Logits, targets: Targets) -> Scalar:
    """Return the mean cross-entropy in nats; targets are class slots."""
    try:
        return F.cross_entropy(outputs, targets)
    except (IndexError, RuntimeError) as error:
        if targets.is_floating_point():
            raise ConfigError("expected class slots for cross_entropy, got real targets; use inner.loss=mse") from error
        refuse_targets(outputs, targets)
        raise


def mse(outputs: Logits, targets: Targets) -> Scalar:
    """Return the mean squared error over examples and outputs; class slots count as one-hot rows (kao2022)."""
    wanted = as_real(targets, outputs)
    if wanted.shape != outputs.shape:
        raise ConfigError(
            f"expected a target for each of the outputs {tuple(outputs.shape)}, got {tuple(wanted.shape)}; reshape "
            "them (targets[:, None] for one output) or build the head with as many rows"
        )
    return F.mse_loss(outputs, wanted)


def as_real(targets: Tensor, outputs: Tensor) -> Tensor:
    """Return real targets as they are, and class slots as one-hot rows of the outputs' width and type."""
    if targets.is_floating_point():
        return targets
    try:
        return one_hot(targets, outputs.shape[-1], outputs.dtype)
    except (IndexError, RuntimeError):
        refuse_targets(outputs, targets)
        raise


def weighted(loss: Loss, outputs: Tensor, targets: Tensor, weights: Tensor) -> Scalar:
    """Return the mean over examples of weight times the example's own loss; weights of 1 give the loss itself.

    Args:
        loss: A mean over examples, as all of `LOSSES` are.
        outputs: [example way].
        targets: One an example.
        weights: [example]; 0 takes an example out of the loss and leaves the others' share as it was.
    """
    each = torch.vmap(lambda output, target: loss(output[None], target[None]))(outputs, targets)
    return (weights * each).mean()


LOSSES: Mapping[str, Loss] = {"cross_entropy": cross_entropy, "mse": mse}


def loss_of(loss: str | Loss) -> Loss:
    """Return a named loss, or the user's own function, which is held to return a scalar."""
    return LOSSES[loss] if isinstance(loss, str) else partial(_scalar, loss)


def _scalar(loss: Loss, outputs: Tensor, targets: Tensor) -> Scalar:
    value = loss(outputs, targets)
    if not isinstance(value, Tensor) or value.dim() or not value.is_floating_point():
        got = f"shape {tuple(value.shape)}, {value.dtype}" if isinstance(value, Tensor) else type(value).__name__
        raise ConfigError(f"expected a loss that is one real number for all examples, got {got}; return its mean")
    return value


def accuracy(outputs: Logits, targets: Targets) -> Scalar:
    """Return the share of examples whose largest output is their class, in [0, 1]; NaN for real targets."""
    if targets.is_floating_point():
        return outputs.new_full((), float("nan"))
    return (outputs.argmax(-1) == targets).to(outputs.dtype).mean()
