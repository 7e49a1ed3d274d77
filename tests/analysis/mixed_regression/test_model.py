import math

import pytest

from innerloop.analysis.mixed_regression import Regression
from innerloop.errors import ConfigError

SIZES = {"dimensions": 10, "tasks": 2, "inner_points": 4, "outer_points": 3, "test_points": 4}


def test_a_world_with_fewer_outer_points_than_dimensions_is_over_parameterised():
    assert Regression(**SIZES).is_over
    assert Regression(**SIZES).equations == 6
    assert not Regression(**{**SIZES, "tasks": 4}).is_over


@pytest.mark.parametrize("name", SIZES)
def test_every_size_is_at_least_1(name):
    with pytest.raises(ConfigError, match=f"expected {name} of at least 1, got 0"):
        Regression(**{**SIZES, name: 0})


@pytest.mark.parametrize("name", ["noise", "spread", "start_distance"])
@pytest.mark.parametrize("value", [-0.1, math.inf, math.nan])
def test_noise_spread_and_distance_are_finite_and_not_negative(name, value):
    with pytest.raises(ConfigError, match=f"expected {name}, a number of at least 0, got"):
        Regression(**SIZES, **{name: value})


@pytest.mark.parametrize("dimensions", [5, 6, 7])
def test_as_many_outer_points_as_dimensions_are_refused_as_their_mean_loss_is_infinite(dimensions):
    with pytest.raises(ConfigError, match=f"at least 2 away from dimensions={dimensions}, got 6; .* is infinite"):
        Regression(**{**SIZES, "dimensions": dimensions})
