"""What stands in the place of the head when the inner loop begins: its parameters, or what the support set makes.

    params        the head as it is
    zero          weight and bias 0
    prototypes    weight[k] = 2 centre[k],  bias[k] = -centre[k] . centre[k]
    ridge         ridge regression from features to targets
    logistic      logistic regression, for tests alone
    attention     no head: attention over the support features takes its place, and nothing is left to adapt

With prototypes the logits before any inner step order classes by Euclidean distance to their centres, as a ProtoNet
does; without inner steps it *is* a ProtoNet. Gradients flow through prototypes and ridge regression, at first order
too. Source: triantafillou2020, section 3 (Proto-MAML); snell2017, section 2.4; the others where they are written.
"""

import torch
from torch import Tensor

from innerloop.data.episode import Examples, require_classes
from innerloop.errors import ConfigError
from innerloop.inner.logistic import logistic_head
from innerloop.inner.loop import InnerLoop, Start
from innerloop.inner.one_hot import one_hot
from innerloop.inner.ridge import ridge_head
from innerloop.models import Learner, refuse_targets
from innerloop.params import zeroed
from innerloop.shapes import Params

# How far below all others the bias of a slot lies that has no example.
BEYOND = 1e4


def started(learner: Learner, inner: InnerLoop, params: Params, support: Examples) -> Params:
    """Return the parameters before the first inner step on this support set."""
    if inner.start in ("params", "attention"):
        return params
    if inner.start == "zero":
        return zeroed(params, learner.head_names)
    return {**params, **_made(learner, inner, params, support)}


def refuse_start(learner: Learner, start: Start) -> None:
    """Refuse a head that the support set cannot make for this learner.

    Raises:
        ConfigError: The learner's head is not linear, or has no bias where one is made.
    """
    if start in ("params", "zero"):
        return
    _, bias = learner.linear_head(learner.initial_params(), f"a head made of the support set ({start})")
    if bias is None and start != "attention":
        raise ConfigError(f"expected a head with a bias to start as {start}, got none; set model.head_bias to true")


def centres(features: Tensor, targets: Tensor, rows: int) -> Tensor:
    """Return each slot's mean feature [row feature], 0 where it has no example."""
    hot = one_hot(targets, rows, features.dtype)
    return hot.T @ features / hot.sum(0).clamp(min=1)[:, None]


def _made(learner: Learner, inner: InnerLoop, params: Params, support: Examples) -> Params:
    weight, bias = learner.linear_head(params)
    rows = len(weight)
    if inner.start == "ridge":
        weight, bias = ridge_head(learner, params, support, rows)
    else:
        require_classes(support, f"to make {'prototypes' if inner.start == 'prototypes' else 'a logistic head'} of")
        features = learner.features(params, support.inputs)
        make = _prototypes if inner.start == "prototypes" else logistic_head
        try:
            weight, bias = make(features, support.targets, rows)
        except IndexError:
            refuse_targets(weight.T, support.targets)
            raise
    if bias is not None and not support.targets.is_floating_point():
        seen = one_hot(support.targets, rows, torch.bool).any(0)
        bias = torch.where(seen, bias, bias.min().detach() - BEYOND)
    return {f"{learner.head}.weight": weight, f"{learner.head}.bias": bias}


def _prototypes(features: Tensor, targets: Tensor, rows: int) -> tuple[Tensor, Tensor]:
    middle = centres(features, targets, rows)
    return 2 * middle, -(middle**2).sum(1)
