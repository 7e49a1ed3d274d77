import math

import pytest
import torch

from innerloop.data import DataConfig, load
from innerloop.data.episode import EpisodeShape
from innerloop.data.family import Family
from innerloop.data.sampler import check, draw, draw_batch
from innerloop.errors import ConfigError, DataError

SHAPE = EpisodeShape(5, 10, 20)


@pytest.mark.parametrize("name", ["sinusoid", "linear_regression", "gaussians"])
def test_a_task_is_a_pure_function_of_side_seed_and_index(name):
    data = load(DataConfig(name))
    for side, family in data.splits.items():
        assert isinstance(family, Family)
        check(family, SHAPE)
        first, again = (draw(family, SHAPE, 3, 4) for _ in range(2))
        assert torch.equal(first.query.inputs, again.query.inputs)
        assert torch.equal(first.support.targets, again.support.targets)
        assert first.query.inputs.shape[1:] == family.input_shape
        assert side == family.name
    left, right = (draw(data.split(side), SHAPE, 3, 4).query.inputs for side in ("train", "test"))
    assert not torch.equal(left, right)


def test_every_sinusoid_has_the_papers_ranges_and_one_wave_for_support_and_query():
    family = load(DataConfig("sinusoid")).split("train")
    batch = draw_batch(family, EpisodeShape(5, 50, 50), 0, range(300))
    assert batch.support.inputs.abs().max() <= 5
    top = batch.query.targets.abs().amax((1, 2))
    assert 0.05 < top.min() < 0.6
    assert 4.4 < top.max() <= 5
    # y = a sin(x - p) = (a cos p) sin x - (a sin p) cos x: two numbers fitted on the support predict the query.
    for support, query in zip(*(list(zip(*side, strict=True)) for side in batch), strict=True):
        waves = [torch.cat([torch.sin(x), torch.cos(x)], 1).double() for x, _ in (support, query)]
        fitted = torch.linalg.lstsq(waves[0], support[1].double()).solution
        torch.testing.assert_close(waves[1] @ fitted, query[1].double(), rtol=1e-3, atol=1e-4)
        assert 0 <= math.atan2(-fitted[1].item(), fitted[0].item()) + 1e-3 <= math.pi + 2e-3


def test_linear_regression_has_the_stated_spread_and_noise():
    family = load(DataConfig("linear_regression")).split("train")
    batch = draw_batch(family, EpisodeShape(2, 200, 200), 0, range(100))
    weights = torch.linalg.lstsq(batch.support.inputs, batch.support.targets).solution
    left = batch.query.targets - batch.query.inputs @ weights
    # Least squares with n = 200 and p = 60 leaves noise (1 + p / (n - p - 1)) in a fresh sample.
    assert left.var().item() == pytest.approx(1 + 60 / 139, rel=0.05)
    assert batch.query.targets.var().item() == pytest.approx(0.25 + 1, rel=0.05)


def test_gaussians_are_classes_with_slots():
    episode = draw(load(DataConfig("gaussians")).split("test"), EpisodeShape(4, 2, 3), 0, 0)
    assert episode.support.targets.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert episode.query.targets.bincount().tolist() == [3] * 4
    centres = episode.support.inputs.view(4, 2, -1).mean(1)
    nearest = torch.cdist(episode.query.inputs, centres).argmin(1)
    assert (nearest == episode.query.targets).float().mean() > 0.6


def test_a_formula_has_no_classes_to_show():
    with pytest.raises(DataError, match="given by a formula"):
        load(DataConfig("sinusoid")).classes("train")


@pytest.mark.parametrize("name", ["sinusoid", "linear_regression", "gaussians"])
def test_tasks_by_formula_have_no_classes_that_keep_a_slot_and_no_images_to_turn(name):
    with pytest.raises(ConfigError, match=r"classes that come back for episode.labels=fixed"):
        check(load(DataConfig(name)).split("train"), EpisodeShape(labels="fixed"))
    with pytest.raises(ConfigError, match=r"does not take data.rotations; it takes: nothing"):
        DataConfig(name, rotations=True)


def test_a_shape_without_classes_has_no_ways():
    assert EpisodeShape(5, 10).described(classes=False) == "10-shot"
    assert str(EpisodeShape(5, 10)) == "5-way 10-shot"
