"""What a zeroed head's logits are after one inner step: sums of inner products of features, and nothing else.

    cross-entropy    logits[q, k] = inner_lr / S * sum_s (1[y_s = k] - 1 / way) (query_q . support_s + bias)
    mse              logits[q, k] = 2 inner_lr / (S way) * sum_s 1[y_s = k] (query_q . support_s + bias)

with S support examples and bias 1 where the head has one, else 0. The loss asks that the products of one class be
large and those of different classes small: contrastive learning, whatever part of the learner adapts, since the
encoder stands still in that step.

Source: kao2022, figure 1. Differs from the paper: the factor 2 and the rate, which the figure drops; losses are means.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float
from torch import Tensor

from innerloop.algorithms import Algorithm
from innerloop.analysis.subject import Probe
from innerloop.data.episode import Episode, Examples
from innerloop.errors import ConfigError
from innerloop.inner import LOSSES
from innerloop.params import zeroed
from innerloop.shapes import Features, Labels, Logits, Params

Matrix = tuple[tuple[float | None, ...], ...]


@dataclass(frozen=True)
class Products:
    """One episode's logits as sums of inner products, a row a class, a column a slot of the head.

    Attributes:
        loss: `cross_entropy` or `mse`.
        inner_lr: Rate of the one step.
        logits: Mean over the queries of a class; None where a class has no query.
        predicted: Mean over them of what the loss holds against one-hot rows: probabilities, or for mse the logits.
        by_products: Query loss made of the products alone.
        by_algorithm: Query loss of the learner itself, head zeroed, after one step.
    """

    loss: str
    inner_lr: float
    logits: Matrix
    predicted: Matrix
    by_products: float
    by_algorithm: float


def products(algorithm: Algorithm, params: Params, probe: Probe) -> Products | None:
    """Compute one episode's logits and loss from inner products, and the loss by the algorithm, in float64.

    Args:
        algorithm: Its rate, its loss, and what adapts.
        params: Meta-parameters; the head's are taken as zero.
        probe: The episode, with its classes.

    Returns:
        None for a head that is not linear, and where the inner loop is not plain gradient descent from the head as it
        is: a head made of the support set never is zero.
    """
    if not algorithm.inner.is_plain:
        return None
    start = zeroed({name: value.double() for name, value in params.items()}, algorithm.learner.head_names)
    try:
        weight, bias = algorithm.learner.linear_head(start)
    except ConfigError:
        return None
    one, episode = algorithm.with_inner(steps=1), _doubled(probe.episode)
    asked, loss = episode.query.targets, algorithm.inner.loss_name
    with torch.no_grad():
        support = one.learner.features(start, episode.support.inputs)
        query = one.learner.features(start, episode.query.inputs, reference=episode.support.inputs)
        logits = product_logits(
            query,
            support,
            episode.support.targets,
            way=len(weight),
            inner_lr=one.inner.lr,
            loss=loss,
            has_bias=bias is not None,
        )
        adapted = one.adapt(start, episode.support).adapted
        return Products(
            loss,
            one.inner.lr,
            _by_class(logits, asked, len(probe.classes)),
            _by_class(logits.softmax(1) if loss == "cross_entropy" else logits, asked, len(probe.classes)),
            LOSSES[loss](logits, asked).item(),
            one.query_loss(adapted, episode)[0].item(),
        )


def product_logits(
    query: Float[Tensor, "query feature"],
    support: Features,
    labels: Labels,
    *,
    way: int,
    inner_lr: float,
    loss: str,
    has_bias: bool,
) -> Float[Tensor, "query way"]:
    """Return a zeroed head's logits after one inner step, from inner products alone.

    Args:
        query: Query features.
        support: Support features.
        labels: Their class slots.
        way: Rows of the head.
        inner_lr: Rate of the step, any sign.
        loss: `cross_entropy` or `mse`, mean-reduced.
        has_bias: Whether the head has a bias, which adapts too.
    """
    hot = F.one_hot(labels, way).to(support.dtype)
    weights = (hot - 1 / way) / len(labels) if loss == "cross_entropy" else 2 * hot / (len(labels) * way)
    return inner_lr * (query @ support.T + float(has_bias)) @ weights


def _doubled(episode: Episode) -> Episode:
    return Episode(*(Examples(side.inputs.double(), side.targets) for side in episode))


def _by_class(values: Logits, asked: Labels, ways: int) -> Matrix:
    means = [values[asked == slot].mean(0).tolist() for slot in range(ways)]
    return tuple(tuple(None if math.isnan(value) else value for value in row) for row in means)
