import json
import math

import pytest
import torch
from torch import nn
from torch.nn.functional import cosine_similarity

from innerloop.analysis import Subject, cosines
from innerloop.analysis.centroids import scatter
from innerloop.analysis.cosine import Separation, measure, recorded
from innerloop.analysis.values import from_values, to_values
from innerloop.errors import DivergedError
from innerloop.models import Learner
from innerloop.params import zeroed
from worlds import algorithm_of, conv_learner, image_episode, probes_of, sequential, vector_episode


def subject(learner, params, episodes, name="maml", **inner):
    algorithm = algorithm_of(name, learner, **{"lr": 0.4, "steps": 1, **inner})
    return Subject(algorithm.with_inner(steps=7), algorithm, params, probes_of(episodes))


def mean_cosine(left, left_labels, right, right_labels, same, but_itself=False):
    values = [
        cosine_similarity(left[i], right[j], dim=0).item()
        for i in range(len(left))
        for j in range(len(right))
        if (left_labels[i] == right_labels[j]).item() == same and not (but_itself and i == j)
    ]
    return sum(values) / len(values)


def test_cosines_are_those_of_a_slow_loop_over_pairs_mean_over_episodes():
    learner, params = conv_learner(filters=8)
    episodes = [image_episode(seed=0), image_episode(seed=1, k_shot=3)]
    slow = []
    for episode in episodes:
        (support, query), (ys, yq) = (
            [learner.features(params, side.inputs) for side in episode],
            [s.targets for s in episode],
        )
        slow.append(
            [
                mean_cosine(query, yq, support, ys, True),
                mean_cosine(query, yq, support, ys, False),
                mean_cosine(query, yq, query, yq, True, but_itself=True),
                mean_cosine(query, yq, query, yq, False),
                mean_cosine(support, ys, support, ys, True, but_itself=True),
                mean_cosine(support, ys, support, ys, False),
            ]
        )
    expected = [sum(column) / 2 for column in zip(*slow, strict=True)]
    assert list(cosines(algorithm_of("maml", learner), params, episodes)) == pytest.approx(expected, abs=1e-12)
    result = measure(subject(learner, params, episodes))
    for pair, place in ((result.query_support, 0), (result.query_query, 2), (result.support_support, 4)):
        assert [pair.same.mean, pair.different.mean] == pytest.approx(expected[place : place + 2], abs=1e-12)
        assert pair.gap.mean == pytest.approx(expected[place] - expected[place + 1], abs=1e-12)


def test_the_gap_is_paired_over_episodes():
    result = measure(subject(*conv_learner(), [image_episode(seed=seed) for seed in range(4)]))
    pair = result.query_support
    assert pair.gap.observations == 4
    assert pair.gap.half_width != pytest.approx(pair.same.half_width + pair.different.half_width)


def test_one_shot_has_no_two_support_examples_of_a_class():
    learner, params = conv_learner()
    episodes = [image_episode(k_shot=1)]
    found = cosines(algorithm_of("maml", learner), params, episodes)
    assert math.isnan(found.support_same_class)
    kept = recorded(algorithm_of("maml", learner), params, episodes)
    assert "support_same_class" not in kept
    assert kept["same_class"] == found.same_class
    assert kept["different_class"] == found.different_class
    query = episodes[0].query
    features = learner.features(params, query.inputs, reference=episodes[0].support.inputs)
    assert (kept["between_classes"], kept["within_classes"]) == pytest.approx(scatter(features, query.targets))
    pair = measure(subject(learner, params, episodes)).support_support
    assert pair.same is None
    assert pair.gap is None
    assert pair.different is not None


def test_episodes_without_such_pairs_do_not_count():
    learner, params = conv_learner()
    algorithm = algorithm_of("maml", learner)
    both = cosines(algorithm, params, [image_episode(k_shot=1), image_episode(k_shot=2)])
    assert both.support_same_class == cosines(algorithm, params, [image_episode(k_shot=2)]).support_same_class


def test_after_adaptation_the_features_are_those_of_the_adapted_encoder():
    learner, params = conv_learner()
    episode = image_episode()
    result = measure(subject(learner, params, [episode], steps=2))
    algorithm = algorithm_of("maml", learner, lr=0.4, steps=2)
    adapted = algorithm.adapt(params, episode.support).adapted
    assert result.adapted.same.mean == cosines(algorithm, adapted, [episode]).same_class
    assert result.adapted != result.query_support


def test_a_head_that_adapts_alone_and_a_zeroed_head_at_one_step_leave_the_features():
    learner, params = conv_learner()
    episodes = [image_episode(seed=seed) for seed in range(2)]
    alone = measure(subject(learner, params, episodes, "anil", steps=3))
    assert alone.adapted == alone.query_support
    once = measure(subject(learner, zeroed(params, learner.head_names), episodes))
    assert once.adapted == once.query_support


def test_classes_are_compared_in_the_first_episode_queries_by_row_and_support_by_column():
    learner, params = conv_learner()
    episode = image_episode()
    result = measure(subject(learner, params, [episode, image_episode(seed=1)]))
    (support, query), (ys, yq) = (
        [learner.features(params, side.inputs) for side in episode],
        [s.targets for s in episode],
    )
    for row in range(3):
        for column in range(3):
            pairs = [cosine_similarity(q, s, dim=0).item() for q in query[yq == row] for s in support[ys == column]]
            assert result.by_class[row][column] == pytest.approx(sum(pairs) / len(pairs), abs=1e-12)
    assert (result.number, result.classes) == (0, ("class 0", "class 1", "class 2"))
    assert result.products.by_products == pytest.approx(result.products.by_algorithm, abs=1e-10)


def test_the_result_goes_to_plain_values_and_back():
    for head, steps in ((3, 2), (5, 0)):
        learner, params = conv_learner(n_way=head)
        result = measure(subject(learner, params, [image_episode(k_shot=1)], steps=steps))
        assert from_values(Separation, json.loads(json.dumps(to_values(result), allow_nan=False))) == result


def test_a_head_that_is_not_linear_has_cosines_and_no_products():
    learner = Learner(
        sequential(
            flatten=nn.Flatten, body=lambda: nn.Linear(6, 4), head=lambda: nn.Sequential(nn.Linear(4, 3))
        ).double()
    )
    result = measure(subject(learner, learner.initial_params(), [vector_episode()]))
    assert result.products is None
    assert result.query_support.gap is not None


def test_features_that_are_not_finite_are_refused():
    learner, params = conv_learner()
    params = {**params, next(iter(params)): torch.full_like(next(iter(params.values())), float("nan"))}
    with pytest.raises(DivergedError, match=r"expected finite features, got NaN or infinity .* \(episode 0\)"):
        measure(subject(learner, params, [image_episode()], "anil"))
