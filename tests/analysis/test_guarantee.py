"""Bounds on the nearest centroid's error: met where they can be, and kept on simulated features."""

import pytest
import torch

from innerloop.analysis.guarantee import (
    bound,
    by_line,
    by_shots,
    by_spread,
    error,
    few_shot_error,
    geometry,
    normalised_variance,
)
from innerloop.seeds import generator


def gaussians(scale, classes=6, each=60, dimensions=8, seed=0):
    rng = generator(seed, "gaussians")
    means = torch.randn(classes, 1, dimensions, generator=rng, dtype=torch.float64)
    noise = torch.randn(classes, each, dimensions, generator=rng, dtype=torch.float64)
    return (means + scale * noise).flatten(0, 1), torch.arange(classes).repeat_interleave(each)


def test_spread_and_distance_are_those_of_a_plain_loop_over_pairs():
    features, labels = gaussians(0.7, classes=3, each=5)
    found = geometry(features, labels)
    for one in range(3):
        own = features[labels == one]
        middle = own.mean(0)
        assert found.spread[one] == pytest.approx(float(((own - middle) ** 2).sum(1).mean()))
        for other in range(3):
            if one != other:
                line = features[labels == other].mean(0) - middle
                assert found.distance[one, other] == pytest.approx(float(line @ line))
                along = (own - middle) @ line / line.norm()
                assert found.along[one, other] == pytest.approx(float((along**2).mean()))
                expected = (found.spread[one] + found.spread[other]) / (2 * line @ line)
                assert normalised_variance(found)[one, other] == pytest.approx(float(expected))


def test_the_bound_along_the_line_is_met_by_the_distribution_for_which_cantelli_is_tight():
    # A share of the class lies exactly half way to the other mean, the rest opposite, so that its mean is 0.
    share = 0.2
    beyond, before = torch.full((20, 1), 1.0), torch.full((80, 1), -share / (1 - share))
    other = torch.full((100, 1), 2.0)
    features = torch.cat([beyond, before, other]).double()
    labels = torch.tensor([0, 1]).repeat_interleave(100)
    here = geometry(features, labels)
    assert by_line(here)[0, 1] == pytest.approx(share)
    assert by_line(here)[1, 0] == 0
    assert error(features, labels) == pytest.approx(share / 2)  # on the line between both counts as an error


@pytest.mark.parametrize("scale", [0.05, 0.3, 1.0, 4.0])
def test_no_observed_error_lies_above_its_bound_and_looser_bounds_are_looser(scale):
    features, labels = gaussians(scale)
    here = geometry(features, labels)
    line, spread, shots = bound(by_line(here), 6), bound(by_spread(here), 6), bound(by_shots(here, 5), 6)
    assert error(features, labels) <= line <= spread <= 1
    rng = generator(0, "episodes")
    drawn = [few_shot_error(features, labels, 6, 5, rng=rng) for _ in range(40)]
    assert sum(few for _, few in drawn) / 40 <= shots <= 1
    assert all(whole == pytest.approx(error(features, labels)) for whole, _ in drawn)
    assert bound(by_shots(here, 5), 6) <= bound(by_shots(here, 1), 6)


@pytest.mark.parametrize("ways", [2, 4])
def test_bounds_hold_in_the_mean_over_episodes_of_some_of_the_classes(ways):
    features, labels = gaussians(0.6, classes=9, each=30)
    here = geometry(features, labels)
    rng = generator(1, "episodes")
    drawn = [few_shot_error(features, labels, ways, 3, rng=rng) for _ in range(300)]
    whole, few = (sum(each) / 300 for each in zip(*drawn, strict=True))
    assert 0 < whole <= bound(by_line(here), ways)
    assert whole < few <= bound(by_shots(here, 3), ways)


def test_bounds_are_the_same_in_other_units_and_for_turned_features():
    features, labels = gaussians(0.5)
    turned = torch.linalg.qr(torch.randn(8, 8, generator=generator(2, "turn"), dtype=torch.float64))[0]
    other = geometry(7 * features @ turned + 3, labels)
    for pairs in (by_line, by_spread):
        torch.testing.assert_close(pairs(other), pairs(geometry(features, labels)))


def test_classes_in_one_place_are_bounded_by_1_and_points_far_apart_by_0():
    same, labels = torch.ones(8, 3, dtype=torch.float64), torch.arange(2).repeat_interleave(4)
    assert bound(by_line(geometry(same, labels)), 2) == bound(by_shots(geometry(same, labels), 1), 2) == 1
    assert error(same, labels) == 1  # neither is nearer
    apart = torch.arange(2.0).repeat_interleave(4)[:, None].double()
    assert bound(by_line(geometry(apart, labels)), 2) == bound(by_shots(geometry(apart, labels), 1), 2) == 0
    assert error(apart, labels) == 0


def test_the_bound_for_few_shots_is_the_squared_sum_of_three_roots_over_the_squared_distance():
    spread = torch.tensor([[-1.0], [1.0], [97.0], [103.0]], dtype=torch.float64)  # spreads 1 and 9, 100 apart
    pairs = by_shots(geometry(spread, torch.tensor([0, 0, 1, 1])), 4)
    assert pairs[0, 1] == pytest.approx((2 * 1 + 1 / 2 + 3 / 2) ** 2 / 100**2)
    assert pairs[1, 0] == pytest.approx((2 * 3 + 3 / 2 + 1 / 2) ** 2 / 100**2)


def test_among_several_classes_a_bound_is_the_sum_over_the_others_and_at_most_1():
    pairs = torch.full((5, 5), 0.1, dtype=torch.float64)
    pairs[0] = 0.5
    assert [bound(pairs, ways) for ways in (2, 3, 5)] == pytest.approx([(0.5 + 4 * 0.1) / 5, 1.8 / 5, (1 + 1.6) / 5])


def test_few_shot_centroids_are_made_of_as_many_examples_and_asked_the_others():
    features, labels = gaussians(1.0, classes=3, each=4)
    shots = few_shot_error(features, labels, 3, 3, rng=generator(3, "one"))[1]
    rng = generator(3, "one")
    chosen = torch.randperm(3, generator=rng)
    wrong = 0
    centroids, asked = [], []
    for slot in chosen:
        members = features[labels == slot][torch.randperm(4, generator=rng)]
        centroids.append(members[:3].mean(0))
        asked.append(members[3:])
    for place, queries in enumerate(asked):
        for query in queries:
            wrong += int(torch.stack([(query - each).norm() for each in centroids]).argmin() != place)
    assert shots == pytest.approx(wrong / 3)
