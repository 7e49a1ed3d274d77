"""What the outer loop minimises: the query loss after the last inner step, or a mean over those after every step.

    every_step    sum over steps i of  share[i] * L_query(params[i]),   shares equal at first
                  with `last_from` the shares of all but the last fall evenly to 0.03 / steps; the last takes
                  what they lose

Source: antoniou2019, section 4 (multi-step loss). Differs from the paper: counted in outer steps, not epochs; 0.03 is
its code's.
"""

from collections.abc import Sequence

from torch import Tensor

from innerloop.algorithms.algorithm import Algorithm
from innerloop.data.episode import Episode
from innerloop.shapes import Params, Scalar

LEAST = 0.03


def outer_loss(algorithm: Algorithm, path: Sequence[Params], episode: Episode, step: int) -> tuple[Scalar, Tensor]:
    """Return the loss of a trajectory in outer step `step`, and the query logits after the last inner step."""
    (last, share), *earlier = counted(algorithm, len(path) - 1, step)
    loss, logits = algorithm.query_loss(path[last], episode)
    loss = share * loss
    for index, share in earlier:
        loss = loss + share * algorithm.query_loss(path[index], episode)[0]
    return loss, logits


def counted(algorithm: Algorithm, count: int, step: int) -> list[tuple[int, float]]:
    """Return after which of `count` inner steps the query loss is taken, and its share; the last comes first."""
    if algorithm.axes.outer_loss == "last" or count < 2:
        return [(count, 1.0)]
    *early, last = shares(count, step, algorithm.axes.last_from)
    return [(count, last), *enumerate(early, 1)]


def shares(count: int, step: int, last_from: int) -> list[float]:
    """Return each inner step's share of the outer loss; they sum to 1."""
    gone = min(step / last_from, 1.0) if last_from else 0.0
    early = max((1 - gone) / count, LEAST / count)
    return [early] * (count - 1) + [1 - (count - 1) * early]
