"""What does theory say of the best inner rates in mixed linear regression?

With R the mean squared distance of the trained weights from w0, and R' = R + spread^2 that from a task's weights:

    loss_at_test                G1   (noise (1 + a^2 p/n_r) + contraction R') / 2     exact, a being the adaptation rate
    over_distance               G2   R of the over-parameterised world                leading order in n_v m/p and 1/n_t
    best_over_rate              G3   its best training rate, always negative          leading order in 1/n_t
    under_distance              G4   R of the under-parameterised world               leading order in 1/m
    best_adaptation_rate        G5   minimises G1, always positive                    exact
    slope_at_zero               G6   dR/da at a training rate of 0, positive          of G2 and G4

The inner step turns a distance u into (I - a S) u, S the inner points' covariance around zero, and adds noise of its
own; a negative rate makes the outer points' rows longer, so that their own noise weighs less.

Source: bernacchia2021; derived here, as only its abstract was at hand.
"""

from functools import cache
from math import comb, sqrt

from numpy.polynomial import Polynomial

from innerloop.analysis.mixed_regression.model import Regression
from innerloop.analysis.mixed_regression.wishart import mean_of_traces
from innerloop.errors import ConfigError


def contraction(rate: float, points: int, dimensions: int) -> float:
    """Return by how much one step without noise scales a mean squared distance: (1-a)^2 + a^2 (p+1)/n."""
    return (1 - rate) ** 2 + rate**2 * (dimensions + 1) / points


def loss_at_test(model: Regression, adaptation_rate: float, distance: float) -> float:
    """Return half the mean squared error after adaptation (G1).

    Args:
        model: The world.
        adaptation_rate: Of any sign.
        distance: Mean squared distance of the trained weights from w0 (R).
    """
    noise = model.noise * (1 + adaptation_rate**2 * model.dimensions / model.test_points)
    kept = contraction(adaptation_rate, model.test_points, model.dimensions)
    return 0.5 * (noise + kept * (distance + model.spread**2))


def distance(model: Regression, training_rate: float) -> float:
    """Return the mean squared distance of the trained weights from w0 (R), by what the world is."""
    return (over_distance if model.is_over else under_distance)(model, training_rate)


def over_distance(model: Regression, training_rate: float) -> float:
    """Return R of an over-parameterised world (G2): what training leaves of the start, and what it puts there."""
    filled = model.equations / model.dimensions
    of_inner_noise = training_rate**2 * model.dimensions / model.inner_points
    kept = contraction(training_rate, model.inner_points, model.dimensions)
    return (1 - filled) * model.start_distance**2 + filled * (
        model.spread**2 + model.noise * (1 + of_inner_noise) / kept
    )


def best_over_rate(model: Regression) -> float:
    """Return the training rate of the smallest R (G3): -(1 + sqrt(1 + 4 xi)) / (2 xi) with xi = p/n_t."""
    ratio = model.dimensions / model.inner_points
    return -(1 + sqrt(1 + 4 * ratio)) / (2 * ratio)


def worst_over_rate(model: Regression) -> float:
    """Return the training rate of the largest R: (sqrt(1 + 4 xi) - 1) / (2 xi), always positive."""
    ratio = model.dimensions / model.inner_points
    return (sqrt(1 + 4 * ratio) - 1) / (2 * ratio)


def under_distance(model: Regression, training_rate: float) -> float:
    """Return R of an under-parameterised world (G4)."""
    above, below = _under(model)
    return float(above(training_rate) / below(training_rate))


def best_under_rate(model: Regression) -> float:
    """Return the training rate of the smallest R of `under_distance`, where a fraction of polynomials is stationary."""
    above, below = _under(model)
    roots = (above.deriv() * below - above * below.deriv()).roots()
    real = roots.real[abs(roots.imag) < 1e-6 * (1 + abs(roots.real))]
    return float(min(real, key=lambda rate: above(rate) / below(rate)))


def best_training_rate(model: Regression) -> float:
    """Return the predicted best training rate, by what the world is.

    Raises:
        ConfigError: There is no noise, without which the over-parameterised R is the same at every rate.
    """
    if not model.is_over:
        return best_under_rate(model)
    if model.noise == 0:
        raise ConfigError(
            "expected noise above 0 to tell training rates of an over-parameterised world apart, got 0; all are alike"
        )
    return best_over_rate(model)


def best_adaptation_rate(model: Regression, distance: float) -> float:
    """Return the adaptation rate of the smallest test loss (G5): R' / (R' (1 + (p+1)/n_r) + noise p/n_r)."""
    far = distance + model.spread**2
    points, dimensions = model.test_points, model.dimensions
    if far == 0:
        return 0.0
    return far / (far * (1 + (dimensions + 1) / points) + model.noise * dimensions / points)


def slope_at_zero(model: Regression) -> float:
    """Return how fast R grows with the training rate at 0 (G6): where there is noise, a small negative rate helps."""
    share = model.equations / model.dimensions
    return 2 * model.noise * (share if model.is_over else 1 / share)


@cache
def _under(model: Regression) -> tuple[Polynomial, Polynomial]:
    """Return G4's numerator and denominator as polynomials of the training rate a, with A = I - a S.

    Least squares has R = E tr[(B'B)^-1 B' V B (B'B)^-1] with B the rows x' A of all outer points and V the covariance
    of what they leave unexplained. For many tasks B'B is m n_v times the mean of A^2, contraction * I. V has from each
    task its own spread, A seen through its outer points; the outer points' noise; and the inner points' noise, which
    comes in through a X'z / n_t. For one task E[X_v' X_v C X_v' X_v] = n_v (n_v + 1) C + n_v tr C I, which gives all
    three; only means of traces of S are left.
    """
    p, n_t, n_v = model.dimensions, model.inner_points, model.outer_points
    fourth = Polynomial([comb(4, k) * (-1) ** k * _mean(model, k) for k in range(5)])  # tr A^4
    # (tr A^2)^2, tr A^2 = t_0 - 2 a t_1 + a^2 t_2
    square = Polynomial(
        [
            p**2,
            -4 * p * _mean(model, 1),
            2 * p * _mean(model, 2) + 4 * _mean(model, 1, 1),
            -4 * _mean(model, 1, 2),
            _mean(model, 2, 2),
        ]
    )
    inner = Polynomial([_mean(model, 1), -2 * _mean(model, 2), _mean(model, 3)])  # tr A S A
    crossed = Polynomial([p * _mean(model, 1), -2 * _mean(model, 1, 1), _mean(model, 1, 2)])  # tr S tr A^2
    kept = Polynomial([1, -2, 1 + (p + 1) / n_t])  # contraction
    pairs = n_v * (n_v + 1)
    above = (
        model.spread**2 / p * (pairs * fourth + n_v * square)
        + model.noise * n_v * p * kept
        + model.noise / n_t * Polynomial([0, 0, 1]) * (pairs * inner + n_v * crossed)
    )
    return above, model.tasks * n_v**2 * kept**2


def _mean(model: Regression, *powers: int) -> float:
    """Return E[tr S^a tr S^b ...] for S = X'X / n_t of a task's inner points."""
    return mean_of_traces(model.inner_points, model.dimensions, *powers) / float(model.inner_points) ** sum(powers)
