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


def test_another_draw_goes_in_other_directions_and_changes_no_gradient():
    loss, params = world()
    first, again, other = (sensitivity(loss, params, draw) for draw in (0, 0, 1))
    assert first == again
    for name, each in first.items():
        assert other[name].gradient == each.gradient
        assert other[name].change != each.change


def test_layers_of_one_shape_go_in_directions_of_their_own():
    weights = torch.ones(20, dtype=torch.float64)
    slope = torch.randn(20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = sensitivity(lambda here: (slope * (here["a"] + here["b"])).sum(), {"a": weights, "b": weights})
    assert found["a"].gradient == found["b"].gradient
    assert found["a"].change != found["b"].change


def test_steps_go_both_ways():
    weights = torch.ones(2, dtype=torch.float64)
    found = sensitivity(lambda here: (here["w"] - 1).sum().clamp(min=0), {"w": weights})["w"]
    whole = sensitivity(lambda here: (here["w"] - 1).sum().abs(), {"w": weights})["w"]
    assert found.change == pytest.approx(whole.change / math.sqrt(2))  # half of the steps change nothing
