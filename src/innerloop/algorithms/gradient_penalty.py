"""MAML's objective to first order in the inner rate, written out: the loss, with a penalty on the task's gradient.

    L_query(params)  -  inner_lr * slope_query . slope_support         slopes by the parameters that adapt

    second    slope_query - inner_lr * (H_query slope_support + H_support slope_query)     its gradient
    first     slope_query - inner_lr *  H_query slope_support                              with slope_support held

These are MAML's meta-gradient and its first order at one inner step, up to squares of the rate. Where support and query
are drawn alike, the product is an unbiased estimate of the squared norm of the task's mean gradient: a positive rate
rewards a large one, a negative rate is a gradient penalty. Loss and accuracy are the real ones after adaptation.

Source: nichol2018, section 5, for the expansion; to train on it, at any sign, is ours (THEORY: F3, F4).
"""

import torch
from torch import Tensor

from innerloop.algorithms.algorithm import Algorithm, MetaGradient
from innerloop.data.episode import Episode
from innerloop.inner import accuracy, final_gradient, lasting_gradient
from innerloop.params import add, dot, select
from innerloop.shapes import Params, Scalar


def meta_gradient(algorithm: Algorithm, params: Params, episode: Episode, step: int) -> MetaGradient:
    """Return the gradient of the query loss before adaptation with the penalty that one inner step amounts to."""
    order, rate = algorithm.order_at(step), algorithm.inner.lr

    def objective(here: Params) -> tuple[Scalar, dict[str, Tensor]]:
        moving = select(here, algorithm.names)
        take = lasting_gradient if order == "second" else final_gradient
        support, _ = take(lambda part: algorithm.support_loss({**here, **part}, episode.support), moving)
        query, (loss, _) = lasting_gradient(lambda part: algorithm.query_loss({**here, **part}, episode), moving)
        return loss - rate * dot(query, support), support

    gradient, (_, slope) = final_gradient(objective, params)
    with torch.no_grad():
        loss, logits = algorithm.query_loss(add(params, slope, -rate), episode)
    return MetaGradient(gradient, loss, accuracy(logits, episode.query.targets))
