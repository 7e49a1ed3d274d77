"""FOMAML: MAML with the inner loop held constant.

    maml      d/d params    L_query(adapt(params, support))
    fomaml    d/d adapted   L_query(adapted)   at   adapted = adapt(params, support)

Source: finn2017, section 5.2 (first-order approximation).   Differs from the paper: nothing known.
"""

from functools import partial

from innerloop.algorithms.algorithm import Algorithm, MetaGradient
from innerloop.data.episode import Episode
from innerloop.inner import accuracy, final_gradient
from innerloop.shapes import Params


def meta_gradient(algorithm: Algorithm, params: Params, episode: Episode) -> MetaGradient:
    """Return the gradient of the query loss at the adapted parameters."""
    adapted = algorithm.adapt(params, episode.support).adapted
    gradient, (loss, logits) = final_gradient(partial(algorithm.query_loss, episode=episode), adapted)
    return MetaGradient(gradient, loss, accuracy(logits, episode.query.targets))
