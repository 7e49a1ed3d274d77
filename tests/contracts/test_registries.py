"""What holds for every entry of every registry."""

import pytest
import torch

from innerloop.algorithms import ALGORITHMS
from innerloop.data import DATASETS, DataConfig, load
from innerloop.data.episode import EpisodeShape
from innerloop.data.sampler import check, draw
from innerloop.models import MODELS, ModelConfig, build
from worlds import algorithm_of, conv_learner, image_episode


@pytest.fixture(params=sorted(DATASETS))
def data(request):
    if request.param == "omniglot":
        root = request.getfixturevalue("omniglot_root")
        return load(DataConfig("omniglot", root=str(root)))
    return load(DataConfig(request.param))


def test_every_data_set_draws_the_same_balanced_episode_twice_from_disjoint_splits(data):
    names = [name for split in data.splits.values() for name in split.class_names]
    assert len(names) == len(set(names))
    shape = EpisodeShape(5, 2, 4)
    for split in data.splits.values():
        check(split, shape)
        first, again = (draw(split, shape, 1, 2) for _ in range(2))
        assert torch.equal(first.query.inputs, again.query.inputs)
        assert first.query.targets.bincount().tolist() == [4] * 5
        assert first.support.targets.bincount().tolist() == [2] * 5
        assert 0 <= first.query.inputs.min() < first.query.inputs.max() <= 1


@pytest.mark.parametrize("order", ["second", "first"])
@pytest.mark.parametrize("name", sorted(ALGORITHMS))
def test_every_meta_gradient_is_keyed_and_shaped_like_the_parameters_and_repeats(name, order):
    learner, params = conv_learner()
    algorithm = algorithm_of(name, learner, order=order, steps=2)
    first, again = (algorithm.meta_gradient(params, image_episode()) for _ in range(2))
    assert {key: value.shape for key, value in first.gradient.items()} == {k: v.shape for k, v in params.items()}
    assert all(torch.equal(first.gradient[key], again.gradient[key]) for key in params)
    assert not any(value.requires_grad for value in first.gradient.values())


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_model_builds_the_same_learner_from_the_same_seed(name):
    left, right = (build(ModelConfig(name, filters=4), (1, 28, 28), 5, seed=2).initial_params() for _ in range(2))
    assert all(torch.equal(left[key], right[key]) for key in left)
