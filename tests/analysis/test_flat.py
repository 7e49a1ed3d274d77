"""An episode in two dimensions: points and logits of the plane against the features they stand for."""

import pytest
import torch

from innerloop.analysis.flat import MOST, few, mapped, principal, stage
from innerloop.seeds import generator
from worlds import vector_episode


@pytest.fixture
def episode():
    """Support, labels, query, and a head of four rows, one of which no class has."""
    (support, labels), (query, _) = vector_episode(n_way=3, k_shot=4, n_queries=7)
    rng = generator(0, "flat")
    weight, bias = torch.randn(4, 6, generator=rng).double(), torch.randn(4, generator=rng).double()
    return support, labels, query, weight, bias


def numbers(points):
    return torch.tensor(points, dtype=torch.float64)


def test_the_plane_has_the_two_directions_of_the_largest_variance(episode):
    support, labels, query, *head = episode
    found = stage(support, labels, query, *head, None)
    features = torch.cat([support, query])
    values, directions = torch.linalg.eigh(torch.cov(features.T))
    flat = torch.cat([numbers(found.plane.support), numbers(found.plane.query)])
    slow = (features - features.mean(0)) @ directions[:, [-1, -2]]
    torch.testing.assert_close(flat.abs(), slow.abs(), rtol=1e-3, atol=1e-4)  # an axis may be turned round
    assert found.explained == pytest.approx((values[[-1, -2]] / values.sum()).tolist(), rel=1e-4)
    centroids = torch.stack([flat[: len(support)][labels == slot].mean(0) for slot in range(3)])
    torch.testing.assert_close(numbers(found.plane.centroids), centroids, rtol=1e-3, atol=1e-3)


def test_the_logits_of_a_point_are_the_heads_at_the_feature_it_stands_for(episode):
    support, labels, query, weight, bias = episode
    found = stage(support, labels, query, weight, bias, None)
    middle, axes, _ = principal(torch.cat([support, query]))
    for point in ((0.0, 0.0), (1.3, -0.4), (-20.0, 7.0)):
        truth = weight @ (middle + numbers(point) @ axes) + bias
        flat = numbers(found.slopes) @ numbers(point) + numbers(found.offsets)
        torch.testing.assert_close(flat, truth - truth.mean(), rtol=1e-3, atol=1e-2)


def test_faithful_is_the_share_of_queries_drawn_in_the_region_that_the_head_names(episode):
    support, labels, query, weight, bias = episode
    found = stage(support, labels, query, weight, bias, None)
    named = (query @ weight.T + bias).argmax(1)
    region = (numbers(found.plane.query) @ numbers(found.slopes).T + numbers(found.offsets)).argmax(1)
    assert list(found.named) == named.tolist()
    assert found.faithful == pytest.approx((named == region).double().mean().item())
    assert 0 < found.faithful < 1
    assert not found.is_blank
    _, axes, _ = principal(torch.cat([support, query]))
    inside = stage(support, labels, query, weight @ axes.T @ axes, bias, None)
    assert inside.faithful == 1  # a head that looks along the plane alone loses nothing by it


def test_a_head_that_says_the_same_of_every_class_has_no_regions(episode):
    support, labels, query, weight, bias = episode
    for rows, shifts in ((torch.zeros(4, 6), None), (weight[:1].expand(4, 6), torch.ones(4))):
        assert stage(support, labels, query, rows, shifts, None).is_blank
    assert not stage(support, labels, query, torch.zeros(4, 6), bias, None).is_blank


@pytest.mark.parametrize("kind", ["a point", "a line", "one feature", "three features of nothing"])
def test_features_with_too_little_in_them_are_drawn_all_the_same(episode, kind):
    support, labels, query, *_ = episode
    width = 1 if kind == "one feature" else 3
    turned = {
        "a point": lambda each: torch.ones(len(each), 3).double(),
        "a line": lambda each: each[:, :1] * torch.tensor([1.0, 2.0, 3.0]).double(),
        "one feature": lambda each: each[:, :1],
        "three features of nothing": lambda each: torch.zeros(len(each), 3).double(),
    }[kind]
    support, query = turned(support), turned(query)
    found = stage(support, labels, query, torch.randn(3, width, generator=generator(1, "head")), None, None)
    if kind == "a line":
        assert found.explained[0] == pytest.approx(1)
        assert mapped(support, labels, query) is not None
    else:
        assert mapped(support, labels, query) is None
    expected = {"one feature": (1.0, 0.0), "a line": (1.0, 0.0)}.get(kind, (0.0, 0.0))
    assert found.explained == pytest.approx(expected, abs=1e-12)


def test_t_sne_keeps_clusters_apart_and_repeats_to_the_last_digit_at_every_size(episode):
    _, labels, _, *_ = episode
    rng = generator(2, "clusters")
    centres = 20 * torch.randn(3, 6, generator=rng).double()
    support, query = (
        centres[slots] + torch.randn(len(slots), 6, generator=rng).double()
        for slots in (labels, torch.arange(3).repeat_interleave(7))
    )
    found = mapped(support, labels, query)
    assert found == mapped(support, labels, query)
    assert mapped(support * 1e200, labels, query * 1e200) is not None
    distance = torch.cdist(numbers(found.query), numbers(found.centroids))
    assert distance.argmin(1).tolist() == torch.arange(3).repeat_interleave(7).tolist()
    assert (len(found.support), len(found.query), len(found.centroids)) == (12, 21, 3)


def test_of_a_class_with_many_examples_the_first_are_drawn():
    targets = torch.tensor([1] * (MOST + 3) + [0] * 2 + [1])
    assert few(targets).tolist() == [*range(MOST), MOST + 3, MOST + 4]
