"""Explicit contrastive learners: the encoder follows the contrastive loss that MAML's meta-gradient amounts to.

    first     sum_qs [c_qs] query_q . [support_s]  +  sum_q [interference_q] . query_q
    second    sum_qs [c_qs] query_q . support_s    +  sum_q [interference_q] . query_q    (+ curvature)

Brackets hold a value constant: the coefficients c, the interference and the curvature come from the closed form of a
head-only inner loop, which is how these learners adapt, and autograd takes the rest through the encoder. With every
term on, the first is ANIL's first-order encoder gradient for any head and any number of steps; the second, that of the
paper, is ANIL's own only for a zeroed head at one step, and everywhere once the curvature is added. Switches:

    interference         off: the interference is left out
    coefficient_noise    off: c_qs = rate * steps * scale * (p_q[class of s] - same), as if support outputs were even
    positives_only       c_qs of pairs of different classes is left out
    curvature            second: sum_s [curvature_s] . support_s is added

The head is trained in all of them, by its exact gradient. Loss and accuracy are the real ones after adaptation.

Source: kao2022, equations 7, 8 and 10. Differs from its code: the head is trained in every variant, the first order
takes any number of steps, `positives_only` is inferred from the names of its folders; `curvature` is ours.
"""

from typing import cast

import torch
from torch import Tensor

from innerloop.algorithms.algorithm import Algorithm, MetaGradient
from innerloop.algorithms.axes import Axes
from innerloop.data.episode import Episode, require_classes
from innerloop.inner import InnerLoop, accuracy, final_gradient
from innerloop.inner.contrast import ContrastSplit, LossName, Order, closed_form, scale_of
from innerloop.shapes import Params, Scalar


def meta_gradient(algorithm: Algorithm, params: Params, episode: Episode, step: int) -> MetaGradient:
    """Return the contrastive loss's gradient for the encoder, and the query loss's own for the head."""
    require_classes(episode.support, "to contrast")
    learner, order = algorithm.learner, cast("Order", algorithm.order_at(step))

    def encoder_loss(encoder: Params) -> tuple[Scalar, dict[str, Tensor]]:
        support = learner.features(encoder, episode.support.inputs)
        query = learner.features(encoder, episode.query.inputs, reference=episode.support.inputs)
        parts = _parts(algorithm, params, episode, support.detach(), query.detach(), order)
        held = coefficients(parts, episode, algorithm.axes, algorithm.inner)
        return surrogate(parts, held, support, query, algorithm.axes, order), {
            name: value for name, value in parts._asdict().items() if value is not None
        }

    encoder, (_, parts) = final_gradient(encoder_loss, learner.encoder_params(params))
    head = {f"{learner.head}.weight": parts["head_gradient"], f"{learner.head}.bias": parts.get("bias_gradient")}
    gradient = {**encoder, **head}
    return MetaGradient(
        {name: cast("Tensor", gradient[name]) for name in params},
        parts["loss"],
        accuracy(parts["query_outputs"], episode.query.targets),
    )


def coefficients(parts: ContrastSplit, episode: Episode, axes: Axes, inner: InnerLoop) -> Tensor:
    """Return the weight of each pair of a query and a support example, as the switches ask [query support]."""
    support, query = (side.targets for side in episode)
    found = parts.coefficients
    if not axes.coefficient_noise:
        way = parts.query_residuals.shape[1]
        scale = scale_of(cast("LossName", inner.loss), "mean", len(support), way)
        found = inner.lr * inner.steps * scale * parts.query_residuals[:, support]
    return torch.where(query[:, None] == support[None], found, 0.0) if axes.positives_only else found


def surrogate(parts: ContrastSplit, held: Tensor, support: Tensor, query: Tensor, axes: Axes, order: Order) -> Scalar:
    """Return the loss that the encoder follows; its value means nothing, its gradient does.

    Args:
        parts: The closed form's parts at these features, constants here.
        held: The coefficients, constants too [query support].
        support: Support features [support feature], with their graph.
        query: Query features [query feature], with theirs.
        axes: Which terms are on.
        order: `first` holds the support features constant.
    """
    loss = (held * (query @ (support if order == "second" else support.detach()).T)).sum()
    if axes.interference:
        loss = loss + (parts.query_interference * query).sum()
    if axes.curvature and order == "second":
        loss = loss + (parts.support_curvature * support).sum()
    return loss


def _parts(
    algorithm: Algorithm, params: Params, episode: Episode, support: Tensor, query: Tensor, order: Order
) -> ContrastSplit:
    inner = algorithm.inner
    weight, bias = algorithm.learner.linear_head(params)
    with torch.no_grad():
        return closed_form(
            support,
            episode.support.targets,
            query,
            episode.query.targets,
            weight,
            bias,
            inner_lr=inner.lr,
            inner_steps=inner.steps,
            loss=cast("LossName", inner.loss),
            order=order,
        )
