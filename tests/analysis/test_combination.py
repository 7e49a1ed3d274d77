"""Combinations on planted weights and against plain formulas."""

import numpy as np
import pytest

from innerloop.analysis.combination import nonnegative, ridge

RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(6, 40))


def test_planted_weights_of_at_least_0_are_found_and_leave_nothing():
    planted = np.array([0.5, 0.0, 2.0, 0.0, 0.0, 1.25])
    found = nonnegative(planted @ VECTORS, VECTORS)
    np.testing.assert_allclose(found.weights, planted, atol=1e-12)
    assert found.residual == pytest.approx(0, abs=1e-12)


def test_weights_below_0_are_held_at_0_and_no_other_weights_fit_better():
    target = VECTORS[0] - VECTORS[1]
    found = nonnegative(target, VECTORS)
    assert (found.weights >= 0).all()
    # Karush, Kuhn and Tucker: the gradient is 0 where a weight is above 0, and nowhere below.
    gradient = VECTORS @ (found.weights @ VECTORS - target)
    assert (gradient > -1e-9).all()
    np.testing.assert_allclose(gradient[found.weights > 0], 0, atol=1e-9)
    assert found.residual > 0.3


def test_ridge_solves_its_normal_equations_and_both_residuals_are_relative():
    target = RNG.normal(size=40)
    found = ridge(target, VECTORS, 0.7)
    expected = np.linalg.solve(VECTORS @ VECTORS.T + 0.7 * np.eye(6), VECTORS @ target)
    np.testing.assert_allclose(found.weights, expected)
    left = np.linalg.norm(target - expected @ VECTORS) / np.linalg.norm(target)
    assert found.residual == pytest.approx(left)
    for fit in (lambda each: ridge(each, VECTORS, 0.7), lambda each: nonnegative(each, VECTORS)):
        assert fit(1000 * target).residual == pytest.approx(fit(target).residual)
        assert fit(target).residual <= 1 + 1e-12


def test_nothing_is_left_unexplained_less_by_fewer_vectors_and_all_where_there_is_nothing_in_common():
    target = RNG.normal(size=40)
    left = [nonnegative(target, VECTORS[:count]).residual for count in range(1, 7)]
    assert left == sorted(left, reverse=True)
    basis = np.eye(40)
    assert nonnegative(basis[0], basis[1:5]).residual == pytest.approx(1)
