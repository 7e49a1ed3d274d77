"""Support scores against plain loops; that queries do not matter to them, nor slots from a zero head."""

import math

import pytest
import torch
from torch.nn import functional

from innerloop.analysis.support_scores import SCORES, distance, facts, left_out, separation, shot_of
from innerloop.data.episode import Episode, Examples, with_slots
from innerloop.params import zeroed
from innerloop.training import score_by_step
from worlds import algorithm_of, conv_learner, image_episode, unbalanced

EPISODE = image_episode(n_way=3, k_shot=3, n_queries=4, seed=2)


def learnt(**inner):
    learner, params = conv_learner()
    return algorithm_of("maml", learner, **{"lr": 0.3, "steps": 2, **inner}), params


def named(found):
    return dict(zip((*SCORES, "accuracy"), found.tolist(), strict=True))


def test_every_score_is_what_a_plain_loop_gives():
    algorithm, params = learnt()
    found = named(facts(algorithm, params, EPISODE))
    inputs, labels = EPISODE.support
    adapted = algorithm.adapt(params, EPISODE.support).adapted
    logits = algorithm.learner.logits(adapted, inputs)
    margins = [row[y] - max(row[k] for k in range(3) if k != y) for row, y in zip(logits, labels.tolist(), strict=True)]
    assert found["margin"] == pytest.approx(float(sum(margins) / 9))
    assert found["certainty"] == pytest.approx(float(functional.softmax(logits, 1).max(1).values.mean()))
    assert found["accuracy"] == pytest.approx(score_by_step(algorithm, params, EPISODE)[-1])
    hits = []
    for shot in range(3):
        out = [3 * slot + shot for slot in range(3)]
        kept = [place for place in range(9) if place not in out]
        there = algorithm.adapt(params, Examples(inputs[kept], labels[kept])).adapted
        hits += (algorithm.learner.logits(there, inputs).argmax(1) == labels)[out].tolist()
    assert found["left_out"] == pytest.approx(sum(hits) / 9)
    features = algorithm.learner.features(params, inputs)
    groups = [features[labels == slot] for slot in range(3)]
    means = torch.stack([each.mean(0) for each in groups])
    spreads = [((each - mean) ** 2).sum(1).mean() for each, mean in zip(groups, means, strict=True)]
    pairs = [
        (spreads[i] + spreads[j]) / (2 * ((means[i] - means[j]) ** 2).sum())
        for i in range(3)
        for j in range(3)
        if i != j
    ]
    assert found["separation"] == pytest.approx(-math.log(sum(pairs) / 6))
    nearest = [min(float((means[i] - means[j]).norm()) for j in range(3) if j != i) for i in range(3)]
    assert found["distance"] == pytest.approx(sum(nearest) / 3 / float(means.norm(dim=1).mean()))


def test_one_shot_has_no_spread_and_nothing_to_leave_out():
    algorithm, params = learnt()
    found = named(facts(algorithm, params, image_episode(k_shot=1)))
    assert [name for name, value in found.items() if math.isnan(value)] == ["left_out", "separation"]


def test_of_unequal_classes_those_with_another_example_are_left_out_of():
    algorithm, params = learnt()
    support = unbalanced().support
    assert shot_of(support.targets).tolist() == [0, 1, 2, 0, 0, 1]
    assert 0 <= left_out(algorithm, params, support) <= 1
    features = algorithm.learner.features(params, support.inputs)
    assert math.isnan(separation(features, support.targets))  # one class has no spread
    assert distance(features, support.targets) > 0


def test_scores_look_at_no_query_and_from_a_zero_head_at_no_slot():
    algorithm, params = learnt()
    other = image_episode(n_way=3, k_shot=3, n_queries=4, seed=9)
    first = facts(algorithm, params, EPISODE)
    assert torch.equal(facts(algorithm, params, Episode(EPISODE.support, other.query))[:-1], first[:-1])
    zero = zeroed(params, algorithm.learner.head_names)
    turned = with_slots(EPISODE, torch.tensor([2, 0, 1]))
    torch.testing.assert_close(facts(algorithm, zero, turned), facts(algorithm, zero, EPISODE))


def test_predictions_that_are_not_finite_have_no_accuracy():
    algorithm, params = learnt(lr=1e200)
    assert math.isnan(facts(algorithm, params, EPISODE)[-1])
