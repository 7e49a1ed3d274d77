"""How well is one vector a combination of a few others: by weights of at least 0, and by ridge regression?

    nonnegative   minimise |target - weights @ columns|                        over weights >= 0
    ridge         minimise |target - weights @ columns|^2 + penalty |weights|^2
    residual      |target - weights @ columns| / |target|: 0 is a perfect fit, 1 is none

With as many vectors as dimensions anything is fitted, so that a residual means something only for far fewer; even then
it falls with their number, and is to be held against that of vectors for which no good fit is expected.

Source: lawson1974 (non-negative least squares, scipy's), hoerl1970 (ridge regression, scikit-learn's).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float64]


class Combination(NamedTuple):
    """Weights of the vectors [vector], and what they leave of the target."""

    weights: Vectors
    residual: float


def nonnegative(target: Vectors, vectors: Vectors) -> Combination:
    """Fit `target` [dimension] by vectors [vector dimension] with weights of at least 0."""
    from scipy.optimize import nnls

    weights, left = nnls(vectors.T, target)
    return Combination(weights, float(left / np.linalg.norm(target)))


def ridge(target: Vectors, vectors: Vectors, penalty: float) -> Combination:
    """Fit `target` [dimension] by vectors [vector dimension] with weights of either sign, held back by a penalty."""
    from sklearn.linear_model import Ridge

    weights = Ridge(alpha=penalty, fit_intercept=False).fit(vectors.T, target).coef_
    left = np.linalg.norm(target - weights @ vectors)
    return Combination(weights, float(left / np.linalg.norm(target)))
