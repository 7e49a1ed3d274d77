"""MAML: differentiate the query loss after adaptation through the inner loop.

    d/d params   L_query(adapt(params, support))

Exact: second derivatives included. Source: finn2017, equation 1.   Differs from the paper: nothing known.
"""

from torch import Tensor

from innerloop.algorithms.algorithm import Algorithm, MetaGradient
from innerloop.data.episode import Episode
from innerloop.inner import accuracy, final_gradient
from innerloop.shapes import Params, Scalar


def meta_gradient(algorithm: Algorithm, params: Params, episode: Episode) -> MetaGradient:
    """Return the exact gradient of the adapted query loss at the parameters before adaptation."""

    def adapted_loss(start: Params) -> tuple[Scalar, Tensor]:
        return algorithm.query_loss(algorithm.adapt(start, episode.support, differentiable=True).adapted, episode)

    gradient, (loss, logits) = final_gradient(adapted_loss, params)
    return MetaGradient(gradient, loss, accuracy(logits, episode.query.targets))
