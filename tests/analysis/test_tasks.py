"""New tasks as combinations: a seen task is one, controls are what they say, and numbers are those of one by one."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from innerloop.analysis import Subject
from innerloop.analysis.bank import bank, embedder, member
from innerloop.analysis.combination import nonnegative, ridge
from innerloop.analysis.tasks import TasksSettings, apart, measure, shuffled
from innerloop.data.episode import EpisodeShape, joined
from innerloop.data.sampler import check
from innerloop.errors import ConfigError, DataError, DivergedError
from innerloop.statistics import mean_interval, paired_difference, rank_correlation
from innerloop.training import score_by_step
from worlds import algorithm_of, conv_learner, image_episode, made_up_data, probes_of

DATA = made_up_data(n_classes=18)
SHAPE = EpisodeShape(3, 2, 3)
FEW = TasksSettings(bank=24, neighbours=4, dimensions=64)


def subject_of(episodes, name="maml", **changes):
    learner, params = conv_learner()
    algorithm = algorithm_of(name, learner, lr=0.3)
    subject = Subject(algorithm, algorithm, params, probes_of(episodes), home=DATA.split, shape=SHAPE)
    return replace(subject, **changes)


NEW = [image_episode(seed=seed) for seed in range(12)]


def test_a_task_of_the_bank_is_a_combination_of_seen_ones_and_a_new_one_is_not():
    check(DATA.split("train"), SHAPE)
    subject = subject_of([])
    known = [member(subject, number) for number in (3, 17)]
    seen = measure(replace(subject, probes=lambda: known), FEW)
    assert seen.nonnegative.task.mean < 1e-3
    assert seen.nearest.mean == pytest.approx(1, abs=1e-5)
    (first, _), weights = seen.related, [[each.weight for each in one.neighbours] for one in seen.related]
    assert [one.neighbours[0].task.number for one in seen.related] == [3, 17]
    assert first.neighbours[0].task.classes == known[0].classes == first.task.classes
    assert all(one[0] == pytest.approx(1, abs=1e-3) for one in weights)
    new = measure(subject_of(NEW), FEW)
    assert new.nonnegative.task.mean > 0.2


def test_residuals_are_those_of_every_task_fitted_on_its_own_with_its_controls():
    subject = subject_of(NEW)
    result = measure(subject, FEW)
    made = embedder(subject, "direction", 64)
    held = bank(subject, made, 24)
    left, by_ridge, random, right = [], [], [], []
    for probe in subject.probes():
        target, control = (made([each]).double().numpy()[0] for each in (probe.episode, shuffled(probe)))
        near = np.argsort(-held.vectors.astype(float) @ target)[:4]
        left.append(nonnegative(target, held.some(near)).residual)
        by_ridge.append(ridge(target, held.some(near), 0.1).residual)
        near = np.argsort(-held.vectors.astype(float) @ control)[:4]
        random.append(nonnegative(control, held.some(near)).residual)
        right.append(score_by_step(subject.tested, subject.params, probe.episode)[-1])
    assert result.nonnegative.task.mean == pytest.approx(mean_interval(left).mean)
    assert result.ridge.task.mean == pytest.approx(mean_interval(by_ridge).mean)
    assert result.nonnegative.shuffled.mean == pytest.approx(mean_interval(random).mean)
    gap = paired_difference(random, left)
    found = result.nonnegative.below_shuffled
    assert (found.mean, found.half_width) == pytest.approx((gap.mean, gap.half_width))
    assert result.accuracy.mean == pytest.approx(mean_interval(right).mean)
    found, expected = result.nonnegative.with_accuracy, rank_correlation(left, right)
    assert found.value == pytest.approx(expected.value)
    np.testing.assert_allclose(result.points, list(zip(left, right, strict=True)), atol=1e-6)
    assert result.random == pytest.approx((1 - 4 / 64) ** 0.5)
    # Neighbours fit better than random tasks of the bank, and these than nothing.
    assert result.nonnegative.task.mean < result.nonnegative.others.mean < 1


def test_shuffled_labels_are_dealt_to_examples_of_the_same_task():
    (probe,) = probes_of([image_episode(k_shot=2, n_queries=5)])()
    other = shuffled(probe)
    pool = joined(probe.episode).inputs
    assert torch.equal(other.support.targets, probe.episode.support.targets)
    assert all((image == pool).flatten(1).all(1).any() for image in other.support.inputs)
    assert len({float(image.sum()) for image in other.support.inputs}) == 6  # each once
    assert not torch.equal(other.support.inputs, probe.episode.support.inputs)
    assert torch.equal(shuffled(probe).support.inputs, other.support.inputs)


def test_a_head_that_alone_adapts_is_told_by_its_encoders_gradient():
    result = measure(subject_of(NEW[:2], "anil"), FEW)
    assert (result.embedding, result.asked, result.steps) == ("gradient", "direction", 2)
    assert measure(subject_of(NEW[:2]), FEW).embedding == "direction"


def test_tasks_are_placed_and_named_and_pictures_stand_far_apart():
    result = measure(subject_of(NEW, split=DATA.split("test")), replace(FEW, mapped=10, drawn=2))
    assert (len(result.map.bank), len(result.map.tasks), len(result.related)) == (10, 12, 2)
    assert len({each.place for each in result.map.shown}) == 10
    assert all(len(each.task.pictures) == 3 for each in result.map.shown)
    assert result.source == "made-up (train)"
    assert measure(subject_of(NEW[:1]), replace(FEW, mapped=0, drawn=0)).map is None
    assert apart([(0.0, 0.0), (1.0, 0.0), (0.4, 0.0), (5.0, 0.0)], 3) == [3, 0, 1]
    assert apart([], 3) == []


def test_what_would_fit_anything_and_other_odd_settings_are_refused():
    for settings, words in (
        ({"neighbours": 64, "dimensions": 64}, "expected fewer neighbours than dimensions, got 64 in 64"),
        ({"neighbours": 30, "bank": 20}, "expected a bank of at least 30 tasks"),
        ({"neighbours": 0}, "expected at least 1 of neighbours"),
        ({"penalty": 0.0}, "expected a penalty above 0"),
        ({"drawn": -1}, "expected drawn of at least 0"),
    ):
        with pytest.raises(ConfigError, match=words):
            TasksSettings(**settings)
    with pytest.raises(ConfigError, match="expected fewer neighbours than the encoder's"):
        measure(subject_of(NEW), TasksSettings(bank=9999, neighbours=9000, dimensions=10_000))


def test_no_episode_and_predictions_that_are_not_finite_are_refused():
    with pytest.raises(DataError, match="expected at least one episode"):
        measure(subject_of([]), FEW)
    subject = subject_of(NEW[:1])
    wild = {name: value * (1e200 if "head" in name else 1) for name, value in subject.params.items()}
    with pytest.raises(DivergedError, match="expected finite"):
        measure(replace(subject, params=wild, tested=subject.tested.with_inner(lr=1e200)), FEW)
