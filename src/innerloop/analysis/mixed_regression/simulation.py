"""What does a learner of mixed linear regression come to, in worlds that are drawn?

Training is exact: after an inner step at rate a, the outer points of a task ask of the trained weights omega

    x' (I - a S) omega = y - (a / n_t) x' X' y_inner

(X, y_inner its inner points, S = X'X / n_t), and what meets all tasks' equations best and lies nearest to the start is
least squares of minimum norm. A test task is adapted to as it would be, and its loss on fresh points is exact, given
the adapted weights: half of the noise plus the squared distance to the task's own weights.

w0 is the origin, and the start lies on the first axis: only distances count. Everything is float64.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from innerloop.analysis.mixed_regression.model import Regression


class Points(NamedTuple):
    """Points of all training tasks of all worlds."""

    inputs: Float[Tensor, "world task point dimension"]
    targets: Float[Tensor, "world task point"]


class TrainingTasks(NamedTuple):
    """What a learner is trained on; the same at every training rate, so that rates are compared in pairs."""

    inner: Points
    outer: Points


def draw(model: Regression, worlds: int, *, rng: torch.Generator) -> TrainingTasks:
    """Draw the training tasks of so many worlds."""
    weights = _weights(model, (worlds, model.tasks), rng)
    return TrainingTasks(*(_points(model, weights, count, rng) for count in (model.inner_points, model.outer_points)))


def trained(model: Regression, tasks: TrainingTasks, rate: float) -> Float[Tensor, "world dimension"]:
    """Return the weights that minimise the loss of all outer points after an inner step at this rate, from the start.

    Of several, those nearest to the start.
    """
    pull = rate / model.inner_points * tasks.outer.inputs @ tasks.inner.inputs.mT
    rows = (tasks.outer.inputs - pull @ tasks.inner.inputs).flatten(1, 2)
    asked = (tasks.outer.targets - (pull @ tasks.inner.targets[..., None])[..., 0]).flatten(1, 2)
    first = torch.zeros(model.dimensions, dtype=rows.dtype)
    first[0] = model.start_distance
    change: Tensor = torch.linalg.lstsq(rows, (asked - rows @ first)[..., None]).solution
    return first + change[..., 0]


def adapted_losses(
    model: Regression, weights: Float[Tensor, "world rate dimension"], tasks: int, *, rng: torch.Generator
) -> Float[Tensor, "world rate 3"]:
    """Return the mean loss over new tasks for each of a world's weights, as a polynomial of the adaptation rate a.

    Adapted, a distance u to the task's weights becomes u - a v with v = X'(X u + noise) / n_r: the loss is a square.

    Args:
        model: The world.
        weights: As trained at several rates.
        tasks: How many test tasks are drawn for a world, the same for all of its weights.
        rng: Where they come from.

    Returns:
        The coefficients of 1, a and a^2.
    """
    own = _weights(model, (len(weights), tasks), rng)
    inputs = _normal((len(weights), tasks, model.test_points, model.dimensions), rng)
    noise = math.sqrt(model.noise) * _normal((len(weights), tasks, 1, model.test_points), rng)
    away = own[:, :, None] - weights[:, None]
    move = (away @ inputs.mT + noise) @ inputs / model.test_points
    parts = (0.5 * (model.noise + (away**2).sum(-1)), -(away * move).sum(-1), 0.5 * (move**2).sum(-1))
    return torch.stack(parts, -1).mean(1)


def _weights(model: Regression, shape: tuple[int, ...], rng: torch.Generator) -> Tensor:
    return model.spread / math.sqrt(model.dimensions) * _normal((*shape, model.dimensions), rng)


def _points(model: Regression, weights: Tensor, count: int, rng: torch.Generator) -> Points:
    inputs = _normal((*weights.shape[:-1], count, model.dimensions), rng)
    noise = math.sqrt(model.noise) * _normal(inputs.shape[:-1], rng)
    return Points(inputs, (inputs @ weights[..., None])[..., 0] + noise)


def _normal(shape: tuple[int, ...], rng: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=rng, dtype=torch.float64)
