import numpy as np
import pytest

from innerloop.data import DATASETS, DataConfig
from innerloop.data.split import DataSet, split_by_class
from innerloop.errors import ConfigError, DataError

IMAGES = np.zeros((4, 1, 2, 2), np.uint8)


def test_a_class_on_two_sides_is_refused_when_the_data_set_is_built():
    train = split_by_class("x", "train", IMAGES, ["a", "a", "b", "b"])
    test = split_by_class("x", "test", IMAGES, ["b", "b", "c", "c"])
    with pytest.raises(DataError, match="1 classes in both train and test \\('b' among them\\)"):
        DataSet("x", {"train": train, "test": test})


def test_images_are_grouped_by_their_class():
    split = split_by_class("x", "train", IMAGES, ["a", "b", "a", "b"], keep=["b", "a"])
    assert split.class_names == ("b", "a")
    assert [each.tolist() for each in split.members] == [[1, 3], [0, 2]]


def test_an_unknown_split_is_named_with_those_there_are():
    data = DataSet("x", {"train": split_by_class("x", "train", IMAGES, ["a"] * 4)})
    with pytest.raises(DataError, match=r"has no split 'trian'; it has: train\. Did you mean 'train'\?"):
        data.split("trian")


def test_unknown_data_sets_and_options_that_do_not_apply_are_refused():
    with pytest.raises(ConfigError, match="Did you mean 'omniglot'"):
        DataConfig("omniglott")
    with pytest.raises(ConfigError, match=r"'digits' does not take data.root; it takes: rotations"):
        DataConfig("digits", root="x")
    assert {"typeface", "digits", "omniglot"} <= set(DATASETS)
