"""MAML: differentiate the query loss after adaptation through the inner loop.

    d/d params   L_query(adapt(params, support))

Exact: second derivatives included. Source: finn2017, equation 1.   Differs from the paper: nothing known.
"""

from torch import Tensor

from innerloop.algorithms.algorithm import Algorithm, MetaGradient
from innerloop.algorithms.outer import outer_loss
from innerloop.data.episode import Episode
from innerloop.inner import accuracy, final_gradient
from innerloop.shapes import Params, Scalar


def meta_gradient(algorithm: Algorithm, params: Params, episode: Episode, step: int) -> MetaGradient:
    """Return the exact gradient of the adapted query loss at the parameters before adaptation."""
    return through(algorithm, params, episode, step, differentiable=True)


def through(algorithm: Algorithm, params: Params, episode: Episode, step: int, differentiable: bool) -> MetaGradient:
    """Differentiate the outer loss through the inner loop, its gradients with it or held constant."""
    gradient, (loss, logits) = final_gradient(
        lambda start: adapted_loss(algorithm, start, episode, step, differentiable), params
    )
    return MetaGradient(gradient, loss, accuracy(logits, episode.query.targets))


def adapted_loss(
    algorithm: Algorithm, params: Params, episode: Episode, step: int, differentiable: bool
) -> tuple[Scalar, Tensor]:
    """Return what is minimised, as a function of the parameters before adaptation, and the adapted query logits."""
    path = algorithm.adapt(params, episode.support, differentiable).params
    return outer_loss(algorithm, path, episode, step)
