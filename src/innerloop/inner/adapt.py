"""The inner loop: a few gradient steps on the support set, as a pure function of the parameters.

    params[i+1] = params[i] - rate * direction(d support_loss(params[i]) / d params[i])     for the names that adapt

Differentiate *through* `adapt` for second order. First order differentiates through it too, but with every inner
gradient held constant: the way from the parameters before to those after is then the identity, except for learned
rates and a head made of the support set. Source: finn2017, algorithm 2.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from innerloop.data.episode import Examples
from innerloop.inner.gradient import final_gradient, lasting_gradient
from innerloop.inner.loop import InnerLoop
from innerloop.inner.loss import loss_of, weighted
from innerloop.inner.norms import with_norms_of
from innerloop.inner.rates import rate
from innerloop.inner.rule import EMPTY, UPDATES, Memory
from innerloop.inner.start import started
from innerloop.models import Learner
from innerloop.params import add, select
from innerloop.shapes import Params


class Trajectory(NamedTuple):
    """The parameters before the first inner step and after each, and the support loss each step started from."""

    params: tuple[Params, ...]
    support_losses: tuple[Tensor, ...]

    @property
    def adapted(self) -> Params:
        """The parameters after the last inner step."""
        return self.params[-1]


class Position(NamedTuple):
    """Where the inner loop stands; one of these decides all that follows.

    Attributes:
        params: Its parameters.
        memory: What the rule remembers of earlier gradients.
        taken: How many steps have been taken.
        loss: The support loss that the last of them started from; None at first.
    """

    params: Params
    memory: Memory = EMPTY
    taken: int = 0
    loss: Tensor | None = None


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
        inner: Rates, rule, number of steps and loss.
        names: The parameters that move; the others stay.
        params: Where the inner loop starts, learned rates among them.
        support: Examples to adapt on.
        differentiable: Whether somebody will differentiate through the inner gradients.
        weights: How much each support example's loss counts [example]; all alike when None. An example of weight 0
            still takes part in the support set's BatchNorm statistics.

    Returns:
        `inner.steps + 1` sets of parameters, the first being `params`, or what `inner.start` makes of them.
    """
    path = list(descend(learner, inner, names, params, (support,), differentiable, weights))
    return Trajectory(tuple(each.params for each in path), tuple(each.loss for each in path if each.loss is not None))


def descend(
    learner: Learner,
    inner: InnerLoop,
    names: Collection[str],
    params: Params,
    supports: Sequence[Examples],
    differentiable: bool = False,
    weights: Tensor | None = None,
) -> Iterator[Position]:
    """Yield the start and the position after every inner step; nothing behind is kept.

    Args as in `adapt`, but for `supports`: the examples of each step in turn, from the first again after the last.
    """
    start = started(learner, inner, params, supports[0])
    here = Position(start)
    yield here
    for step in range(inner.steps):
        support = supports[step % len(supports)]
        here = inner_step(learner, inner, names, params, start, here, support, differentiable, weights)
        yield here


def inner_step(
    learner: Learner,
    inner: InnerLoop,
    names: Collection[str],
    params: Params,
    start: Params,
    position: Position,
    support: Examples,
    differentiable: bool = False,
    weights: Tensor | None = None,
) -> Position:
    """Return the position one inner step further on; whatever it depends on is among its arguments.

    Args:
        learner: What the parameters belong to.
        inner: Rates, rule and loss.
        names: The parameters that move; the others stay.
        params: The meta-parameters, for what is learned of the step: rates, norms.
        start: The parameters before the first step, from which the proximal distance counts.
        position: Where the step begins.
        support: Examples of this step.
        differentiable: Whether somebody will differentiate through the inner gradient.
        weights: How much each support example's loss counts [example]; all alike when None.
    """
    here, step, loss_function = position.params, position.taken, loss_of(inner.loss)

    def support_loss(moving: Params) -> tuple[Tensor, Tensor]:
        logits = learner.logits({**here, **moving}, support.inputs)
        if weights is not None:
            return weighted(loss_function, logits, support.targets, weights), logits
        return loss_function(logits, support.targets), logits

    take = lasting_gradient if differentiable else final_gradient
    gradient, (loss, _) = take(support_loss, select(here, names))
    if inner.proximal:
        gradient = {name: value + inner.proximal * (here[name] - start[name]) for name, value in gradient.items()}
    memory, direction = UPDATES[inner.rule](inner, position.memory, gradient)
    moved = with_norms_of(step + 1, learner, inner, params, _moved(inner, params, here, direction, step))
    return Position(moved, memory, step + 1, loss)


def _moved(inner: InnerLoop, params: Params, here: Params, direction: Params, step: int) -> Params:
    if inner.learned_rates == "none" and not inner.lr_of:
        return add(here, direction, -inner.lr)
    moved = dict(here)
    for name, way in direction.items():
        own = rate(inner, params, name, step)
        moved[name] = here[name] - own * way if isinstance(own, Tensor) else torch.add(here[name], way, alpha=-own)
    return moved
