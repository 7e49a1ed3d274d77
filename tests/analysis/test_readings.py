"""The readings against slow versions, and what theory says of them beside the library's own inner loop."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.covariance import LedoitWolf
from sklearn.linear_model import LogisticRegression, Ridge
from torch.nn.functional import cosine_similarity

from innerloop.analysis.adapted_head import matching, named_by_head, seen
from innerloop.analysis.centroids import class_means, nearest
from innerloop.analysis.readings import USUAL, Matching, lda, logistic, matched, nil, read, ridge, spanned
from innerloop.data.episode import Episode, Examples
from innerloop.params import zeroed
from innerloop.seeds import generator
from worlds import algorithm_of, conv_learner, image_episode, smooth_learner, unbalanced, vector_episode

MATCHING = Matching(0.8, True, False)


def clouds(n_way=3, k_shot=3, n_queries=8, width=5, seed=0):
    """Support features, their slots, query features and theirs."""
    episode = vector_episode(inputs=width, n_way=n_way, k_shot=k_shot, n_queries=n_queries, seed=seed)
    return *episode.support, *episode.query


def headed(name="anil", zero=True, episode=None, **inner):
    """Return features and adapted head of an episode, by the library's own inner loop."""
    episode = episode or image_episode(k_shot=3, n_queries=6)
    learner, params = conv_learner(n_way=int(episode.support.targets.max()) + 1)
    params = zeroed(params, learner.head_names) if zero else params
    algorithm = algorithm_of(name, learner, **inner)
    adapted = algorithm.adapt(params, episode.support).adapted
    return algorithm, params, episode, seen(algorithm, params, episode), seen(algorithm, adapted, episode)


def logits(here):
    return here.query @ here.weight.T + (0 if here.bias is None else here.bias)


# E1 to E4 of the theory, by the library's own inner loop.


@pytest.mark.parametrize("name", ["anil", "fomaml"])
@pytest.mark.parametrize("lr", [1e-3, 0.4, 30.0, -1e-3, -0.4, -30.0])
def test_a_zero_head_after_one_step_names_the_largest_inner_product_at_every_rate_above_0_and_the_least_below(name, lr):
    episode = image_episode(k_shot=3, n_queries=6, seed=6)
    _, _, _, before, after = headed(name, lr=lr, episode=episode)
    slots, means = class_means(before.support, episode.support.targets)
    products = before.query @ means.T
    named = named_by_head(after)
    assert named.tolist() == slots[products.argmax(1) if lr > 0 else products.argmin(1)].tolist()
    assert len(set(named.tolist())) > 1


def test_equally_long_centroids_are_read_alike_by_inner_product_and_euclidean_distance():
    support, labels, query, _ = clouds(k_shot=1)
    support = torch.nn.functional.normalize(support, dim=1)
    found = read(support, labels, query, MATCHING)
    assert found["inner_product"].tolist() == found["euclidean"].tolist()
    longer = read(support * (1 + labels[:, None]), labels, query, MATCHING)
    assert longer["inner_product"].tolist() != longer["euclidean"].tolist()


def test_several_small_steps_of_a_zero_head_are_one_large_step_up_to_the_rates_square():
    def gap(lr, steps=4):
        return torch.dist(headed(lr=lr, steps=steps)[-1].weight, headed(lr=steps * lr, steps=1)[-1].weight).item()

    ratios = [gap(lr) / gap(lr / 2) for lr in (1e-2, 1e-3)]
    assert ratios == pytest.approx([4, 4], abs=0.2)
    assert abs(ratios[1] - 4) < abs(ratios[0] - 4)


@pytest.mark.parametrize("n_way", [2, 3])
@pytest.mark.parametrize("head_bias", [True, False])
def test_an_inner_loop_with_a_penalty_run_to_convergence_is_scikit_learns_logistic_regression(n_way, head_bias):
    penalty, episode = 0.3, image_episode(n_way=n_way, k_shot=3, n_queries=6)
    learner, params = conv_learner(n_way=n_way, head_bias=head_bias)
    zero = zeroed(params, learner.head_names)
    algorithm = algorithm_of("anil", learner, axes={"proximal": penalty}, lr=0.4, steps=160)
    after = seen(algorithm, algorithm.adapt(zero, episode.support).adapted, episode)
    support, query = (
        torch.cat([each, torch.ones_like(each[:, :1])], 1) if head_bias else each
        for each in (after.support, after.query)
    )
    labels = episode.support.targets
    c = 1 / (penalty * len(labels))
    scores = logistic(after.support, labels, after.query, c, head_bias)
    # Both are softmax regressions, whose logits count up to what all classes share.
    left, right = logits(after), scores
    torch.testing.assert_close(
        left - left.mean(1, keepdim=True), right - right.mean(1, keepdim=True), rtol=0, atol=1e-5
    )
    if n_way == 3:
        truth = LogisticRegression(C=c, fit_intercept=False, tol=1e-12, max_iter=10_000).fit(support, labels)
        torch.testing.assert_close(after.weight.numpy(), truth.coef_[:, : after.weight.shape[1]], rtol=0, atol=1e-5)
        assert truth.predict(query).tolist() == named_by_head(after).tolist()


# What "matching" means: to first order in the reach the readings are the adapted head.


@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
@pytest.mark.parametrize("episode", [image_episode(k_shot=3, n_queries=6), unbalanced()], ids=["balanced", "unequal"])
def test_matching_regressions_are_the_adapted_zero_head_up_to_the_reachs_square(loss, episode):
    def gaps(lr):
        algorithm, params, _, before, after = headed(lr=lr, steps=3, loss=loss, episode=episode)
        labels, alike = episode.support.targets, matching(algorithm, params)
        assert alike == Matching(pytest.approx(3 * lr), True, loss == "mse")
        head, squares = logits(after), ridge(before.support, labels, before.query, alike)
        if loss == "mse":
            return [torch.dist(squares, head).item()]
        softmax = logistic(before.support, labels, before.query, *matched(len(labels), alike))
        # One-hot rows less 1 / classes, times classes, are what cross-entropy's first step regresses on.
        centred = len(set(labels.tolist())) * (squares - squares.mean(1, keepdim=True))
        return [torch.dist(softmax, head).item(), torch.dist(centred, head).item()]

    for large, small in zip(gaps(2e-3), gaps(1e-3), strict=True):
        assert large / small == pytest.approx(4, abs=0.2)


def test_early_stopping_and_its_penalty_agree_more_than_another_penalty_does():
    _, _, episode, before, after = headed(lr=0.1, steps=8, episode=image_episode(k_shot=4, n_queries=30))
    labels, head = episode.support.targets, logits(after).softmax(1)
    near, far = (
        logistic(before.support, labels, before.query, factor * 0.8 / len(labels), True).softmax(1)
        for factor in (1, 100)
    )
    assert torch.dist(near, head) < 0.3 * torch.dist(far, head)


# Every reading against a slow version.


def test_nil_sums_the_cosines_to_each_classs_support():
    support, labels, query, _ = clouds()
    labels = torch.tensor([4, 0, 0, 2, 4, 4, 0, 2, 4])  # unequal shots, slots without support
    slow = [
        [sum(cosine_similarity(each, one, dim=0) for one in support[labels == slot]).item() for slot in (0, 2, 4)]
        for each in query
    ]
    torch.testing.assert_close(nil(support, labels, query), torch.tensor(slow, dtype=torch.float64))


@pytest.mark.parametrize("n_way", [2, 4])
@pytest.mark.parametrize("c", [0.01, 1.0, 100.0])
def test_logistic_regression_is_scikit_learns_multinomial_one_at_every_size_of_features(n_way, c):
    support, labels, query, _ = clouds(n_way=n_way)
    labels = 2 * labels  # slots without support between them
    # The multinomial loss written out, since scikit-learn fits two classes by one row under half the penalty.
    weight = torch.zeros(n_way, support.shape[1] + 1, dtype=torch.float64, requires_grad=True)
    solver = torch.optim.LBFGS([weight], max_iter=2000, tolerance_grad=1e-12, tolerance_change=0, history_size=50)

    def closure():
        solver.zero_grad()
        scores = support @ weight[:, :-1].T + weight[:, -1]
        loss = c * torch.nn.functional.cross_entropy(scores, labels // 2, reduction="sum")
        loss = loss + weight[:, :-1].square().sum() / 2
        loss.backward()
        return loss

    solver.step(closure)
    truth = (query @ weight[:, :-1].T + weight[:, -1]).detach()
    for size in (1.0, 1e-6, 1e80):
        found = logistic(support * size, labels, query * size, c / size**2)
        gap = (found - found.mean(1, keepdim=True)) - (truth - truth.mean(1, keepdim=True))
        assert gap.abs().max() < 1e-4 * max(1, truth.abs().max())


def test_ridge_is_scikit_learns_with_the_bias_under_the_same_penalty():
    support, labels, query, _ = clouds(n_way=3, k_shot=3)
    padded = [torch.cat([each, torch.ones(len(each), 1)], 1).numpy() for each in (support, query)]
    truth = Ridge(alpha=27 / (2 * 0.8), fit_intercept=False).fit(padded[0], np.eye(3)[labels.numpy()])
    found = ridge(support, labels, query, Matching(-0.8, True, True))
    torch.testing.assert_close(found, torch.from_numpy(truth.predict(padded[1])))


@pytest.mark.parametrize("width", [4, 60])
def test_lda_names_the_likeliest_of_gaussians_that_share_the_shrunk_covariance(width):
    support, labels, query, _ = clouds(k_shot=4, width=width)
    labels = torch.tensor([0, 0, 0, 0, 0, 0, 1, 2, 2, 2, 2, 2])  # unequal shots do not make a class likelier
    support, query = spanned(support, query)
    means = torch.stack([support[labels == slot].mean(0) for slot in range(3)])
    covariance = LedoitWolf(assume_centered=True).fit((support - means[labels]).numpy()).covariance_
    truth = np.stack([multivariate_normal(mean, covariance).logpdf(query) for mean in means.numpy()], 1)
    found = lda(support, labels, query).numpy()
    # Up to what all classes share and to one factor, as only the shape of the covariance counts.
    left, right = (each - each.mean(1, keepdims=True) for each in (found, truth))
    factor = (left * right).sum() / (left * left).sum()
    np.testing.assert_allclose(factor * left, right, rtol=1e-7, atol=1e-8)
    assert factor > 0


@pytest.mark.parametrize("copies", [1, 3])
def test_without_scatter_within_classes_lda_is_the_nearest_centroid_by_euclidean_distance(copies):
    support, labels, query, _ = clouds(k_shot=1, width=20)
    support, labels = (each.repeat_interleave(copies, 0) for each in (support, labels))
    assert lda(support, labels, query).argmax(1).tolist() == nearest("euclidean", query, support, labels).tolist()


def test_the_readings_of_wide_features_are_those_of_their_span():
    support, labels, query, _ = clouds(n_way=3, k_shot=2, width=40)
    narrow = spanned(support, query)
    assert narrow[0].shape == (6, 6)
    found = read(support, labels, query, MATCHING)
    for kind in ("inner_product", "euclidean", "cosine"):
        assert found[kind].tolist() == nearest(kind, query, support, labels).tolist()
    assert found["nil"].tolist() == nil(support, labels, query).argmax(1).tolist()
    for name, c, penalised in (("logistic", 0.8 / 6, True), ("logistic_usual", USUAL, None)):
        assert found[name].tolist() == logistic(support, labels, query, c, penalised).argmax(1).tolist()
    assert found["ridge"].tolist() == ridge(support, labels, query, MATCHING).argmax(1).tolist()


def test_every_reading_names_slots_that_have_support_and_turning_the_features_changes_none():
    support, labels, query, targets = clouds(n_way=3, k_shot=4, n_queries=20)
    turn = torch.linalg.qr(torch.randn(5, 5, generator=generator(0, "turn"), dtype=torch.float64))[0]
    there = torch.tensor([1, 4, 6])
    found = read(support, there[labels], query, MATCHING)
    turned = read(support @ turn, there[labels], query @ turn, MATCHING)
    assert set(found) == {
        *("inner_product", "euclidean", "cosine", "nil", "logistic", "logistic_usual", "ridge", "lda")
    }
    for name, slots in found.items():
        assert set(slots.tolist()) == {1, 4, 6}
        assert (slots == there[targets]).double().mean() > 0.6
        assert slots.tolist() == turned[name].tolist()


def test_without_a_reach_nothing_has_a_matching_penalty_and_of_a_negative_one_the_size_counts():
    support, labels, query, _ = clouds()
    assert not {"logistic", "ridge"} & set(read(support, labels, query, Matching(0.0, True, False)))
    forth, back = (read(support, labels, query, Matching(reach, True, False)) for reach in (0.5, -0.5))
    assert all(torch.equal(forth[name], back[name]) for name in forth)


def test_features_that_are_all_zero_are_read_without_complaint():
    _, labels, query, _ = clouds()
    found = read(torch.zeros(9, 5, dtype=torch.float64), labels, torch.zeros_like(query), MATCHING)
    assert all(slots.tolist() == [0] * len(query) for slots in found.values())


def test_a_head_that_is_not_finite_names_nothing():
    learner, params = smooth_learner()
    algorithm, episode = algorithm_of("anil", learner), vector_episode()
    broken = {**params, "head.weight": params["head.weight"] * float("inf")}
    assert named_by_head(seen(algorithm, broken, episode)) is None
    bad = Examples(episode.support.inputs.clone().fill_(float("nan")), episode.support.targets)
    assert named_by_head(seen(algorithm, params, Episode(bad, episode.query))) is None
