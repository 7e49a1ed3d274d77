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

    def row(own: Algorithm, y: float) -> list[list[float | None]]:
        start = add(plane.origin, plane.second, y)
        return _along(own, start, plane.first, across, losses)

    rows = workers.over(up, row)
    return {name: tuple(tuple(each[number]) for each in rows) for number, name in enumerate(losses)}


def over_line(
    own: Algorithm, start: Params, direction: Params, places: Sequence[float], losses: Mapping[str, LossAt]
) -> dict[str, list[float | None]]:
    """Return each loss over points of a line: `start + place * direction`."""
    return dict(zip(losses, _along(own, start, direction, places, losses), strict=True))


def spaced(low: float, high: float, points: int) -> tuple[float, ...]:
    """Return evenly spaced coordinates; the middle of an odd number of them about 0 is exactly 0."""
    middle, half = (low + high) / 2, (points - 1) / 2
    return tuple(rounded(middle + (high - low) / 2 * (number - half) / half) for number in range(points))


def rounded(value: float) -> float:
    """Return a number to as many digits as are kept."""
    return float(f"{value:.{DIGITS}g}")


def _along(
    own: Algorithm, start: Params, direction: Params, places: Sequence[float], losses: Mapping[str, LossAt]
) -> list[list[float | None]]:
    found: list[list[float | None]] = [[] for _ in losses]
    with torch.no_grad():
        for place in places:
            here = add(start, direction, place)
            for values, loss in zip(found, losses.values(), strict=True):
                value = loss(own, here).item()
                values.append(rounded(value) if math.isfinite(value) else None)
    return found
