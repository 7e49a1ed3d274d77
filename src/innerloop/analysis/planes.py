"""Which plane through a network's parameters is looked at: a random one, one through tasks, one along a path?

    random    two directions of Gaussian numbers, each filter scaled to the norm of the network's own (li2018, section
              4); parameters of one axis (biases, norms) do not move
    spanned   through three points, the first being the origin
    path      through a path's end, along its two main directions (principal components of its points)

Axes of the last two are orthonormal, so that distances in the plane are distances of parameters.

Source: li2018, sections 4 and 7. Differs from the paper: components are those of points about their mean.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from innerloop.errors import ConfigError
from innerloop.params import add, dot, flat, norm, scaled, shaped
from innerloop.shapes import Params

Point = tuple[float, float]
# What is shorter, relative to the longest, is rounding: parameters are float32 as a rule.
ROUNDING = 1e-5


@dataclass(frozen=True, eq=False)
class Plane:
    """A plane through parameters.

    Attributes:
        origin: The whole parameters at (0, 0).
        first: The direction of the first axis; names that it lacks stay.
        second: That of the second.
    """

    origin: Params
    first: Params
    second: Params

    def at(self, x: float, y: float) -> Params:
        """Return the parameters at a point of the plane."""
        return add(add(self.origin, self.second, y), self.first, x)

    def coordinates(self, params: Params) -> Point:
        """Return the point nearest to these parameters, for a plane of orthonormal axes."""
        away = _difference(params, self.origin, self.first)
        return _product(away, self.first), _product(away, self.second)


class PathPlane(NamedTuple):
    """The plane of a path.

    Attributes:
        plane: With its origin at the path's end.
        explained: Share of the points' variance along each axis, in [0, 1].
    """

    plane: Plane
    explained: Point


def filter_normalised(params: Params, rng: torch.Generator) -> Params:
    """Return a random direction, each filter of which is as long as the parameters' own.

    A filter is what makes one output: one entry along the first axis of a parameter.

    Raises:
        ConfigError: Every filter has norm 0, and so would the direction.
    """
    direction = {name: _scaled_like(value, rng) for name, value in params.items()}
    if not any(bool(value.any()) for value in direction.values()):
        raise ConfigError(
            "expected filters to scale a random direction by, got parameters of norm 0; look at a learner whose "
            "weights are not all zero"
        )
    return direction


def random_plane(params: Params, moving: Params, rng: torch.Generator) -> Plane:
    """Return the plane through `params` along two filter-normalised directions of those that move."""
    return Plane(params, filter_normalised(moving, rng), filter_normalised(moving, rng))


def spanned(origin: Params, one: Params, other: Params, names: Sequence[str]) -> Plane:
    """Return the plane through three points, its first axis towards `one`.

    Raises:
        ConfigError: A point is the origin, or all lie on one line.
    """
    there = {name: origin[name] for name in names}
    first, second = _difference(one, origin, there), _difference(other, origin, there)
    lengths = [norm(each).item() for each in (first, second)]
    if not min(lengths):
        raise ConfigError("expected two adaptations that move, got one of length 0; take more inner steps")
    first = scaled(first, 1 / lengths[0])
    second = add(second, first, -_product(second, first))
    rest = norm(second).item()
    if rest < ROUNDING * lengths[1]:
        raise ConfigError("expected adaptations in two directions, got parallel ones; look at other tasks")
    return Plane(origin, first, scaled(second, 1 / rest))


def path_plane(path: Sequence[Params], names: Sequence[str]) -> PathPlane:
    """Return the plane through a path's end in which it varies most.

    Raises:
        ConfigError: The path has fewer than three points, or lies on one line.
    """
    if len(path) < 3:
        raise ConfigError(f"expected a path of at least 3 points, got {len(path)}; take more steps")
    there = [{name: each[name] for name in names} for each in path]
    rows = torch.stack([flat(each).detach().double() for each in there])
    rows = rows - rows[-1]
    _, sizes, axes = torch.linalg.svd(rows - rows.mean(0), full_matrices=False)
    if not sizes[0] or sizes[1] < ROUNDING * sizes[0]:
        what = "one point" if not sizes[0] else "a straight line"
        raise ConfigError(f"expected a path that turns, got {what}; take more steps, or look at another task")
    # The sign of a component is arbitrary: a path begins on the left, and ends below where it begins.
    starts = axes[:2] @ rows[0]
    first, second = (
        shaped(axis if (start <= 0) == left else -axis, there[-1])
        for axis, start, left in zip(axes[:2], starts, (True, False), strict=True)
    )
    shares = (sizes.square() / sizes.square().sum())[:2].tolist()
    return PathPlane(Plane(path[-1], first, second), (shares[0], shares[1]))


def _scaled_like(value: Tensor, rng: torch.Generator) -> Tensor:
    drawn = torch.randn(value.shape, generator=rng, dtype=torch.float64).to(value)
    if value.dim() < 2:
        return torch.zeros_like(value)
    over = tuple(range(1, value.dim()))
    own, its = (torch.linalg.vector_norm(each, dim=over, keepdim=True) for each in (value, drawn))
    scaled_to: Tensor = drawn * (own / its)
    return scaled_to


def _difference(params: Params, origin: Params, names: Params) -> Params:
    return {name: params[name] - origin[name] for name in names}


def _product(left: Params, right: Params) -> float:
    return dot({name: value.double() for name, value in left.items()}, right).item()
