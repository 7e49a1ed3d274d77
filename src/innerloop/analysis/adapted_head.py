"""What does a head say of an episode, and by which inner loop: the two sides of every comparison with it."""

import math
from dataclasses import replace
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from innerloop.algorithms import Algorithm
from innerloop.analysis.readings import Matching
from innerloop.data.episode import Episode
from innerloop.inner.rates import PREFIX, rate
from innerloop.shapes import Features, Params


class Seen(NamedTuple):
    """The features of an episode and the head beside them."""

    support: Features
    query: Tensor
    weight: Tensor
    bias: Tensor | None


def rescaled(algorithm: Algorithm, params: Params, factor: float, steps: int) -> tuple[Algorithm, Params]:
    """Return the algorithm with another number of steps and all its inner rates, learned ones too, times a factor."""
    inner = algorithm.inner
    own = {
        pattern: tuple(factor * each for each in rates) if isinstance(rates, tuple) else factor * rates
        for pattern, rates in inner.lr_of.items()
    }
    there = {
        name: factor * value if name == PREFIX or name.startswith(f"{PREFIX}/") else value
        for name, value in params.items()
    }
    return replace(algorithm, inner=replace(inner, lr=factor * inner.lr, lr_of=own, steps=steps)), there


def matching(algorithm: Algorithm, params: Params) -> Matching:
    """Return what the readings match of an inner loop; a pull to its start adds to the penalty 1 / reach."""
    learner, inner = algorithm.learner, algorithm.inner
    weight, bias = f"{learner.head}.weight", f"{learner.head}.bias"
    reach = 0.0
    if inner.rule == "sgd" and weight in algorithm.names:
        rates = [rate(inner, params, weight, step) for step in range(inner.steps)]
        reach = sum(float(each.double().mean()) if isinstance(each, Tensor) else each for each in rates)
    if reach and inner.proximal:
        reach = math.copysign(1 / (1 / abs(reach) + inner.proximal), reach)
    return Matching(float(reach), bias in algorithm.names, inner.loss == "mse")


def seen(algorithm: Algorithm, params: Params, episode: Episode) -> Seen:
    """Return what the head is given of an episode at these parameters, and the head."""
    learner, (support, query) = algorithm.learner, episode
    with torch.no_grad():
        return Seen(
            learner.features(params, support.inputs),
            learner.features(params, query.inputs, reference=support.inputs),
            *learner.linear_head(params),
        )


def named_by_head(here: Seen) -> Tensor | None:
    """Return the slot that the head names for every query; None where its logits are not finite."""
    logits = F.linear(here.query, here.weight, here.bias)
    finite = torch.isfinite(logits).all() and torch.isfinite(here.support).all()
    return logits.argmax(1) if bool(finite) else None


def same_features(left: Seen, right: Seen) -> bool:
    """Return whether both have the same features, to the last digit."""
    return torch.equal(left.support, right.support) and torch.equal(left.query, right.query)


def share(flags: Tensor) -> float:
    """Return the share of flags that are set."""
    return float(flags.double().mean())
