import numpy as np
import pytest
import torch

from innerloop.analysis.spectrum import spectrum
from innerloop.errors import DivergedError
from worlds import algorithm_of, normed_learner, smooth_learner, vector_episode

EPISODE = vector_episode()


def world(make=smooth_learner):
    learner, params = make()
    algorithm = algorithm_of("maml", learner)
    return lambda here: algorithm.support_loss(here, EPISODE.support)[0], params


def flattened(loss, params):
    """The loss as a function of one vector, and that vector."""
    sizes = [value.numel() for value in params.values()]

    def flat(vector):
        pieces = torch.split(vector, sizes)
        return loss({name: each.reshape(params[name].shape) for name, each in zip(params, pieces, strict=True)})

    return flat, torch.cat([value.flatten() for value in params.values()])


def dense(loss, params):
    """The Hessian as a matrix."""
    flat, here = flattened(loss, params)
    return torch.func.hessian(flat)(here).numpy()


def by_differences(loss, params, step=1e-5):
    """The Hessian by central differences of slopes: torch.func.hessian's is not symmetric behind BatchNorm."""
    flat, here = flattened(loss, params)
    slope = torch.func.grad(flat)
    rows = [(slope(here + way) - slope(here - way)) / (2 * step) for way in step * torch.eye(len(here)).to(here)]
    return torch.stack(rows).numpy()


@pytest.mark.parametrize(("make", "matrix"), [(smooth_learner, dense), (normed_learner, by_differences)])
def test_largest_eigenvalues_are_those_of_the_dense_hessian(make, matrix):
    loss, params = world(make)
    truth = np.linalg.eigvalsh(matrix(loss, params))[::-1]
    found = spectrum(loss, params, 5)
    assert found.eigenvalues == pytest.approx(truth[:5], rel=1e-7)
    assert max(found.residuals) < 1e-4 * found.eigenvalues[0]
    assert len(found.residuals) == found.asked == 5
    assert found.products >= 5
    assert found.trace is None


def test_the_trace_is_that_of_the_dense_hessian_within_its_interval_and_exactly_for_a_diagonal_one():
    loss, params = world()
    found = spectrum(loss, params, 1, 400).trace
    truth = float(np.trace(dense(loss, params)))
    assert abs(found.mean - truth) < 1.5 * found.half_width
    assert found.half_width < 0.2 * abs(truth)
    curvature = torch.tensor([3.0, -1.0, 0.5, 2.0], dtype=torch.float64)
    of_diagonal = spectrum(
        lambda here: (curvature * here["x"] ** 2).sum() / 2, {"x": torch.ones(4, dtype=torch.float64)}, 2, 3
    )
    assert of_diagonal.trace.mean == pytest.approx(4.5)
    assert of_diagonal.trace.half_width == pytest.approx(0.0, abs=1e-12)
    assert of_diagonal.eigenvalues == pytest.approx([3.0, 2.0])


def test_residuals_say_how_far_off_an_eigenvalue_is():
    loss, params = world()
    matrix = dense(loss, params)
    truth = np.linalg.eigvalsh(matrix)
    found = spectrum(loss, params, 3)
    for value, residual in zip(found.eigenvalues, found.residuals, strict=True):
        assert np.abs(truth - value).min() <= residual + 1e-12


def test_no_more_eigenvalues_are_asked_for_than_the_iteration_can_give():
    loss, params = world()
    size = sum(value.numel() for value in params.values())
    found = spectrum(loss, params, 10 * size)
    assert found.asked == len(found.eigenvalues) == size - 1
    assert list(found.eigenvalues) == sorted(found.eigenvalues, reverse=True)


def wide(count=400):
    """A loss whose eigenvalues lie close, for an iteration that is stopped early."""
    scale = torch.arange(count, dtype=torch.float64).sqrt()
    return lambda here: (scale * here["x"] ** 2).sum() / 2, {"x": torch.ones(count, dtype=torch.float64)}


def test_an_iteration_that_does_not_converge_tells_what_it_reached_and_raises_nothing():
    loss, params = wide()
    stopped = spectrum(loss, params, 5, probes=2, most=1)
    assert stopped.asked == 5
    assert len(stopped.eigenvalues) == len(stopped.residuals) < 5
    assert stopped.trace is not None
    whole = spectrum(loss, params, 5)
    assert whole.eigenvalues == pytest.approx([np.sqrt(399 - rank) for rank in range(5)], rel=1e-4)


def test_a_loss_without_bend_has_eigenvalues_and_a_trace_of_zero():
    found = spectrum(lambda here: here["x"].sum(), {"x": torch.ones(30, dtype=torch.float64)}, 3, 2)
    assert found.eigenvalues == (0.0, 0.0, 0.0)
    assert found.residuals == (0.0, 0.0, 0.0)
    assert found.trace.mean == 0.0


def test_single_precision_parameters_are_bent_in_float64():
    loss, params = world()
    short = {name: value.float() for name, value in params.items()}
    exact = spectrum(loss, {name: value.double() for name, value in short.items()}, 2, 2)
    assert spectrum(loss, short, 2, 2) == exact


def test_slopes_that_are_not_finite_are_refused():
    with pytest.raises(DivergedError, match="expected a finite slope to bend"):
        spectrum(lambda here: here["x"].log().sum(), {"x": torch.zeros(5, dtype=torch.float64)}, 1)
    with pytest.raises(DivergedError, match="expected finite second derivatives"):
        spectrum(lambda here: here["x"].abs().pow(1.5).sum(), {"x": torch.zeros(5, dtype=torch.float64)}, 1)
