"""iMAML: differentiate the optimum of the inner problem, wherever the inner loop came from.

    adapted = argmin over phi of   L_support(phi, rest) + proximal / 2 |phi - params|^2
    d L_query / d params = v         with   (1 + H / proximal) v = d L_query / d adapted
    d L_query / d rest   = its own gradient  -  (d^2 L_support / d rest d phi) v / proximal

H is the support loss's Hessian by the parameters that adapt, `rest` are those that do not. v comes from a few steps of
conjugate gradients on Hessian-vector products, so that memory does not grow with the number of inner steps.

Source: rajeswaran2019, lemma 1 and algorithm 2. Differs from the paper: exact for the inner loop's optimum only, as the
paper, and here also where only some parameters adapt; the inner loop's own optimizer is any of the family's.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from innerloop.algorithms.algorithm import Algorithm, MetaGradient
from innerloop.data.episode import Episode
from innerloop.inner import accuracy, final_gradient, slope_and_product
from innerloop.params import add, dot, scaled, select
from innerloop.shapes import Params


def meta_gradient(algorithm: Algorithm, params: Params, episode: Episode, _step: int) -> MetaGradient:
    """Return the implicit gradient of the query loss at the adapted parameters."""
    adapted = algorithm.adapted(params, episode.support)
    gradient, (loss, logits) = final_gradient(lambda here: algorithm.query_loss(here, episode), adapted)
    _, products = slope_and_product(
        lambda here: algorithm.support_loss(here, episode.support)[0], adapted, algorithm.names
    )
    proximal = algorithm.inner.proximal
    moving = select(gradient, algorithm.names)
    solved = conjugate_gradients(
        lambda vector: add(vector, select(products(vector), algorithm.names), 1 / proximal),
        moving,
        algorithm.axes.cg_steps,
    )
    rest = {name: value for name, value in products(solved).items() if name not in algorithm.names}
    return MetaGradient({**add(gradient, rest, -1 / proximal), **solved}, loss, accuracy(logits, episode.query.targets))


def conjugate_gradients(product: Callable[[Params], Params], target: Params, steps: int) -> Params:
    """Return the solution of `product(v) = target` after some steps from 0; exact after as many as there are numbers.

    Stands still once the curvature along a direction is not positive, with what it has.

    Args:
        product: A symmetric matrix times a vector.
        target: The right-hand side.
        steps: How many, each one product.
    """
    solved = scaled(target, 0.0)
    residual = direction = target
    size = dot(residual, residual)
    goes_on = torch.ones_like(size, dtype=torch.bool)
    for _ in range(steps):
        turned = product(direction)
        curvature = dot(direction, turned)
        goes_on = goes_on & (curvature > 0)
        # Tensors, not numbers: a GPU need not wait, and an engine can map this over tasks.
        length = torch.where(goes_on, size / curvature, 0.0)
        solved, residual = _along(solved, direction, length), _along(residual, turned, -length)
        before, size = size, dot(residual, residual)
        direction = _along(residual, direction, torch.where(goes_on, size / before, 0.0))
    return solved


def _along(start: Params, direction: Params, length: Tensor) -> Params:
    return {name: value + length * direction[name] for name, value in start.items()}
