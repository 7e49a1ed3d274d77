"""How sharply does a loss bend at a point: its Hessian's largest eigenvalues and its trace, without the matrix.

    eigenvalues    Lanczos on products of the Hessian with a vector (scipy's eigsh), the largest first
    trace          mean over random signs v of v . H v (hutchinson1990)

Largest is by sign, not by size: these are the directions in which the loss is sharp. A strongly negative end, where the
point is a saddle, is seen in the trace alone. What is a kink (ReLU) has no second derivative and adds nothing.

Source: the matrix-free way is standard; hutchinson1990 for the trace.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse.linalg import ArpackError, ArpackNoConvergence, LinearOperator, eigsh
from torch import Tensor

from innerloop.errors import DivergedError
from innerloop.inner import slope_and_product
from innerloop.params import count as size_of
from innerloop.params import first_nonfinite, flat, shaped
from innerloop.seeds import generator
from innerloop.shapes import Params
from innerloop.statistics import Interval, mean_interval

Vector = NDArray[np.float64]
ACCURATE = 1e-4  # relative accuracy that is asked of an eigenvalue


@dataclass(frozen=True)
class Spectrum:
    """The upper end of a Hessian's spectrum, in the loss's units over squared parameter units.

    Attributes:
        asked: How many eigenvalues were asked for, at most the number of parameters less one.
        eigenvalues: Those that were reached, the largest first; fewer than asked where the iteration did not converge.
        residuals: For each the norm of H v - eigenvalue v, v having norm 1: how far off it is at most.
        products: How many products of the Hessian with a vector they took.
        trace: Mean over random signs with its interval; None where none were drawn.
    """

    asked: int
    eigenvalues: tuple[float, ...]
    residuals: tuple[float, ...]
    products: int
    trace: Interval | None


def spectrum(
    loss: Callable[[Params], Tensor], params: Params, count: int, probes: int = 0, most: int | None = None
) -> Spectrum:
    """Return the largest eigenvalues of a loss's Hessian, and its trace, in float64.

    Args:
        loss: Of the parameters, twice differentiable.
        params: Where; the Hessian is by all of them.
        count: How many eigenvalues, 1 or more.
        probes: How many vectors of random signs the trace is estimated from; 0 for no trace.
        most: Restarts of the iteration before it gives up; scipy's ten a parameter by default.

    Raises:
        DivergedError: The loss's slope, or a product, is not finite.
    """
    params = {name: value.detach().double() for name, value in params.items()}
    slope, product = slope_and_product(loss, params, params)
    if first_nonfinite(slope):
        raise DivergedError("expected a finite slope to bend, got others; explain the run's other checkpoint")
    size, taken = size_of(params), [0]

    def turned(vector: Vector) -> Vector:
        taken[0] += 1
        found: Vector = flat(product(shaped(torch.from_numpy(vector.copy()), params))).numpy()
        if not np.isfinite(found).all():
            raise DivergedError("expected finite second derivatives, got others; explain the run's other checkpoint")
        return found

    rng = generator(0, "spectrum")
    start: Vector = torch.randn(size, generator=rng, dtype=torch.float64).numpy()
    asked = min(count, size - 1)
    values, vectors = _largest(turned, start, asked, most)
    needed = taken[0]
    pairs = [(value, vector, turned(vector)) for value, vector in zip(values, vectors.T, strict=True)]
    signs = [np.sign(torch.rand(size, generator=rng, dtype=torch.float64).numpy() - 0.5) for _ in range(probes)]
    return Spectrum(
        asked,
        tuple(float(value) for value, _, _ in pairs),
        tuple(float(np.linalg.norm(moved - value * vector)) for value, vector, moved in pairs),
        needed,
        mean_interval([float(sign @ turned(sign)) for sign in signs]) if signs else None,
    )


def _largest(product: Callable[[Vector], Vector], start: Vector, count: int, most: int | None) -> tuple[Vector, Vector]:
    """Return the eigenvalues that are reached, the largest first, and their vectors as columns."""
    size = len(start)
    if not product(start).any():
        return np.zeros(count), np.eye(size, count)  # flat: a Hessian of zeros, from which no iteration starts
    operator = LinearOperator((size, size), matvec=product, dtype=np.float64)
    found: tuple[Any, Any] = np.zeros(0), np.zeros((size, 0))
    try:
        found = eigsh(operator, count, which="LA", v0=start, tol=ACCURATE, maxiter=most)
    except ArpackNoConvergence as reached:
        found = reached.eigenvalues, reached.eigenvectors
    except ArpackError:
        pass  # products too small to iterate with: nothing is reached
    values, vectors = found
    order = np.argsort(-values)
    return values[order], vectors[:, order]
