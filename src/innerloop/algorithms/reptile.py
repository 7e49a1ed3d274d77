"""Reptile: follow the parameters to where ordinary training on the task's examples takes them.

    params - adapted,    adapted after inner steps on minibatches of all the episode's examples

A task has no support and query in training: its examples are cut into as many minibatches as inner steps, each with
its share of every class. That the steps see different examples is what makes Reptile more than training on all at once.

Source: nichol2018, algorithm 1 and section 5. Differs from the paper: minibatches partition the examples, where the
paper draws them; the outer optimizer is that of the recipe (the paper's is sgd with outer_lr 1 falling to 0).
"""

import torch

from innerloop.algorithms.algorithm import Algorithm, MetaGradient
from innerloop.data.episode import Episode, Examples, joined
from innerloop.inner import accuracy
from innerloop.params import add
from innerloop.shapes import Params


def meta_gradient(algorithm: Algorithm, params: Params, episode: Episode, _step: int) -> MetaGradient:
    """Return the parameters less the adapted ones, as what gradient descent is to follow."""
    adapted = algorithm.adapted(params, *minibatches(episode, algorithm.inner.steps))
    with torch.no_grad():
        loss, logits = algorithm.query_loss(adapted, episode)
    return MetaGradient(add(params, adapted, -1.0), loss, accuracy(logits, episode.query.targets))


def minibatches(episode: Episode, count: int) -> list[Examples]:
    """Cut support and query together into `count` parts (fewer where examples are few), each with its share of classes.

    Examples are dealt in turn, class after class, so that parts differ by one at most.
    """
    inputs, targets = joined(episode)
    order = torch.arange(len(targets))
    if not targets.is_floating_point():
        order = targets.argsort(stable=True)
    count = max(1, min(count, len(order)))  # a test may take no inner step
    parts = (order[first::count] for first in range(count))
    return [Examples(inputs[part], targets[part]) for part in parts]
