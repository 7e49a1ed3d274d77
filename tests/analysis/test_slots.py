import numpy as np
import pytest
import torch

from innerloop.analysis.slots import compared, permuted, surviving
from innerloop.data.episode import Episode, Examples
from innerloop.statistics import mean_interval
from worlds import vector_episode


def test_support_and_query_are_permuted_alike_and_their_inputs_stay():
    episode = vector_episode(n_way=5)
    turned = permuted(episode, 1)
    table = dict(zip(episode.support.targets.tolist(), turned.support.targets.tolist(), strict=True))
    assert sorted(table.values()) == list(range(5))
    assert [table[slot] for slot in episode.query.targets.tolist()] == turned.query.targets.tolist()
    assert torch.equal(turned.support.inputs, episode.support.inputs)
    assert torch.equal(turned.query.inputs, episode.query.inputs)


def test_the_permutation_is_the_probes_own():
    episode = vector_episode(n_way=5)
    first, again, other = (permuted(episode, number).support.targets.tolist() for number in (1, 1, 2))
    assert first == again
    assert first != other


def test_every_permutation_is_as_likely_so_that_a_memorised_slot_is_right_by_chance():
    episode = vector_episode(n_way=3)
    drawn = [tuple(permuted(episode, number).support.targets[::2].tolist()) for number in range(600)]
    counts = [drawn.count(each) for each in set(drawn)]
    assert len(counts) == 6
    assert min(counts) > 60


def test_slots_without_support_take_no_part():
    inputs = torch.zeros(4, 2, dtype=torch.float64)
    side = Examples(inputs, torch.tensor([0, 3, 3, 5]))
    for number in range(5):
        assert set(permuted(Episode(side, side), number).query.targets.tolist()) == {0, 3, 5}


def test_what_survives_is_the_ratio_of_the_means_above_chance():
    kept = surviving([0.5, 0.3, 0.4], [0.8, 0.9, 0.7], [0.2, 0.2, 0.2])
    assert kept.mean == pytest.approx(0.2 / 0.6)
    assert kept.observations == 3


def test_where_every_episode_has_as_much_to_lose_the_interval_is_that_of_the_shares():
    left = [0.5, 0.3, 0.4]
    kept, plain = surviving(left, [0.7] * 3, [0.2] * 3), mean_interval([(value - 0.2) / 0.5 for value in left])
    assert kept == pytest.approx(plain)


def test_the_interval_of_what_survives_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        had = rng.normal(0.8, 0.1, 60)
        left = 0.2 + 0.5 * (had - 0.2) + rng.normal(0, 0.05, 60)
        kept = surviving(list(left), list(had), [0.2] * 60)
        hits += kept.low <= 0.5 <= kept.high
    assert 0.91 <= hits / 400 <= 0.985


@pytest.mark.parametrize("had", [[0.2, 0.2, 0.2], [0.1, 0.3, 0.25], [0.1, 0.12, 0.11], [0.9]])
def test_what_is_not_clearly_above_chance_has_no_share_to_lose(had):
    assert surviving(had, had, [0.2] * len(had)) is None


def test_before_and_after_adaptation_are_compared_each_with_its_own():
    slots = compared([(0.5, 0.2, 0.9, 0.55), (0.6, 0.2, 0.9, 0.55)], [0.2, 0.2])
    assert (slots.before.mean, slots.before_permuted.mean) == pytest.approx((0.55, 0.2))
    assert (slots.after.mean, slots.after_permuted.mean) == pytest.approx((0.9, 0.55))
    assert slots.survives_before is None  # two episodes of 0.5 and 0.6: the interval reaches chance
    assert slots.survives.mean == pytest.approx(0.5)
