"""Entropy-SGD: follow the parameters to the middle of the valley around them, found by a noisy inner loop.

    here = mean = params
    here <- here - inner_lr (d loss / d here on the next minibatch + proximal (here - params)) + noise
    mean <- (1 - averaging) mean + averaging here
    meta-gradient = params - mean

One classifier over all training classes; a task is a draw of examples, cut into as many minibatches as inner steps. It
descends the local entropy, -log of the integral of exp(-loss) over a Gaussian around the parameters, whose gradient is
the distance to the Gibbs measure's mean. With `proximal=0, averaging=1, noise=0` and an outer step of plain descent at
rate 1 it *is* plain SGD, a minibatch at a time: the control that what holds of both is not Entropy-SGD's.

Source: chaudhari2017, algorithm 1 and equation 6. Differs from the paper: minibatches of one outer step partition its
examples; without momentum; the noise's variance is 2 inner_lr, as Langevin dynamics have it.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from innerloop.algorithms.algorithm import Algorithm, MetaGradient
from innerloop.algorithms.reptile import minibatches
from innerloop.data.episode import Episode, Examples, require_classes
from innerloop.errors import ConfigError
from innerloop.inner import accuracy, final_gradient, loss_of
from innerloop.params import add, select
from innerloop.shapes import Params, Scalar


class Place(NamedTuple):
    """Where the inner loop stands.

    Attributes:
        params: The parameters.
        looked: What the next gradient is taken at: the same, but for a head that remembers nothing.
        mean: Their running mean.
    """

    params: Params
    looked: Params
    mean: Params


def meta_gradient(algorithm: Algorithm, params: Params, episode: Episode, step: int) -> MetaGradient:
    """Return the parameters less the mean of the inner loop; loss and accuracy are those on the last minibatch."""
    require_classes(episode.support, "to classify")
    examples = len(episode.support.targets) + len(episode.query.targets)
    if examples < 2 * algorithm.inner.steps:
        raise ConfigError(
            f"expected at least {2 * algorithm.inner.steps} examples for the {algorithm.inner.steps} minibatches of an "
            f"outer step, got {examples}; ask for more training.tasks, or fewer inner.steps"
        )
    batches = minibatches(episode, algorithm.inner.steps)
    *_, last, end = walk(algorithm, params, batches, step)
    with torch.no_grad():
        logits = algorithm.learner.logits(last.looked, batches[-1].inputs)
    loss = loss_of(algorithm.inner.loss)(logits, batches[-1].targets)
    return MetaGradient(add(params, end.mean, -1.0), loss, accuracy(logits, batches[-1].targets))


def pull(algorithm: Algorithm, step: int) -> float:
    """Return the weight of half the squared distance from the start, which grows with outer steps (scoping)."""
    return algorithm.inner.proximal * (1 + algorithm.axes.scoping) ** step


def walk(algorithm: Algorithm, params: Params, batches: list[Examples], step: int) -> Iterator[Place]:
    """Yield the start and where the inner loop stands after every minibatch.

    Args:
        algorithm: Its inner loop and axes.
        params: Where it starts.
        batches: One for every inner step.
        step: The outer step, which decides the pull.
    """
    axes, inner, names = algorithm.axes, algorithm.inner, algorithm.names
    head = {} if axes.remembers else algorithm.learner.head_params(params)
    towards, spread = pull(algorithm, step), axes.noise * math.sqrt(2 * abs(inner.lr))
    here, mean = dict(params), dict(params)
    yield Place(here, here, mean)
    for batch in batches:
        gradient = _gradient(algorithm, {**here, **head}, batch)
        moved = {}
        for name, value in select(here, names).items():
            moved[name] = value - inner.lr * (gradient[name] + towards * (value - params[name]))
            if spread:
                # Like `randn_like`, but the same numbers however the parameter lies in memory.
                drawn = torch.randn(value.shape, dtype=value.dtype, device=value.device)
                moved[name] = moved[name] + spread * drawn
        here = {**here, **moved}
        mean = {name: torch.lerp(value, here[name], axes.averaging) for name, value in mean.items()}
        yield Place(here, {**here, **head}, mean)


def _gradient(algorithm: Algorithm, params: Params, batch: Examples) -> Params:
    def loss_at(moving: Params) -> tuple[Scalar, Tensor]:
        logits = algorithm.learner.logits({**params, **moving}, batch.inputs)
        return loss_of(algorithm.inner.loss)(logits, batch.targets), logits

    return final_gradient(loss_at, select(params, algorithm.names))[0]
