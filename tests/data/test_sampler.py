from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from innerloop.data.episode import EpisodeShape, task, tasks
from innerloop.data.sampler import check, choose, draw, draw_batch
from innerloop.errors import ConfigError, DataError
from worlds import SMALL, made_up_data

SPLIT = made_up_data().split("train")


@given(st.integers(0, 5), st.integers(0, 10_000))
def test_an_episode_is_a_pure_function_of_split_seed_and_index(seed, index):
    first = draw(SPLIT, SMALL, seed, index)
    draw(SPLIT, SMALL, seed, index + 1)
    again = draw(SPLIT, SMALL, seed, index)
    for left, right in zip(first, again, strict=True):
        assert torch.equal(left.inputs, right.inputs)
        assert torch.equal(left.targets, right.targets)


@given(st.integers(0, 10_000))
def test_no_image_is_in_both_support_and_query_and_every_class_has_its_share(index):
    choice = choose(SPLIT, SMALL, 0, index)
    assert len(set(choice.classes)) == 3
    assert not set(choice.support) & set(choice.query)
    assert len(set(choice.support) | set(choice.query)) == 3 * (2 + 3)
    for slot, each in enumerate(choice.classes):
        members = set(SPLIT.members[each])
        assert set(choice.support[2 * slot : 2 * slot + 2]) <= members
        assert set(choice.query[3 * slot : 3 * slot + 3]) <= members


def test_other_seeds_and_splits_give_other_episodes():
    data = made_up_data()
    assert choose(SPLIT, SMALL, 0, 0).support.tolist() != choose(SPLIT, SMALL, 1, 0).support.tolist()
    images = [choose(data.split(side), SMALL, 0, 0) for side in ("train", "test")]
    assert images[0].classes != images[1].classes or not np.array_equal(images[0].support % 32, images[1].support % 32)


def test_classes_and_their_slots_are_uniform():
    slots: Counter[tuple[int, int]] = Counter()
    for index in range(3000):
        for slot, each in enumerate(choose(SPLIT, SMALL, 0, index).classes):
            slots[each, slot] += 1
    counts = [slots[each, slot] for each in range(len(SPLIT)) for slot in range(3)]
    assert stats.chisquare(counts).pvalue > 1e-4


def test_a_batch_is_its_episodes_stacked():
    batch = draw_batch(SPLIT, SMALL, 0, range(4, 7))
    assert len(list(tasks(batch))) == 3
    for row, index in enumerate(range(4, 7)):
        assert torch.equal(task(batch, row).query.inputs, draw(SPLIT, SMALL, 0, index).query.inputs)
    assert batch.support.inputs.shape == (3, 6, 1, 16, 16)
    assert batch.support.targets[0].tolist() == [0, 0, 1, 1, 2, 2]
    assert batch.query.inputs.dtype == torch.float32
    assert 0 <= batch.query.inputs.min() < batch.query.inputs.max() <= 1


def test_a_split_with_too_few_classes_or_images_is_refused_with_the_cure():
    with pytest.raises(DataError, match=r"at least 9 classes .* got 4; ask for fewer ways"):
        check(SPLIT, EpisodeShape(9, 1, 1))
    with pytest.raises(DataError, match=r"at least 10 images .* got 8 of 'class 0'; ask for fewer shots or queries"):
        check(SPLIT, EpisodeShape(2, 5, 5))


@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 0, 1), (5, 1, 0)])
def test_episodes_that_are_none_are_refused(shape):
    with pytest.raises(ConfigError, match="expected episode"):
        EpisodeShape(*shape)
