"""Confidence: what is learned on one part of the validation side is calibrated and tried on others, and bounds hold."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from innerloop.analysis import Subject, guarantee, probes
from innerloop.analysis.confidence import (
    ConfidenceSettings,
    Scored,
    coverage,
    explained_variance,
    fit,
    measure,
    some_classes,
)
from innerloop.analysis.conformal import slack
from innerloop.analysis.global_centres import class_features
from innerloop.analysis.support_scores import facts
from innerloop.data.episode import EpisodeShape, joined
from innerloop.data.split import with_rotations
from innerloop.errors import ConfigError, DataError, DivergedError
from innerloop.seeds import derived_seed
from innerloop.statistics import mean_interval, share
from worlds import algorithm_of, conv_learner, made_up_data

DATA = made_up_data(n_classes=18)
SHAPE = EpisodeShape(3, 2, 3)
FEW = ConfidenceSettings(fitted=12, calibrated=11, held_out=10, levels=(0.95, 0.8))


def subject_of(side="test", count=11, shape=SHAPE, **changes):
    learner, params = conv_learner()
    algorithm = algorithm_of("maml", learner, lr=0.3)
    split = DATA.split(side)
    subject = Subject(
        algorithm,
        algorithm,
        params,
        lambda: probes(split, shape, 0, range(count)),
        home=DATA.split,
        split=split,
        shape=shape,
    )
    return replace(subject, **changes)


def table(subject, episodes):
    return torch.stack([facts(subject.tested, subject.params, each.episode) for each in episodes]).numpy()


def test_prediction_bounds_and_coverage_are_those_of_three_parts_of_the_validation_side():
    subject = subject_of()
    result = measure(subject, FEW)
    seed = derived_seed(0, "calibration")
    rows = table(subject, probes(DATA.split("validation"), SHAPE, seed, range(33)))
    new = table(subject, subject.probes())
    predict = fit(Scored(rows[:12, :-1], rows[:12, -1]), range(5))
    taken = slack(predict(rows[12:23, :-1]), rows[12:23, -1], 0.8)
    low, high = result.levels
    assert (low.level, low.needed, low.is_enough, high.level, high.is_enough) == (0.8, 4, True, 0.95, False)
    for found, part in ((low.held_out, rows[23:]), (low.explained, new)):
        bounds = np.clip(predict(part[:, :-1]) - taken, 0, 1)
        assert found.held == share(int((part[:, -1] >= bounds - 1e-9).sum()), len(part))
        assert found.bound.mean == pytest.approx(mean_interval(bounds).mean)
        assert found.sharper.mean == pytest.approx(bounds.mean() - low.constant)
    assert low.constant == pytest.approx(np.sort(rows[12:23, -1])[::-1][9])  # the 10th largest of 11
    # 11 episodes are too few for 95%, so that the bound is 0 and holds always.
    assert high.explained.held.value == high.held_out.constant_held.value == 1
    assert high.explained.bound.mean == high.constant == 0
    assert result.accuracy.mean == pytest.approx(new[:, -1].mean())
    np.testing.assert_allclose([true for _, true in result.home_points], rows[23:, -1])
    assert (result.home, result.source, result.is_home) == ("made-up (validation)", "made-up (test)", False)
    assert measure(subject_of("validation"), FEW).is_home


def test_scores_that_tell_the_accuracy_are_learned_and_those_that_do_not_are_left_alone():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(300, 2))
    accuracies = 0.6 + 0.1 * scores[:, 0] + 0.01 * rng.normal(size=300)
    predict = fit(Scored(scores[:150], accuracies[:150]), [0, 1])
    assert explained_variance(predict(scores[150:]), accuracies[150:]) > 0.97
    blind = fit(Scored(scores[:150, 1:], accuracies[:150]), [0])
    assert abs(explained_variance(blind(scores[150:, 1:]), accuracies[150:])) < 0.1
    assert explained_variance(np.ones(3), np.ones(3)) is None


def test_sharper_bounds_are_those_above_the_constant_one():
    found = coverage(np.array([0.3, 0.8, 0.6]), 0.5, np.array([0.4, 0.7, 0.6]))
    assert (found.held.value, found.constant_held.value) == pytest.approx((2 / 3, 2 / 3))
    assert found.sharper.mean == pytest.approx(0.2 / 3)


def test_one_shot_leaves_out_what_it_does_not_have():
    shape = EpisodeShape(3, 1, 3)
    result = measure(subject_of(shape=shape), FEW)
    assert result.missing == ("left_out", "separation")
    assert [each.name for each in result.scores] == ["margin", "certainty", "distance", "predicted"]
    assert measure(subject_of(), FEW).missing == ()


def test_what_a_bank_leaves_is_a_score_where_a_bank_is_asked_for():
    result = measure(subject_of(), replace(FEW, bank=40))
    assert [each.name for each in result.scores][-2:] == ["residual", "predicted"]


def test_the_guarantee_is_that_of_the_explained_classes_and_of_every_episodes_own_examples():
    subject = subject_of()
    result = measure(subject, FEW)
    features, labels = class_features(subject.tested.learner, subject.params, DATA.split("test"), 100)
    here = guarantee.geometry(features, labels)
    found = result.representation
    assert (found.classes, found.examples, found.ways, found.shots) == (6, 48, 3, 2)
    expected = [guarantee.by_line(here), guarantee.by_spread(here), guarantee.by_shots(here, 2)]
    assert [each.bound for each in found.bounds] == pytest.approx([guarantee.bound(each, 3) for each in expected])
    assert all(each.error <= each.bound for each in found.bounds)
    errors, bounds = [], []
    for probe in subject.probes():
        inputs, targets = joined(probe.episode)
        features = subject.tested.learner.features(subject.params, inputs)
        errors.append(guarantee.error(features, targets))
        bounds.append(guarantee.bound(guarantee.by_line(guarantee.geometry(features, targets)), 3))
    assert all(error <= own for error, own in zip(errors, bounds, strict=True))
    assert result.episode_error.mean == pytest.approx(mean_interval(errors).mean)
    assert result.episode_bound.mean == pytest.approx(mean_interval(bounds).mean)
    assert measure(subject, replace(FEW, per_class=0)).representation is None


def test_some_classes_keep_their_examples_and_turns():
    split = with_rotations(made_up_data()).classes("test")
    few = some_classes(split, 5)
    assert len(few) == len(few.turns) == 5
    for name, members, turn in zip(few.class_names, few.members, few.turns, strict=True):
        place = split.class_names.index(name)
        assert turn == split.turns[place]
        assert np.array_equal(members, split.members[place])
    assert some_classes(split, 100) is split


@pytest.mark.parametrize("few", [{"per_class": 2}, {"classes": 2}])
def test_as_many_examples_as_shots_and_fewer_classes_than_ways_are_refused_before_a_task_is_drawn(few):
    def drawn(*_):
        raise AssertionError("a task was drawn")

    with pytest.raises(ConfigError, match=r"classes of at least 3 and \.per_class above 2, .*\.per_class=0 to leave"):
        measure(subject_of(probes=drawn, home=drawn), replace(FEW, **few))
    assert measure(subject_of(count=1), replace(FEW, per_class=3, classes=3)).representation.classes == 3


def test_odd_settings_and_worlds_are_refused():
    for settings, words in (
        ({"levels": (1.0,)}, "expected levels between 0 and 1, got 1"),
        ({"levels": ()}, "got none"),
        ({"fitted": 1}, "expected fitted of at least 2"),
        ({"calibrated": 0}, "expected calibrated of at least 1"),
        ({"held_out": 0}, "expected held_out of at least 1"),
        ({"classes": 1}, "expected classes of at least 2"),
        ({"bank": 3}, "expected a bank of at least 32"),
        ({"per_class": -1}, "expected per_class of at least 0"),
    ):
        with pytest.raises(ConfigError, match=words):
            ConfidenceSettings(**settings)
    with pytest.raises(ConfigError, match="give the Subject a home"):
        measure(subject_of(home=None), FEW)
    with pytest.raises(DataError, match="expected at least one episode"):
        measure(subject_of(count=0), FEW)
    subject = subject_of()
    with pytest.raises(DivergedError, match="expected finite predictions"):
        measure(replace(subject, tested=subject.tested.with_inner(lr=1e200)), FEW)
