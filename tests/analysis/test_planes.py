import pytest
import torch
from sklearn.decomposition import PCA

from innerloop.analysis.planes import Plane, filter_normalised, path_plane, random_plane, spanned
from innerloop.errors import ConfigError
from innerloop.params import add, dot, norm, scaled
from innerloop.seeds import generator
from worlds import conv_learner, smooth_learner


def rng():
    return generator(0, "test")


def test_every_filter_of_a_random_direction_is_as_long_as_the_parameters_own_and_single_axes_do_not_move():
    _, params = conv_learner()
    params["head.weight"][1] = 0.0
    direction = filter_normalised(params, rng())
    for name, value in direction.items():
        if value.dim() < 2:
            assert not value.any()
            continue
        for own, its in zip(value, params[name], strict=True):
            assert own.norm().item() == pytest.approx(its.norm().item(), rel=1e-12)
    assert direction["head.weight"][0].any()
    assert not direction["head.weight"][1].any()


def test_two_random_directions_differ_and_lie_at_nearly_right_angles():
    _, params = conv_learner(filters=16)
    plane = random_plane(params, params, rng())
    cosine = dot(plane.first, plane.second) / (norm(plane.first) * norm(plane.second))
    assert abs(cosine) < 0.1
    assert plane.at(0.0, 0.0).keys() == params.keys()
    assert all(torch.equal(value, params[name]) for name, value in plane.at(0.0, 0.0).items())


def test_a_direction_of_parameters_without_norm_is_refused():
    _, params = smooth_learner()
    with pytest.raises(ConfigError, match="expected filters to scale a random direction by, got parameters of norm 0"):
        filter_normalised(scaled(params, 0.0), rng())
    biases = {name: value for name, value in params.items() if value.dim() == 1}
    with pytest.raises(ConfigError, match="norm 0"):
        filter_normalised(biases, rng())


def steps_of(params, count, seed=0):
    """Some ways to go."""
    return [
        {
            name: torch.randn(value.shape, generator=generator(seed, "way", k), dtype=value.dtype)
            for name, value in params.items()
        }
        for k in range(count)
    ]


def test_the_plane_of_two_points_holds_both_at_their_true_distances():
    _, params = smooth_learner()
    ways = steps_of(params, 2)
    one, other = (add(params, way) for way in ways)
    plane = spanned(params, one, other, list(params))
    for point in (params, one, other):
        again = plane.at(*plane.coordinates(point))
        assert norm(add(again, point, -1.0)).item() < 1e-12
    x, y = plane.coordinates(one)
    assert (x, y) == (pytest.approx(norm(ways[0]).item()), pytest.approx(0.0, abs=1e-12))
    far = torch.tensor(plane.coordinates(other)).norm().item()
    assert far == pytest.approx(norm(ways[1]).item())
    assert plane.coordinates(params) == (0.0, 0.0)


def test_points_at_the_origin_or_on_one_line_span_no_plane():
    _, params = smooth_learner()
    (way,) = steps_of(params, 1)
    one = add(params, way)
    with pytest.raises(ConfigError, match="expected two adaptations that move, got one of length 0"):
        spanned(params, one, params, list(params))
    for scale in (2.0, -0.5):
        with pytest.raises(ConfigError, match="expected adaptations in two directions, got parallel ones"):
            spanned(params, one, add(params, way, scale), list(params))


def test_a_path_in_a_plane_is_found_with_all_its_variance_and_every_point_of_it():
    _, params = smooth_learner()
    ways = steps_of(params, 2)
    path = [add(add(params, ways[0], t), ways[1], t * t) for t in (-2.0, -1.5, -0.5, 0.3, 1.0)]
    found = path_plane(path, list(params))
    assert sum(found.explained) == pytest.approx(1.0)
    assert found.explained[0] > found.explained[1] > 0
    for point in path:
        assert norm(add(found.plane.at(*found.plane.coordinates(point)), point, -1.0)).item() < 1e-10
    assert found.plane.coordinates(path[-1]) == pytest.approx((0.0, 0.0), abs=1e-12)
    x, y = found.plane.coordinates(path[0])
    assert x < 0 < y
    products = [dot(a, b).item() for a, b in ((found.plane.first,) * 2, (found.plane.second,) * 2)]
    assert products == pytest.approx([1.0, 1.0])
    assert dot(found.plane.first, found.plane.second).item() == pytest.approx(0.0, abs=1e-12)


def test_variance_off_the_plane_is_not_explained_and_what_is_explained_is_that_of_principal_components():
    _, params = smooth_learner()
    path = [params, *(add(params, way) for way in steps_of(params, 5))]
    found = path_plane(path, list(params))
    rows = torch.stack([torch.cat([value.flatten() for value in each.values()]) for each in path])
    truth = PCA(2).fit(rows.numpy())
    assert found.explained == pytest.approx(tuple(truth.explained_variance_ratio_))
    assert 0.3 < sum(found.explained) < 0.95


def test_a_short_a_straight_and_a_standing_path_have_no_plane():
    _, params = smooth_learner()
    (way,) = steps_of(params, 1)
    straight = [add(params, way, t) for t in (0.0, 1.0, 3.0)]
    with pytest.raises(ConfigError, match="expected a path of at least 3 points, got 2"):
        path_plane(straight[:2], list(params))
    with pytest.raises(ConfigError, match="expected a path that turns, got a straight line"):
        path_plane(straight, list(params))
    with pytest.raises(ConfigError, match="expected a path that turns, got one point"):
        path_plane([params] * 3, list(params))


def test_names_that_a_direction_lacks_stay():
    _, params = smooth_learner()
    plane = Plane(params, {"head.weight": params["head.weight"]}, {"head.bias": params["head.bias"]})
    here = plane.at(2.0, -1.0)
    assert torch.equal(here["body.weight"], params["body.weight"])
    assert torch.allclose(here["head.weight"], 3 * params["head.weight"])
    assert not here["head.bias"].any()
