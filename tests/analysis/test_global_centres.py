"""Global centres against a plain loop over classes, and alignment on planted clusters."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_mutual_info_score

from innerloop.analysis import global_centres as module
from innerloop.analysis.global_centres import alignment, global_centres, standardised
from innerloop.data.sampler import inputs_of
from innerloop.data.split import split_by_class, with_rotations
from innerloop.errors import DivergedError
from worlds import conv_learner, made_up_data, smooth_learner


@pytest.fixture
def vectors():
    """A split of vectors with 7, 2 and 5 examples a class, and a learner whose features do not depend on the batch."""
    values = np.random.default_rng(0).normal(0, 1, (14, 6)).astype(np.float32)
    class_of = ["a"] * 7 + ["b"] * 2 + ["c"] * 5
    order = np.random.default_rng(1).permutation(14)
    split = split_by_class("made-up", "train", values[order], [class_of[place] for place in order], ["a", "b", "c"])
    return split, *smooth_learner()


def slow_means(split, learner, params, most=100):
    means = []
    for members in split.members:
        kept = members if len(members) <= most else members[np.linspace(0, len(members) - 1, most).round().astype(int)]
        each = [learner.features(params, torch.from_numpy(split.inputs[[index]]))[0] for index in kept]
        means.append(torch.stack(each).double().mean(0))
    return torch.stack(means)


@pytest.mark.parametrize(("per_class", "together"), [(100, 256), (100, 3), (3, 4), (1, 256)])
def test_centres_are_the_means_of_a_plain_loop_whatever_the_batches(vectors, per_class, together, monkeypatch):
    split, learner, params = vectors
    monkeypatch.setattr(module, "TOGETHER", together)
    found = global_centres(learner, params, split, per_class, "inner_product")
    torch.testing.assert_close(found.means, slow_means(split, learner, params, per_class))


def test_no_batch_is_larger_than_what_fits_and_every_example_is_seen_once(vectors, monkeypatch):
    split, learner, params = vectors
    monkeypatch.setattr(module, "TOGETHER", 4)
    sizes = []
    usual = learner.features
    monkeypatch.setattr(learner, "features", lambda params, inputs: sizes.append(len(inputs)) or usual(params, inputs))
    global_centres(learner, params, split, 100, "inner_product")
    assert sorted(sizes) == [3, 3, 4, 4]


def test_where_all_fit_in_one_batch_centres_are_those_of_all_examples_together():
    data, (learner, params) = made_up_data(n_classes=9, per_class=6), conv_learner()
    split = data.split("train")
    found = global_centres(learner, params, split, 100, "inner_product")
    together = learner.features(params, inputs_of(split, range(3), split.members))
    torch.testing.assert_close(found.means, together.reshape(3, 6, -1).mean(1))


def test_batches_are_mixed_of_all_classes(monkeypatch):
    data, (learner, params) = made_up_data(n_classes=9, per_class=20), conv_learner()
    monkeypatch.setattr(module, "TOGETHER", 15)
    batches, usual = [], inputs_of
    monkeypatch.setattr(module, "inputs_of", lambda *given: batches.append(given[1]) or usual(*given))
    global_centres(learner, params, data.split("train"), 100, "inner_product")
    assert batches == [(0, 1, 2)] * 4


def test_turned_classes_have_centres_of_their_own():
    data, (learner, params) = with_rotations(made_up_data(n_classes=9)), conv_learner()
    means = global_centres(learner, params, data.split("train"), 100, "euclidean").means
    assert len(means) == 12
    assert torch.pdist(means).min() > 1e-3


def test_descriptions_are_similarities_that_the_centres_themselves_have_mean_0_and_spread_1_in(vectors, monkeypatch):
    split, learner, params = vectors
    monkeypatch.setattr(module, "TOGETHER", 2)
    features = learner.features(params, torch.from_numpy(split.inputs)).double()
    for similarity, slow in (("inner_product", torch.dot), ("euclidean", lambda x, m: -torch.dist(x, m))):
        centres = global_centres(learner, params, split, 100, similarity)
        own = centres.described(centres.means)
        torch.testing.assert_close(own.mean(0), torch.zeros(3, dtype=torch.float64))
        torch.testing.assert_close(own.std(0, correction=0), torch.ones(3, dtype=torch.float64))
        raw = torch.stack([torch.stack([slow(each, mean) for mean in centres.means]) for each in features])
        torch.testing.assert_close(centres.described(features) * centres.spread + centres.shift, raw)
        nearest = [min(range(3), key=lambda place: torch.dist(each, centres.means[place])) for each in features]
        assert centres.nearest(features).tolist() == nearest


def test_centres_that_are_all_one_describe_nothing_and_divide_by_nothing():
    centres = standardised(torch.ones(3, 4, dtype=torch.float64), "euclidean")
    assert centres.described(torch.ones(2, 4)).tolist() == [[0.0] * 3] * 2


def test_features_that_are_not_finite_are_refused(vectors):
    split, learner, params = vectors
    broken = replace(split, inputs=np.full_like(split.inputs, np.nan))
    with pytest.raises(DivergedError, match="finite features of the training classes"):
        global_centres(learner, params, broken, 100, "inner_product")


LABELS = torch.tensor([0, 0, 0, 2, 2, 2])
TARGETS = torch.tensor([0, 0, 2, 2])


def test_labels_that_global_centres_know_are_fully_aligned():
    found = alignment(torch.tensor([7, 7, 7, 3, 3, 3]), LABELS, torch.tensor([7, 7, 3, 3]), TARGETS)
    assert found == (1.0, 0.0, pytest.approx(1.0))


def test_alignment_counts_queries_beside_the_usual_centre_of_their_class_and_of_the_others():
    # Class 0 lies mostly at 7, class 2 at 3, the lower of two that tie.
    support, query = torch.tensor([7, 7, 5, 9, 3, 3]), torch.tensor([7, 5, 3, 7])
    found = alignment(support, LABELS, query, TARGETS)
    assert found[:2] == (0.5, 0.25)
    assert found.mutual == pytest.approx(
        adjusted_mutual_info_score([0] * 3 + [2] * 3 + [0, 0, 2, 2], [*support, *query])
    )
    tied = alignment(torch.tensor([8, 4, 6, 3, 3, 3]), LABELS, torch.tensor([4, 8, 6, 1]), TARGETS)
    assert tied[:2] == (0.25, 0.0)


def test_centres_drawn_by_chance_share_no_information_with_labels():
    rng = np.random.default_rng(0)
    values = []
    for _ in range(200):
        support, query = (torch.from_numpy(rng.integers(0, 30, size)) for size in (6, 4))
        values.append(alignment(support, LABELS, query, TARGETS).mutual)
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(200)
