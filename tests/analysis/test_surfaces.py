import pytest
import torch

from innerloop.analysis.planes import random_plane
from innerloop.analysis.surfaces import over_line, over_plane, spaced
from innerloop.engine.workers import Workers
from innerloop.seeds import generator
from worlds import algorithm_of, conv_learner, image_episode

EPISODE = image_episode()
LOSSES = {
    "support": lambda own, here: own.support_loss(here, EPISODE.support)[0],
    "query": lambda own, here: own.query_loss(here, EPISODE)[0],
}


@pytest.mark.parametrize("count", [1, 3])
def test_a_surface_has_the_loss_of_every_point_on_however_many_threads(count):
    learner, params = conv_learner()
    algorithm = algorithm_of("maml", learner)
    plane = random_plane(params, params, generator(0, "test"))
    across, up = spaced(-1.0, 1.0, 3), spaced(-0.5, 0.5, 5)
    found = over_plane(Workers(algorithm, count), plane, across, up, LOSSES)
    assert list(found) == ["support", "query"]
    for name, loss in LOSSES.items():
        for row, y in enumerate(up):
            for column, x in enumerate(across):
                true = loss(algorithm, plane.at(x, y)).item()
                assert found[name][row][column] == pytest.approx(true, rel=1e-4)
    assert found["query"][2][1] == pytest.approx(algorithm.query_loss(params, EPISODE)[0].item(), rel=1e-4)


def test_what_is_not_finite_is_none_and_nothing_else_is_lost():
    learner, params = conv_learner()
    losses = {"root": lambda _, here: here["head.bias"].sum().sqrt()}
    start = {**params, "head.bias": torch.zeros(3, dtype=torch.float64)}
    way = {"head.bias": torch.ones(3, dtype=torch.float64)}
    found = over_line(algorithm_of("maml", learner), start, way, (-1.0, 0.0, 3.0), losses)
    assert found == {"root": [None, 0.0, 3.0]}


def test_coordinates_are_even_and_their_middle_about_zero_is_zero():
    assert spaced(-1.0, 1.0, 5) == (-1.0, -0.5, 0.0, 0.5, 1.0)
    for points in (3, 7, 25, 41):
        found = spaced(-0.7, 0.7, points)
        assert found[points // 2] == 0.0
        assert len(found) == points
    assert spaced(1.0, 2.0, 3) == (1.0, 1.5, 2.0)
