import pytest
import torch
from torch.nn.functional import cosine_similarity, normalize

from innerloop.analysis.centroids import class_means, nearest, scatter
from innerloop.seeds import generator


@pytest.fixture
def features():
    rng = generator(0, "centroids")
    labels = torch.tensor([4, 0, 0, 2, 4, 4])  # unequal shots, slots 1 and 3 without support
    support, query = (torch.randn(n, 5, generator=rng, dtype=torch.float64) for n in (6, 40))
    return query, support, labels


def test_class_means_are_the_means_of_the_slots_that_have_support(features):
    _, support, labels = features
    slots, means = class_means(support, labels)
    assert slots.tolist() == [0, 2, 4]
    assert torch.allclose(means[2], (support[0] + support[4] + support[5]) / 3)


@pytest.mark.parametrize(
    ("kind", "score"),
    [
        ("inner_product", lambda query, mean: sum(a * b for a, b in zip(query.tolist(), mean.tolist(), strict=True))),
        ("euclidean", lambda query, mean: -torch.dist(query, mean).item()),
        ("cosine", lambda query, mean: cosine_similarity(query, mean, dim=0).item()),
    ],
)
def test_the_nearest_centroid_is_that_of_a_slow_loop(features, kind, score):
    query, support, labels = features
    means = {slot: support[labels == slot].mean(0) for slot in (0, 2, 4)}
    slow = [max(means, key=lambda slot: score(each, means[slot])) for each in query]
    assert nearest(kind, query, support, labels).tolist() == slow
    assert len(set(slow)) == 3


def test_equally_long_centroids_agree_by_every_nearness(features):
    query, support, _ = features
    named = [
        nearest(kind, query, normalize(support), torch.arange(6)) for kind in ("inner_product", "euclidean", "cosine")
    ]
    assert torch.equal(named[0], named[1])
    assert torch.equal(named[0], named[2])


def test_scatter_is_that_of_a_slow_loop_and_every_class_counts_alike(features):
    _, support, labels = features
    means = {slot: support[labels == slot].mean(0) for slot in (0, 2, 4)}
    centre = sum(means.values()) / 3
    found = scatter(support, labels)
    assert found.between == pytest.approx(sum((each - centre).square().sum().item() for each in means.values()) / 3)
    own = {slot: [(each - means[slot]).square().sum().item() for each in support[labels == slot]] for slot in means}
    assert found.within == pytest.approx(sum(sum(each) / len(each) for each in own.values()) / 3)


def test_at_a_zero_head_the_squared_gradient_of_its_weight_is_the_scatter_of_class_means_by_ways():
    rng = generator(0, "scatter")
    features, labels = torch.randn(12, 5, generator=rng, dtype=torch.float64), torch.arange(4).repeat(3)
    weight = torch.zeros(4, 5, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(torch.nn.functional.cross_entropy(features @ weight.T, labels), weight)
    assert scatter(features, labels).between == pytest.approx(4 * gradient.square().sum().item(), abs=1e-12)
