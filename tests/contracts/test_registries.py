"""What holds for every entry of every registry."""

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from data import test_cifar100, test_mini_imagenet
from innerloop.algorithms import ALGORITHMS
from innerloop.data import DATASETS, DataConfig, load
from innerloop.data.episode import EpisodeShape
from innerloop.data.sampler import check, draw
from innerloop.data.split import Split
from innerloop.models import MODELS, ModelConfig, build
from worlds import algorithm_of, conv_learner, image_episode


def digits_as_folder(place):
    digits = load_digits()
    for side, labels in (("train", range(5)), ("test", range(5, 10))):
        for label in labels:
            (place / side / str(label)).mkdir(parents=True)
            for number, image in enumerate(digits.images[digits.target == label][:12]):
                Image.fromarray((image * 15).astype(np.uint8)).save(place / side / str(label) / f"{number}.png")


def digits_as_arrays(place):
    digits = load_digits()
    splits = np.where(digits.target < 5, "train", "test")
    np.savez(place / "digits.npz", inputs=digits.data.astype(np.float32), labels=digits.target, splits=splits)


def small_mini_imagenet(place, monkeypatch):
    monkeypatch.setattr("innerloop.data.mini_imagenet.IMAGES_PER_CLASS", test_mini_imagenet.PER_CLASS)
    for seed, side in enumerate(test_mini_imagenet.CHOSEN):
        test_mini_imagenet.write(place, side, test_mini_imagenet.held(side, seed))


def small_cifar(place, monkeypatch):
    monkeypatch.setattr("innerloop.data.cifar100.IMAGES_PER_CLASS", test_cifar100.PER_CLASS)
    test_cifar100.write_archive(place, test_cifar100.content())


@pytest.fixture(params=sorted(DATASETS))
def data(request, tmp_path, monkeypatch):
    name, root = request.param, tmp_path
    if name in ("omniglot", "tiny_imagenet"):
        root = request.getfixturevalue(f"{name}_root")
    elif name in ("cifar_fs", "fc100"):
        small_cifar(tmp_path, monkeypatch)
    elif name == "mini_imagenet":
        small_mini_imagenet(tmp_path, monkeypatch)
    elif name == "folder":
        digits_as_folder(tmp_path)
    elif name == "arrays":
        digits_as_arrays(tmp_path)
    return load(DataConfig(name, **({"root": str(root)} if "root" in DATASETS[name].options else {})))


def test_every_data_set_draws_the_same_balanced_episode_twice_from_disjoint_splits(data):
    stored = [split for split in data.splits.values() if isinstance(split, Split)]
    names = [name for split in stored for name in split.class_names]
    assert len(names) == len(set(names))
    shape = EpisodeShape(5, 1, 1)
    for split in data.splits.values():
        check(split, shape)
        first, again = (draw(split, shape, 1, 2) for _ in range(2))
        assert torch.equal(first.query.inputs, again.query.inputs)
        if isinstance(split, Split) or split.outputs is None:
            assert first.query.targets.bincount().tolist() == [1] * 5
            assert first.support.targets.bincount().tolist() == [1] * 5
        assert torch.isfinite(first.query.inputs).all()
        if split in stored and split.inputs.dtype == np.uint8:
            assert 0 <= first.query.inputs.min() < first.query.inputs.max() <= 1


@pytest.mark.parametrize("name", sorted(ALGORITHMS))
def test_every_meta_gradient_is_keyed_and_shaped_like_the_parameters_and_repeats(name):
    learner, _ = conv_learner(dtype=torch.float32)
    algorithm = algorithm_of(name, learner, lr=ALGORITHMS[name].lr, steps=min(2, ALGORITHMS[name].steps))
    params = {key: value.double() for key, value in algorithm.initial_params().items()}
    first, again = (algorithm.meta_gradient(params, image_episode()) for _ in range(2))
    assert {key: value.shape for key, value in first.gradient.items()} == {k: v.shape for k, v in params.items()}
    assert all(torch.equal(first.gradient[key], again.gradient[key]) for key in params)
    assert not any(value.requires_grad for value in first.gradient.values())


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_model_builds_the_same_learner_from_the_same_seed(name):
    left, right = (build(ModelConfig(name, filters=4), (1, 28, 28), 5, seed=2).initial_params() for _ in range(2))
    assert all(torch.equal(left[key], right[key]) for key in left)
