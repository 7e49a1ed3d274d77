import math
from itertools import combinations, permutations

import numpy as np
import pytest
import torch

from innerloop.analysis import gathering as measures
from innerloop.analysis.gathering import (
    alignment,
    class_distance_normalised_variance,
    effective_rank,
    feature_clustering,
    gathering,
    hyperplane_variation,
    within_by_between,
)
from worlds import vector_episode

FEATURES, LABELS = vector_episode(inputs=7, n_way=4, n_queries=5).query
CLASSES = [FEATURES[LABELS.eq(slot)].numpy() for slot in range(4)]
MEANS = np.stack([each.mean(0) for each in CLASSES])
CENTRED = MEANS - MEANS.mean(0)


def simplex(way=4, per_way=3, width=6, scale=2.0):
    """Features at neural collapse: every example on its class's corner of a simplex."""
    corners = torch.eye(way, width, dtype=torch.float64) * scale + 1
    return corners.repeat_interleave(per_way, 0), torch.arange(way).repeat_interleave(per_way), corners


def test_feature_clustering_is_the_spread_within_over_the_spread_between():
    within = np.mean([((each - each.mean(0)) ** 2).sum(1).mean() for each in CLASSES])
    assert feature_clustering(FEATURES, LABELS) == pytest.approx(within / (CENTRED**2).sum(1).mean())


def slow_variation(classes):
    found = []
    for left, right in combinations(classes, 2):
        pairs = [
            np.linalg.norm((x1 - y1) - (x2 - y2)) / (np.linalg.norm(x1 - y1) + np.linalg.norm(x2 - y2))
            for x1, x2 in permutations(left, 2)
            for y1, y2 in permutations(right, 2)
        ]
        found.append(np.mean(pairs))
    return np.mean(found)


def test_hyperplane_variation_is_that_of_every_two_pairs_of_examples():
    assert hyperplane_variation(FEATURES, LABELS) == pytest.approx(slow_variation(CLASSES), abs=1e-10)
    unequal = torch.cat([FEATURES[:7], FEATURES[10:]])
    labels = torch.cat([LABELS[:7], LABELS[10:]])
    classes = [unequal[labels == slot].numpy() for slot in range(4)]
    assert hyperplane_variation(unequal, labels) == pytest.approx(slow_variation(classes), abs=1e-10)


def test_hyperplane_variation_looks_at_the_first_examples_of_a_class_alone(monkeypatch):
    monkeypatch.setattr(measures, "MOST", 3)
    assert hyperplane_variation(FEATURES, LABELS) == pytest.approx(slow_variation([each[:3] for each in CLASSES]))


def test_the_line_between_classes_that_are_moved_copies_of_each_other_turns_as_their_examples_do():
    features, labels, _ = simplex()
    assert hyperplane_variation(features, labels) == pytest.approx(0, abs=1e-9)


def test_cdnv_is_the_mean_over_pairs_of_classes():
    truth = [
        (sum(((each - each.mean(0)) ** 2).sum(1).mean() for each in (left, right)))
        / (2 * ((left.mean(0) - right.mean(0)) ** 2).sum())
        for left, right in combinations(CLASSES, 2)
    ]
    assert class_distance_normalised_variance(FEATURES, LABELS) == pytest.approx(np.mean(truth))


def test_effective_rank_counts_directions_of_equal_size():
    sizes = np.linalg.svd((FEATURES - FEATURES.mean(0)).numpy(), compute_uv=False)
    shares = sizes / sizes.sum()
    assert effective_rank(FEATURES + 7) == pytest.approx(np.exp(-(shares * np.log(shares)).sum()))
    line = torch.tensor([[0.0, 0], [1, 2], [3, 6]], dtype=torch.float64)
    assert effective_rank(line) == pytest.approx(1)
    balanced = torch.tensor([[1.0, 0], [-1, 0], [0, 1], [0, -1]], dtype=torch.float64)
    assert effective_rank(balanced + 3) == pytest.approx(2)


def test_within_by_between_is_the_trace_with_the_pseudo_inverse():
    rest = np.concatenate([each - each.mean(0) for each in CLASSES])
    within, between = rest.T @ rest / len(rest), CENTRED.T @ CENTRED / 4
    truth = np.trace(within @ np.linalg.pinv(between, rcond=1e-10)) / 4
    assert within_by_between(FEATURES, LABELS) == pytest.approx(truth)


def test_collapsed_features_with_their_own_means_for_a_head_are_at_collapse():
    features, labels, corners = simplex()
    found = gathering(features, labels, labels, 3 * corners + 1)
    assert found.fc == pytest.approx(0, abs=1e-12)
    assert found.cdnv == pytest.approx(0, abs=1e-12)
    assert found.nc1 == pytest.approx(0, abs=1e-12)
    assert found.nc2_norms == pytest.approx(0, abs=1e-12)
    assert found.nc2_angles == pytest.approx(0, abs=1e-12)
    assert found.nc3 == pytest.approx(1)
    assert found.nc4 == 1
    assert found.rank == pytest.approx(3)


def test_lengths_angles_head_and_nearest_means_are_what_they_say():
    weight = FEATURES[:6]
    named = LABELS.flip(0)
    found = gathering(FEATURES, LABELS, named, weight)
    lengths = np.linalg.norm(CENTRED, axis=1)
    cosines = [a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in combinations(CENTRED, 2)]
    assert found.nc2_norms == pytest.approx(lengths.std() / lengths.mean())
    assert found.nc2_angles == pytest.approx(np.abs(np.array(cosines) + 1 / 3).mean())
    rows = weight[:4].numpy() - weight[:4].numpy().mean(0)
    truth = (rows * CENTRED).sum() / np.linalg.norm(rows) / np.linalg.norm(CENTRED)
    assert found.nc3 == pytest.approx(truth)
    nearest = ((FEATURES.numpy()[:, None] - MEANS) ** 2).sum(2).argmin(1)
    assert found.nc4 == pytest.approx((named.numpy() == nearest).mean())


def test_what_is_not_defined_is_nan():
    alone = gathering(FEATURES[::5], LABELS[::5], LABELS[::5], None)
    assert all(math.isnan(getattr(alone, name)) for name in ("fc", "hv", "cdnv", "nc1", "nc3"))
    assert alone.nc4 == 1
    point = gathering(torch.ones_like(FEATURES), LABELS, LABELS, torch.zeros(4, 7, dtype=torch.float64))
    for name in ("fc", "cdnv", "rank", "nc1", "nc2_norms", "nc2_angles", "nc3"):
        assert math.isnan(getattr(point, name)), name
    assert math.isnan(alignment(torch.zeros(4, 7, dtype=torch.float64), torch.from_numpy(CENTRED)))
    one = gathering(FEATURES[:5], LABELS[:5], LABELS[:5], None)
    assert math.isnan(one.nc2_angles)
