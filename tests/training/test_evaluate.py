import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from innerloop.data.episode import EpisodeShape
from innerloop.data.sampler import draw
from innerloop.engine import Chosen, EngineConfig
from innerloop.errors import ConfigError, DataError
from innerloop.inner import accuracy
from innerloop.models import Learner, seeded
from innerloop.params import zeroed
from innerloop.training import Evaluation, EvaluationConfig, evaluate
from worlds import SMALL, algorithm_of, conv_learner, image_episode, made_up_data, sequential

SPLIT = made_up_data().split("test")


def outcome():
    learner, params = conv_learner(dtype=torch.float32)
    algorithm = algorithm_of("fomaml", learner, lr=0.2, steps=2)
    return algorithm, params, evaluate(algorithm, params, SPLIT, SMALL, range(5), seed=3)


def test_accuracy_is_given_before_adaptation_and_after_every_inner_step_with_and_without_the_head():
    algorithm, params, result = outcome()
    assert result.as_trained.shape == result.zeroed.shape == (5, 3)
    for index in range(5):
        episode = draw(SPLIT, SMALL, 3, index)
        for arm, start in (("as_trained", params), ("zeroed", zeroed(params, algorithm.learner.head_names))):
            path = algorithm.adapt(start, episode.support).params
            for step, here in enumerate(path):
                expected = accuracy(algorithm.query_loss(here, episode)[1], episode.query.targets).item()
                assert getattr(result, arm)[index, step] == pytest.approx(expected)


def test_a_zeroed_head_knows_nothing_before_adaptation():
    assert outcome()[2].zeroed[:, 0] == pytest.approx(1 / 3)


def test_a_result_says_that_it_is_transductive_and_survives_json():
    result = outcome()[2]
    assert result.transductive
    back = Evaluation.from_json(json.loads(json.dumps(result.to_json())))
    np.testing.assert_allclose(back.as_trained, result.as_trained, atol=1e-6)
    assert (back.shape, back.seed, back.inner_steps, back.inner_lr) == (SMALL, 3, 2, 0.2)
    assert back.interval().mean == pytest.approx(result.as_trained[:, -1].mean(), abs=1e-6)


def test_rate_and_steps_at_test_are_settings_of_their_own():
    algorithm = outcome()[0]
    assert EvaluationConfig(inner_lr=-0.1, inner_steps=7).applied_to(algorithm).inner.lr == -0.1
    assert EvaluationConfig(inner_lr=0.0).applied_to(algorithm).inner.lr == 0.0
    unchanged = EvaluationConfig().applied_to(algorithm).inner
    assert (unchanged.lr, unchanged.steps) == (0.2, 2)


def test_a_head_that_the_support_set_makes_needs_no_inner_steps_unless_they_are_asked_for():
    algorithm = outcome()[0]
    loops = {
        head: EvaluationConfig(head=head, inner_steps=steps).loop(0.2, 2)
        for head, steps in ((None, None), ("zero", None), ("prototypes", None), ("logistic", None), ("ridge", 3))
    }
    steps = {"zero": 2, None: 2, "prototypes": 0, "logistic": 0, "ridge": 3}
    assert loops == {head: (0.2, count) for head, count in steps.items()}
    for head, count in steps.items():
        inner = EvaluationConfig(head=head, inner_steps=3 if head == "ridge" else None).applied_to(algorithm).inner
        assert (inner.start, inner.steps, inner.lr) == (head or "params", count, 0.2)


@pytest.mark.parametrize("head", ["zero", "prototypes", "ridge", "logistic", "attention"])
def test_every_learners_features_can_be_tested_with_another_head(head):
    algorithm, params, usual = outcome()
    other = evaluate(EvaluationConfig(head=head).applied_to(algorithm), params, SPLIT, SMALL, range(5), seed=3)
    assert (usual.head, other.head) == ("params", head)
    np.testing.assert_array_equal(other.as_trained, other.zeroed)
    if head == "zero":
        np.testing.assert_array_equal(other.as_trained, usual.zeroed)
        return
    for index, score in enumerate(other.as_trained[:, -1]):
        episode = draw(SPLIT, SMALL, 3, index)
        features, query = (algorithm.learner.features(params, side.inputs) for side in episode)
        if head == "logistic":
            fitted = LogisticRegression(max_iter=10_000).fit(features.double(), episode.support.targets)
            said = torch.from_numpy(fitted.predict(query.double()))
        elif head == "prototypes":
            centres = torch.stack([features[episode.support.targets == slot].mean(0) for slot in range(3)])
            said = torch.cdist(query, centres).argmin(1)
        else:
            continue
        assert score == pytest.approx((said == episode.query.targets).float().mean().item())


def test_a_split_too_small_and_bad_settings_are_refused():
    algorithm, params, _ = outcome()
    with pytest.raises(DataError, match="ask for fewer shots"):
        evaluate(algorithm, params, SPLIT, EpisodeShape(3, 5, 15), range(2), seed=0)
    with pytest.raises(ConfigError, match=r"evaluation.episodes of at least 1"):
        EvaluationConfig(episodes=0)
    with pytest.raises(ConfigError, match=r"evaluation.inner_steps of at least 0"):
        EvaluationConfig(inner_steps=-1)
    with pytest.raises(ConfigError, match="0 inner steps with attention instead of a head, got 2"):
        EvaluationConfig(head="attention", inner_steps=2).applied_to(algorithm)


def test_a_result_says_what_it_is_of_without_ways_for_real_values():
    result = outcome()[2]
    assert result.title == "made-up, test classes, 3-way 2-shot"
    assert replace(result, measure="loss").title == "made-up, test tasks, 2-shot"
    assert replace(result, seed=0, manifest="ab12").source == "seed 0"
    assert replace(result, seed=None, manifest="ab12").source == "episodes of manifest ab12"


def test_dropout_is_off_at_the_test():
    module = sequential(
        flatten=nn.Flatten, body=lambda: nn.Linear(256, 8), drop=nn.Dropout, head=lambda: nn.Linear(8, 3)
    )
    trained = algorithm_of("fomaml", Learner(module), lr=0.1)
    tested, episode = EvaluationConfig().applied_to(trained), image_episode(dtype=torch.float32)
    params = trained.initial_params()
    losses = []
    for each in (trained, tested):
        drawn = []
        for seed in range(2):
            with seeded(seed):
                drawn.append(each.query_loss(params, episode)[0].item())
        losses.append(drawn)
    assert losses[0][0] != losses[0][1]
    assert losses[1][0] == losses[1][1]


@pytest.mark.parametrize("name", ["workers", "vmap"])
def test_engines_test_what_the_loop_tests(name):
    algorithm, params, result = outcome()
    engine = Chosen(EngineConfig(name=name), algorithm)
    other = evaluate(algorithm, params, SPLIT, SMALL, range(5), seed=3, engine=engine)
    np.testing.assert_allclose(other.as_trained, result.as_trained, atol=1e-6)
    np.testing.assert_allclose(other.zeroed, result.zeroed, atol=1e-6)
