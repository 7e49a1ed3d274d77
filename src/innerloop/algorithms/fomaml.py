"""FOMAML: MAML with the inner gradients held constant.

    maml      d/d params    L_query(adapt(params, support))
    fomaml    d/d adapted   L_query(adapted)   at   adapted = adapt(params, support)

The second line is what differentiating the first gives when every inner gradient counts as a constant. Written so, the
rates of the inner loop get their gradient too: minus the query gradient times the inner one.

Source: finn2017, section 5.2 (first-order approximation).   Differs from the paper: nothing known.
"""

from innerloop.algorithms.algorithm import Algorithm, MetaGradient
from innerloop.algorithms.maml import through
from innerloop.data.episode import Episode
from innerloop.shapes import Params


def meta_gradient(algorithm: Algorithm, params: Params, episode: Episode, step: int) -> MetaGradient:
    """Return the gradient of the query loss at the adapted parameters."""
    return through(algorithm, params, episode, step, differentiable=False)
