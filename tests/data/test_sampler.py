from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from innerloop.data.augment import Augmentation
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
    support, query = (set(np.concatenate(side)) for side in (choice.support, choice.query))
    assert not support & query
    assert len(support | query) == 3 * (2 + 3)
    for each, shots, queries in zip(*choice, strict=True):
        assert {*shots, *queries} <= set(SPLIT.members[each])
        assert (len(shots), len(queries)) == (2, 3)


def test_other_seeds_and_splits_give_other_episodes():
    data = made_up_data()
    assert not np.array_equal(choose(SPLIT, SMALL, 0, 0).support, choose(SPLIT, SMALL, 1, 0).support)
    left, right = (choose(data.split(side), SMALL, 0, 0) for side in ("train", "test"))
    assert left.classes != right.classes or not np.array_equal(np.mod(left.query, 32), np.mod(right.query, 32))


def test_classes_and_their_slots_are_uniform():
    slots: Counter[tuple[int, int]] = Counter()
    for index in range(3000):
        for slot, each in enumerate(choose(SPLIT, SMALL, 0, index).classes):
            slots[each, slot] += 1
    counts = [slots[each, slot] for each in range(len(SPLIT)) for slot in range(3)]
    assert stats.chisquare(counts).pvalue > 1e-4


def test_a_numbered_episode_is_the_same_with_the_numbers_of_its_classes_for_targets():
    for index in range(5):
        plain, numbered = (draw(SPLIT, SMALL, 0, index, numbered=each) for each in (False, True))
        classes = torch.tensor(choose(SPLIT, SMALL, 0, index).classes)
        for left, right in zip(plain, numbered, strict=True):
            assert torch.equal(left.inputs, right.inputs)
            assert torch.equal(classes[left.targets], right.targets)


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


def test_ranges_are_drawn_anew_for_every_episode_and_cover_their_ends():
    shape = EpisodeShape((2, 4), (1, 3), (1, 2), is_balanced=False)
    seen = [choose(SPLIT, shape, 0, index) for index in range(300)]
    assert {len(each.classes) for each in seen} == {2, 3, 4}
    assert {len(shots) for each in seen for shots in each.support} == {1, 2, 3}
    assert {len(queries) for each in seen for queries in each.query} == {1, 2}
    assert any(len({len(shots) for shots in each.support}) > 1 for each in seen)
    assert all(len({len(queries) for queries in each.query}) == 1 for each in seen)


def test_balanced_episodes_give_every_class_the_same_number_of_shots():
    shape = EpisodeShape(3, (1, 3), 2)
    assert all(len({len(shots) for shots in choose(SPLIT, shape, 0, index).support}) == 1 for index in range(50))


def test_unequal_classes_keep_their_slots_as_targets():
    shape = EpisodeShape(3, (1, 4), 2, is_balanced=False)
    for index in range(20):
        choice, episode = choose(SPLIT, shape, 0, index), draw(SPLIT, shape, 0, index)
        assert episode.support.targets.bincount().tolist() == [len(shots) for shots in choice.support]
        assert len(episode.support.inputs) == len(episode.support.targets)


def test_with_fixed_slots_a_class_always_sits_in_the_same_one():
    shape = EpisodeShape(3, 1, 2, labels="fixed")
    slots: dict[int, set[int]] = {}
    for index in range(400):
        for slot, each in enumerate(choose(SPLIT, shape, 0, index).classes):
            slots.setdefault(each, set()).add(slot)
    assert len(slots) == len(SPLIT)
    assert all(found == {each % 3} for each, found in slots.items())


def test_episodes_of_different_shapes_are_a_tuple_and_equal_ones_are_stacked():
    batch = draw_batch(SPLIT, EpisodeShape((2, 4), 1, 1), 0, range(8))
    assert isinstance(batch, tuple)
    assert [len(each.support.targets) for each in tasks(batch)] == [
        len(choose(SPLIT, EpisodeShape((2, 4), 1, 1), 0, index).classes) for index in range(8)
    ]


@pytest.mark.parametrize("count", [(3, 2), (1, 3)])
def test_ranges_that_are_none_are_refused(count):
    with pytest.raises(ConfigError, match="expected episode"):
        EpisodeShape(count, 1, 1)


def test_a_range_needs_a_head_and_a_split_for_its_most():
    assert (EpisodeShape((2, 4)).ways, EpisodeShape((2, 4)).is_fixed, EpisodeShape().is_fixed) == (4, False, True)
    assert str(EpisodeShape((2, 4), (1, 5))) == "2-4-way 1-5-shot"
    with pytest.raises(DataError, match="at least 10 images"):
        check(SPLIT, EpisodeShape(2, (1, 5), (1, 5)))


def test_augmentation_changes_training_images_repeatably_and_leaves_targets():
    how = Augmentation(crop=2, flip=True, jitter=0.4)
    plain, first, again = (draw(SPLIT, SMALL, 0, 3, each) for each in (Augmentation(), how, how))
    assert torch.equal(first.support.inputs, again.support.inputs)
    assert not torch.equal(first.support.inputs, plain.support.inputs)
    assert first.support.inputs.shape == plain.support.inputs.shape
    assert torch.equal(first.query.targets, plain.query.targets)
    assert 0 <= first.query.inputs.min() <= first.query.inputs.max() <= 1


def test_a_crop_shifts_a_flip_mirrors_and_nothing_else():
    image = torch.rand(1, 1, 6, 6, generator=torch.Generator().manual_seed(0)).expand(200, -1, -1, -1)
    rng = torch.Generator().manual_seed(1)
    flipped = Augmentation(flip=True)(image, rng=rng)
    mirrored = sum(torch.equal(each, image[0].flip(2)) for each in flipped)
    assert mirrored + sum(torch.equal(each, image[0]) for each in flipped) == 200
    assert 60 < mirrored < 140
    padded = torch.nn.functional.pad(image[0], (1, 1, 1, 1))
    windows = [padded[:, top : top + 6, left : left + 6] for top in range(3) for left in range(3)]
    seen = {
        next(n for n, window in enumerate(windows) if torch.equal(each, window))
        for each in Augmentation(crop=1)(image, rng=rng)
    }
    assert seen == set(range(9))


@pytest.mark.parametrize("settings", [{"crop": -1}, {"jitter": 1.0}])
def test_bad_augmentation_is_refused(settings):
    with pytest.raises(ConfigError, match="expected augmentation"):
        Augmentation(**settings)


def test_a_batch_is_drawn_onto_the_asked_device():
    for shape in (SMALL, EpisodeShape((2, 4), 1, 1)):
        for episode in tasks(draw_batch(SPLIT, shape, 0, range(3), device="meta")):
            assert {values.device.type for side in episode for values in side} == {"meta"}


def drawn_elsewhere(index):
    return draw(made_up_data().split("train"), SMALL, 0, index).query.inputs.numpy().tobytes()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("workers", [1, 3])
def test_an_episode_is_the_same_however_many_processes_draw(workers):
    with ProcessPoolExecutor(workers, mp_context=get_context("fork")) as pool:
        elsewhere = list(pool.map(drawn_elsewhere, range(6)))
    assert elsewhere == [drawn_elsewhere(index) for index in range(6)]
