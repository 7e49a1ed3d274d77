"""The inner loop: a few gradient steps on the support set, as a pure function of the parameters.

    params[i+1] = params[i] - lr * d support_loss(params[i]) / d params[i]      for the names that adapt

Differentiate *through* `adapt` for second order, *after* it for first order. Source: finn2017, algorithm 2.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from torch import Tensor
from torch.func import grad_and_value

from innerloop.data.episode import Examples
from innerloop.errors import ConfigError, unknown_name
from innerloop.inner.gradient import final_gradient
from innerloop.inner.loss import LOSSES, weighted
from innerloop.models import Learner
from innerloop.params import add, select
from innerloop.shapes import Params


@dataclass(frozen=True)
class InnerLoop:
    """How a learner adapts to a support set.

    Attributes:
        lr: Learning rate of the inner steps, of any sign; 0 leaves the parameters as they are.
        steps: How many inner steps, 0 or more.
        loss: `cross_entropy` or `mse`; the outer loop minimises the same.
    """

    lr: float = 0.4
    steps: int = 1
    loss: str = "cross_entropy"

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise unknown_name("loss", self.loss, LOSSES)
        if not isinstance(self.steps, int):
            raise ConfigError(f"expected a whole number of inner steps, got {self.steps}; 1 to 10 are usual")
        if self.steps < 0:
            raise ConfigError(f"expected inner steps of at least 0, got {self.steps}; ask for 1 or more to adapt")
        if not math.isfinite(self.lr):
            raise ConfigError(f"expected a finite inner learning rate, got {self.lr}; the papers use 0.01 to 0.4")


class Trajectory(NamedTuple):
    """The parameters before the first inner step and after each, and the support loss each step started from."""

    params: tuple[Params, ...]
    support_losses: tuple[Tensor, ...]

    @property
    def adapted(self) -> Params:
        """The parameters after the last inner step."""
        return self.params[-1]


def adapt(
    learner: Learner,
    inner: InnerLoop,
    names: Collection[str],
    params: Params,
    support: Examples,
    differentiable: bool = False,
    weights: Tensor | None = None,
) -> Trajectory:
    """Adapt the named parameters to a support set.

    Args:
        learner: What the parameters belong to.
        inner: Rate, number of steps and loss.
        names: The parameters that move; the others stay.
        params: Where the inner loop starts.
        support: Examples to adapt on.
        differentiable: Whether somebody will differentiate through the trajectory.
        weights: How much each support example's loss counts [example]; all alike when None. An example of weight 0
            still takes part in the support set's BatchNorm statistics.

    Returns:
        `inner.steps + 1` sets of parameters, the first being `params`.
    """
    path, losses = [params], []
    for _ in range(inner.steps):
        here = path[-1]

        def support_loss(moving: Params, here: Params = here) -> tuple[Tensor, Tensor]:
            logits = learner.logits({**here, **moving}, support.inputs)
            loss = LOSSES[inner.loss]
            if weights is not None:
                return weighted(loss, logits, support.targets, weights), logits
            return loss(logits, support.targets), logits

        take = grad_and_value(support_loss, has_aux=True) if differentiable else partial(final_gradient, support_loss)
        gradient, (loss, _) = take(select(here, names))
        path.append(add(here, gradient, -inner.lr))
        losses.append(loss)
    return Trajectory(tuple(path), tuple(losses))
