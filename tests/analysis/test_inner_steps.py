import json

import numpy as np
import pytest
import torch

from innerloop.analysis import Subject
from innerloop.analysis.inner_steps import InnerSteps, InnerStepsSettings, arm, measure
from innerloop.analysis.values import from_values, to_values
from innerloop.data.episode import Episode, Examples
from innerloop.errors import ConfigError, DataError, DivergedError
from innerloop.params import add, norm, select, zeroed
from innerloop.statistics import mean_interval
from worlds import algorithm_of, conv_learner, image_episode, probes_of

EPISODES = [image_episode(n_queries=5, seed=seed) for seed in range(4)]
UNBALANCED = Episode(*(Examples(each.inputs[1:], each.targets[1:]) for each in EPISODES[0]))


def subject_of(trained, params, episodes=EPISODES, **test):
    return Subject(trained, trained.with_inner(**test), params, probes_of(episodes))


def slow_accuracy(learner, params, episode, lr, steps, names):
    """Adapt by plain gradient descent and count right queries."""
    for _ in range(steps):
        leaves = {name: value.detach().requires_grad_() for name, value in params.items()}
        loss = torch.nn.functional.cross_entropy(
            learner.logits(leaves, episode.support.inputs), episode.support.targets
        )
        gradient = dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True))
        params = add(params, select(gradient, names), -lr)
    right = learner.logits(params, episode.query.inputs).argmax(1) == episode.query.targets
    return right.double().mean().item()


@pytest.mark.parametrize("name", ["fomaml", "anil"])
def test_accuracy_by_steps_is_that_of_adapting_anew_with_every_number_of_steps(name):
    learner, params = conv_learner()
    episodes = [*EPISODES, UNBALANCED]
    subject = subject_of(algorithm_of(name, learner, lr=0.4, steps=2), params, episodes, lr=0.2, steps=1)
    result = measure(subject, InnerStepsSettings(most=4))
    names = params if name == "fomaml" else learner.head_names
    for start, found in ((params, result.as_trained), (zeroed(params, learner.head_names), result.zeroed)):
        truth = [[slow_accuracy(learner, start, each, 0.2, steps, names) for steps in range(5)] for each in episodes]
        assert found == arm(truth)
        assert len(found.accuracy) == 5
    assert result.as_tested == result.as_trained.accuracy[1]
    assert (result.training_steps, result.test_steps, result.most) == (2, 1, 4)
    assert not result.head_is_zero
    assert result.head_norm == pytest.approx(norm(learner.head_params(params)).item())


def test_a_zero_head_has_one_arm_twice():
    learner, params = conv_learner()
    subject = subject_of(algorithm_of("fomaml", learner), zeroed(params, learner.head_names))
    result = measure(subject, InnerStepsSettings(most=2))
    assert result.head_is_zero
    assert result.head_norm == 0
    assert result.as_trained == result.zeroed


def test_one_step_from_a_zero_head_predicts_the_same_at_every_positive_rate():
    learner, params = conv_learner()
    zero = zeroed(params, learner.head_names)
    results = [
        measure(subject_of(algorithm_of("fomaml", learner, lr=lr), zero), InnerStepsSettings(most=1))
        for lr in (0.001, 0.4)
    ]
    assert results[0].zeroed == results[1].zeroed


def test_the_usual_number_of_test_steps_is_measured_where_it_is_beyond_the_most_tried():
    learner, params = conv_learner()
    trained = algorithm_of("fomaml", learner, lr=0.05)
    few = measure(subject_of(trained, params, steps=5), InnerStepsSettings(most=2))
    all_steps = measure(subject_of(trained, params), InnerStepsSettings(most=5))
    assert few.as_tested == all_steps.as_trained.accuracy[5]
    assert few.as_trained.accuracy == all_steps.as_trained.accuracy[:3]
    assert measure(subject_of(trained, params, steps=0)).as_tested == all_steps.as_trained.accuracy[0]


def scores(*means, noise=0.2, pairs=0.001, episodes=30):
    """Accuracies [episode, step] with these means: episodes differ much, steps on one episode hardly."""
    rng = np.random.default_rng(0)
    common = rng.normal(0, noise, (episodes, 1))
    own = rng.normal(0, pairs, (episodes, len(means)))
    return common - common.mean() + own - own.mean(axis=0) + np.array(means)


def test_enough_is_the_fewest_steps_not_significantly_worse_than_the_best_in_pairs():
    found = arm(scores(0.2, 0.50, 0.59, 0.5999, 0.60, 0.58))
    # Differences of a point are told apart though episodes differ by twenty; of a hundredth of a point they are not.
    assert (found.best, found.enough) == (4, 3)
    assert found.gain_of_best.mean == pytest.approx(0.1)
    assert found.gain_of_most.mean == pytest.approx(0.08)
    assert found.gain_of_most.half_width < 0.001
    assert found.accuracy[4].half_width > 0.05


@pytest.mark.parametrize(
    ("means", "best", "enough"), [((0.2, 0.6, 0.4), 1, 1), ((0.6, 0.2, 0.4), 0, 0), ((0.5, 0.5, 0.5), 0, 0)]
)
def test_more_steps_may_be_worse_or_no_better(means, best, enough):
    found = arm(scores(*means, pairs=0.0 if best == enough == 0 else 0.001))
    assert (found.best, found.enough) == (best, enough)
    assert found.gain_of_most.mean == pytest.approx(means[2] - means[1])


def test_one_episode_cannot_tell_how_many_steps_are_enough():
    found = arm([[0.2, 0.5, 0.9]])
    assert found.enough is None
    assert found.best == 2
    assert found.gain_of_best == mean_interval([0.4])


def test_results_survive_json():
    learner, params = conv_learner(head_bias=False)
    for episodes in (EPISODES, [UNBALANCED]):
        result = measure(subject_of(algorithm_of("anil", learner, lr=-0.1), params, episodes), InnerStepsSettings(2))
        assert from_values(InnerSteps, json.loads(json.dumps(to_values(result), allow_nan=False))) == result


def test_nothing_to_try_or_to_test_on_is_refused_and_so_are_predictions_that_are_not_finite():
    with pytest.raises(ConfigError, match="at least 1 inner step to try, got most=0"):
        InnerStepsSettings(most=0)
    learner, params = conv_learner()
    algorithm = algorithm_of("fomaml", learner)
    with pytest.raises(DataError, match="at least one episode"):
        measure(subject_of(algorithm, params, []))
    with pytest.raises(DivergedError, match="after inner step 1"):
        measure(subject_of(algorithm, params, lr=1e308))
