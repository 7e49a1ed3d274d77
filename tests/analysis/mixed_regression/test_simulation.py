from dataclasses import replace

import pytest
import torch

from innerloop.analysis.mixed_regression import Regression, adapted_losses, contraction, draw, trained
from innerloop.seeds import generator
from reference import mixed_regression as reference

OVER = Regression(12, 3, 7, 2, 6, noise=0.7, spread=1.3, start_distance=0.8)
UNDER = Regression(5, 6, 7, 3, 6, noise=0.7, spread=1.3, start_distance=0.8)


def rng(name):
    return generator(0, name)


@pytest.mark.parametrize("model", [OVER, UNDER])
@pytest.mark.parametrize("rate", [-1.5, 0.0, 0.3, 1.0])
def test_trained_weights_are_those_of_one_world_after_the_other(model, rate):
    tasks = draw(model, 4, rng=rng("worlds"))
    assert torch.allclose(trained(model, tasks, rate), reference.trained(model, tasks, rate), atol=1e-10, rtol=0)


@pytest.mark.parametrize("model", [OVER, UNDER])
@pytest.mark.parametrize("rate", [-1.5, 0.3])
def test_the_outer_loss_through_an_inner_step_is_stationary_at_the_trained_weights(model, rate):
    tasks = draw(model, 3, rng=rng("stationary"))
    for world, found in enumerate(trained(model, tasks, rate)):
        weights = found.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(reference.outer_loss(model, tasks, world, rate, weights), weights)
        assert gradient.abs().max() < 1e-10


def test_an_over_parameterised_learner_fits_every_outer_point_and_moves_no_further_than_it_must():
    tasks = draw(OVER, 3, rng=rng("fits"))
    for world, found in enumerate(trained(OVER, tasks, -0.7)):
        assert reference.outer_loss(OVER, tasks, world, -0.7, found.clone().requires_grad_()).item() < 1e-20
    start = torch.eye(OVER.dimensions, dtype=torch.float64)[0] * OVER.start_distance
    rows = tasks.outer.inputs.flatten(1, 2)  # at a rate of 0
    moved = trained(OVER, tasks, 0.0) - start
    outside = moved - (torch.linalg.pinv(rows) @ rows @ moved[..., None])[..., 0]
    assert outside.abs().max() < 1e-12


def test_without_noise_and_spread_every_weight_of_w0_is_found_where_points_tell_it():
    model = replace(UNDER, noise=0.0, spread=0.0)
    assert trained(model, draw(model, 3, rng=rng("none")), -0.4).abs().max() < 1e-12


@pytest.mark.parametrize("model", [OVER, UNDER])
def test_test_losses_are_those_of_adapting_to_each_task_by_autograd(model):
    weights = torch.randn(2, 3, model.dimensions, generator=rng("weights"), dtype=torch.float64)
    found = adapted_losses(model, weights, 4, rng=rng("tasks"))
    again = rng("tasks")

    def normal(*shape):
        return torch.randn(shape, generator=again, dtype=torch.float64)

    own = model.spread / model.dimensions**0.5 * normal(2, 4, model.dimensions)
    inputs, noise = normal(2, 4, model.test_points, model.dimensions), normal(2, 4, 1, model.test_points)[:, :, 0]
    for rate in (-0.5, 0.0, 0.2):
        for world in range(2):
            for which in range(3):
                losses = []
                for task in range(4):
                    targets = inputs[world, task] @ own[world, task] + model.noise**0.5 * noise[world, task]
                    start = weights[world, which].clone().requires_grad_()
                    inner = ((targets - inputs[world, task] @ start) ** 2).mean() / 2
                    (gradient,) = torch.autograd.grad(inner, start)
                    away = own[world, task] - (start - rate * gradient).detach()
                    losses.append(0.5 * (model.noise + away @ away))
                powers = torch.tensor([1.0, rate, rate**2], dtype=torch.float64)
                assert abs(found[world, which] @ powers - sum(losses) / 4) < 1e-10


def test_draws_have_the_moments_that_the_model_states():
    """|z| below 4 for the mean squares of inputs and of targets over 20,000 tasks."""
    model = Regression(8, 1, 4, 2, 3, noise=0.7, spread=1.3)
    points = draw(model, 20000, rng=rng("moments")).inner
    for values, expected in (
        (points.inputs, 1.0),
        (points.targets, model.spread**2 + model.noise),
    ):
        squares = (values**2).flatten(1).mean(1)
        assert abs(squares.mean() - expected) / (squares.std() / len(squares) ** 0.5) < 4


def test_one_inner_step_contracts_a_distance_as_the_formula_says():
    """|z| below 4 over 20,000 tasks."""
    model = Regression(8, 1, 4, 2, 5, noise=0.0, spread=0.0)
    away = torch.ones(20000, 1, 8, dtype=torch.float64)
    losses = adapted_losses(model, away, 1, rng=rng("contraction"))[:, 0]
    for rate in (-0.6, 0.3):
        kept = 2 * losses @ torch.tensor([1.0, rate, rate**2], dtype=torch.float64) / 8
        expected = contraction(rate, model.test_points, model.dimensions)
        assert abs(kept.mean() - expected) / (kept.std() / len(kept) ** 0.5) < 4


def test_the_same_generator_gives_the_same_worlds_and_no_other():
    first, again, other = (draw(OVER, 2, rng=rng(name)) for name in ("a", "a", "b"))
    assert torch.equal(first.outer.targets, again.outer.targets)
    assert not torch.equal(first.outer.targets, other.outer.targets)
