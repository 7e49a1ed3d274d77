"""How high is the loss over a line or a plane of parameters? Losses alone are computed, a row of points at a time.

Rows go side by side on threads of one core each, which keeps all cores busy with networks too small for that.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from innerloop.algorithms import Algorithm
from innerloop.analysis.planes import Plane
from innerloop.analysis.products import Matrix
from innerloop.engine.workers import Workers
from innerloop.params import add
from innerloop.shapes import Params

LossAt = Callable[[Algorithm, Params], Tensor]
DIGITS = 5  # significant ones that are kept: float32 has seven, and a picture shows three


def over_plane(
    workers: Workers, plane: Plane, across: Sequence[float], up: Sequence[float], losses: Mapping[str, LossAt]
) -> dict[str, Matrix]:
    """Return each loss over a grid of points.

    Args:
        workers: The threads, with the learner.
        plane: Where.
        across: Coordinates along the plane's first axis.
        up: Those along its second.
        losses: Of an algorithm and the parameters at a point.

    Returns:
        For each loss a row a coordinate of `up` and a column one of `across`; None where it is not finite.
    """

    def row(own: Algorithm, y: float) -> dict[str, list[float | None]]:
        return over_line(own, add(plane.origin, plane.second, y), plane.first, across, losses)

    rows = workers.over(up, row)
    return {name: tuple(tuple(each[name]) for each in rows) for name in losses}


def over_line(
    own: Algorithm, start: Params, direction: Params, places: Sequence[float], losses: Mapping[str, LossAt]
) -> dict[str, list[float | None]]:
    """Return each loss over points of a line: `start + place * direction`."""
    found = [losses_at(losses, own, add(start, direction, place)) for place in places]
    return {name: [each[name] for each in found] for name in losses}


def losses_at(losses: Mapping[str, LossAt], own: Algorithm, here: Params) -> dict[str, float | None]:
    """Return each loss at a point; None where it is not finite."""
    with torch.no_grad():
        found = {name: loss(own, here).item() for name, loss in losses.items()}
    return {name: rounded(value) if math.isfinite(value) else None for name, value in found.items()}


def spaced(low: float, high: float, points: int) -> tuple[float, ...]:
    """Return evenly spaced coordinates; the middle of an odd number of them about 0 is exactly 0."""
    middle, half = (low + high) / 2, (points - 1) / 2
    return tuple(rounded(middle + (high - low) / 2 * (number - half) / half) for number in range(points))


def rounded(value: float) -> float:
    """Return a number to as many digits as are kept."""
    return float(f"{value:.{DIGITS}g}")
