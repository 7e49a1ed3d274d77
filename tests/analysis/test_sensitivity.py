import math

import pytest
import torch

from innerloop.analysis.sensitivity import sensitivity
from worlds import algorithm_of, smooth_learner, vector_episode

EPISODE = vector_episode()


def world():
    learner, params = smooth_learner()
    algorithm = algorithm_of("maml", learner)
    return lambda here: algorithm.query_loss(here, EPISODE)[0], params


def test_every_layer_has_the_norm_of_its_gradient():
    loss, params = world()
    leaves = {name: value.clone().requires_grad_() for name, value in params.items()}
    gradients = torch.autograd.grad(loss(leaves), list(leaves.values()))
    found = sensitivity(loss, params)
    assert list(found) == list(params)
    for each, gradient in zip(found.values(), gradients, strict=True):
        assert each.gradient == pytest.approx(gradient.norm().item())


def test_a_relative_step_changes_a_straight_loss_by_the_layers_norm_times_its_slope_along_it():
    slope = torch.randn(2000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    value = torch.full((2000,), 3.0, dtype=torch.float64)
    found = sensitivity(lambda here: (slope * here["w"]).sum(), {"w": value})["w"]
    expected = value.norm() * slope.norm() / math.sqrt(2000)
    # Two random directions: their squared cosines to the slope scatter about 1 / 2000.
    assert 0.2 * expected < found.change < 2.5 * expected
    doubled = sensitivity(lambda here: (slope * here["w"]).sum(), {"w": 2 * value})["w"]
    assert doubled.change == pytest.approx(2 * found.change)
    assert doubled.gradient == pytest.approx(found.gradient)


def test_a_layer_of_zeros_has_a_gradient_but_no_relative_unit():
    loss, params = world()
    found = sensitivity(loss, {**params, "head.weight": torch.zeros_like(params["head.weight"])})
    assert found["head.weight"].gradient > 0
    assert math.isnan(found["head.weight"].change)
    assert found["body.weight"].change == pytest.approx(0.0, abs=1e-12)  # the head hides it
