from sklearn.datasets import load_digits

from innerloop.data import DataConfig, load


def test_all_1797_digits_are_there_for_meta_test_only():
    data = load(DataConfig("digits"))
    assert list(data.splits) == ["test"]
    split = data.split("test")
    assert split.inputs.shape == (1797, 1, 28, 28)
    assert [len(members) for members in split.members] == [
        int((load_digits().target == label).sum()) for label in range(10)
    ]


def test_ink_is_bright_and_the_margin_is_empty():
    images = load(DataConfig("digits")).split("test").inputs
    assert images.max() == 255
    assert not images[:, :, :4].any()
    assert not images[:, :, :, -4:].any()
