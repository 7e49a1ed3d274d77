"""MAML's exact gradient in memory that does not grow with the number of inner steps: one step's graph at a time.

    position[i + 1]  =  inner_step(position[i], params)          forward: positions are kept, graphs are not
    back[i]          =  back[i + 1] * d position[i + 1] / d position[i]  +  share[i] * d L_query(position[i])
    d / d params     =  back[0] * d position[0] / d params  +  sum over i of back[i + 1] * d position[i + 1] / d params

A position is the parameters and what the rule remembers; what an inner step takes from the meta-parameters (learned
rates, norms) and from the start (proximal) is told on the way. With plain descent `back` moves by a Hessian-vector
product, back - lr * H back. Every inner step is computed twice, the second time with its graph.

Source: finn2017, equation 1, for what is computed; the rest is reverse accumulation.   Differs from `maml` by rounding.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from innerloop.algorithms.algorithm import Algorithm, MetaGradient
from innerloop.algorithms.outer import counted
from innerloop.data.episode import Episode, Examples
from innerloop.inner import Memory, Position, accuracy, descend, final_gradient, inner_step, started
from innerloop.models import drawing_from, drawn, refuse_in_place
from innerloop.params import add, scaled, select, zeroed
from innerloop.shapes import Params, Scalar


class Moment(NamedTuple):
    """A position of the inner loop, and where the random generators stood when it was there."""

    position: Position
    draws: tuple[Tensor, ...]


class Told(NamedTuple):
    """What the outer loss says to everything that an inner step depends on; names it says nothing to are missing."""

    params: Params
    start: Params
    here: Params
    mean: Params
    square: Params


def meta_gradient(algorithm: Algorithm, params: Params, episode: Episode, step: int) -> MetaGradient:
    """Return the exact gradient of the adapted query loss at the parameters before adaptation."""
    learner, inner = algorithm.learner, algorithm.inner
    params = {name: value.detach() for name, value in params.items()}
    draws = drawn()
    path = _walked(algorithm, params, episode.support)
    start = path[0].position.params
    slopes, loss, logits = _query_slopes(algorithm, path, episode, step)

    to_params, to_start = zeroed(params, params), zeroed(start, start)
    told = Told({}, {}, slopes.pop(len(path) - 1), {}, {})
    for index in reversed(range(len(path) - 1)):
        told = _back(algorithm, params, start, path.pop(index), episode.support, told)
        to_params, to_start = add(to_params, told.params), add(to_start, told.start)
        if index in slopes:
            told = told._replace(here=add(slopes.pop(index), told.here))

    with drawing_from(draws), torch.enable_grad():
        leaves = _leaves(params)
        made = started(learner, inner, leaves, episode.support)
    (from_start,) = _carried((made,), (add(to_start, told.here),), (leaves,))
    return MetaGradient(add(to_params, from_start), loss, accuracy(logits, episode.query.targets))


def _walked(algorithm: Algorithm, params: Params, support: Examples) -> list[Moment]:
    """Return the start and the position after every inner step, without a graph."""
    draws = drawn()
    path = _moments(algorithm, params, support, differentiable=False)
    if all(map(torch.equal, path[0].draws, path[-1].draws)):
        return path
    # Dropout inside torch.func draws otherwise than outside: walk in the way it will be gone back over.
    with drawing_from(draws):
        return _moments(algorithm, params, support, differentiable=True)


@torch.no_grad()
def _moments(algorithm: Algorithm, params: Params, support: Examples, differentiable: bool) -> list[Moment]:
    walk = descend(algorithm.learner, algorithm.inner, algorithm.names, params, (support,), differentiable)
    return [Moment(position, drawn()) for position in walk]


def _query_slopes(
    algorithm: Algorithm, path: Sequence[Moment], episode: Episode, step: int
) -> tuple[dict[int, Params], Scalar, Tensor]:
    """Return the outer loss's own gradient at each position it looks at, the loss, and the last query logits."""
    slopes: dict[int, Params] = {}
    losses, outputs = [], []
    for index, share in counted(algorithm, len(path) - 1, step):
        here = select(path[index].position.params, algorithm.learner.names)
        slope, (loss, logits) = final_gradient(lambda at: algorithm.query_loss(at, episode), here)
        slopes[index] = scaled(slope, share)
        losses.append(share * loss)
        outputs.append(logits)
    return slopes, torch.stack(losses).sum(), outputs[0]


def _back(algorithm: Algorithm, params: Params, start: Params, moment: Moment, support: Examples, told: Told) -> Told:
    """Take one inner step again, with its graph, and carry what its outcome was told to what it came from."""
    position = moment.position
    leaves = Told(*map(_leaves, (params, start, position.params, position.memory.mean, position.memory.square)))
    memory = Memory(leaves.mean, leaves.square, position.memory.taken)
    here = Position(leaves.here, memory, position.taken)
    with drawing_from(moment.draws), torch.enable_grad():
        after = inner_step(
            algorithm.learner,
            algorithm.inner,
            algorithm.names,
            leaves.params,
            leaves.start,
            here,
            support,
            differentiable=True,
        )
    outcome = (after.params, after.memory.mean, after.memory.square)
    return Told(*_carried(outcome, (told.here, told.mean, told.square), leaves))


def _carried(outputs: Sequence[Params], told: Sequence[Params], leaves: Sequence[Params]) -> list[Params]:
    """Return what the outputs were told as the leaves hear it; leaves that nothing reaches are missing."""
    pairs = [
        (value, to[name])
        for output, to in zip(outputs, told, strict=True)
        for name, value in output.items()
        if name in to and value.requires_grad
    ]
    if not pairs:
        return [{} for _ in leaves]
    outcomes, cotangents = zip(*pairs, strict=True)
    values = [value for group in leaves for value in group.values()]
    try:
        found = iter(torch.autograd.grad(outcomes, values, cotangents, allow_unused=True))
    except RuntimeError as error:
        refuse_in_place(error)
        raise
    return [{name: gradient for name in group if (gradient := next(found)) is not None} for group in leaves]


def _leaves(params: Params) -> Params:
    return {name: value.detach().requires_grad_() for name, value in params.items()}
