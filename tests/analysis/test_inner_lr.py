import json

import numpy as np
import pytest
import torch

from innerloop.analysis import Subject
from innerloop.analysis.inner_lr import InnerLr, InnerLrSettings, arm, measure
from innerloop.analysis.inner_steps import InnerStepsSettings
from innerloop.analysis.inner_steps import measure as by_steps
from innerloop.analysis.values import from_values, to_values
from innerloop.data.episode import Episode, Examples
from innerloop.errors import ConfigError, DataError, DivergedError
from innerloop.params import add, select, zeroed
from innerloop.statistics import mean_interval
from worlds import algorithm_of, conv_learner, image_episode, probes_of, unbalanced

EPISODES = [image_episode(n_queries=5, seed=seed) for seed in range(3)]
FEW = InnerLrSettings(rates=(-0.5, 0.01, 2.0), most=3)


def subject_of(trained, params, episodes=EPISODES, **test):
    return Subject(trained, trained.with_inner(**test), params, probes_of(episodes))


def slow(learner, params, episode, lr, steps):
    """Adapt by plain gradient descent; return query accuracy and loss."""
    cross_entropy = torch.nn.functional.cross_entropy
    for _ in range(steps):
        leaves = {name: value.detach().requires_grad_() for name, value in params.items()}
        loss = cross_entropy(learner.logits(leaves, episode.support.inputs), episode.support.targets)
        gradient = dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True))
        params = add(params, select(gradient, params), -lr)
    logits = learner.logits(params, episode.query.inputs)
    right = (logits.argmax(1) == episode.query.targets).double().mean().item()
    return right, cross_entropy(logits, episode.query.targets).item()


def test_every_cell_is_that_of_adapting_anew_at_its_rate_with_its_steps():
    learner, params = conv_learner()
    result = measure(subject_of(algorithm_of("fomaml", learner, lr=0.4, steps=2), params, lr=0.3, steps=1), FEW)
    assert result.rates == (-0.5, -0.3, 0.01, 0.3, 2.0)  # the test's own and its opposite among them
    for start, found in ((params, result.as_trained), (zeroed(params, learner.head_names), result.zeroed)):
        for row, rate in enumerate(result.rates):
            for steps in range(4):
                truth = np.array([slow(learner, start, each, rate, steps) for each in EPISODES]).T
                assert found.accuracy[row][steps] == mean_interval(truth[0])
                loss = mean_interval(truth[1])
                assert found.loss[row][steps].mean == pytest.approx(loss.mean, rel=1e-9)
                assert found.loss[row][steps].half_width == pytest.approx(loss.half_width, rel=1e-6)
    assert (result.training_lr, result.training_steps, result.test_lr, result.test_steps) == (0.4, 2, 0.3, 1)
    assert result.tested == (3, 1)
    assert result.chance == pytest.approx(1 / 3)
    assert not result.head_is_zero


def test_its_row_of_the_tests_own_rate_is_what_inner_steps_measures():
    learner, params = conv_learner()
    subject = subject_of(algorithm_of("anil", learner, lr=0.2), params)
    found, steps = measure(subject, FEW), by_steps(subject, InnerStepsSettings(most=3))
    row = found.rates.index(0.2)
    assert found.as_trained.accuracy[row] == steps.as_trained.accuracy
    assert found.zeroed.accuracy[row] == steps.zeroed.accuracy


@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
@pytest.mark.parametrize("name", ["fomaml", "anil"])
def test_one_step_from_a_zero_head_says_the_same_at_every_positive_rate_and_the_opposite_at_every_negative_one(
    name, loss
):
    learner, params = conv_learner()
    episodes = [*EPISODES, unbalanced()]
    result = measure(subject_of(algorithm_of(name, learner, loss=loss), params, episodes), FEW)
    assert (result.one_step.same.mean, result.one_step.opposite.mean) == (1.0, 1.0)
    for sign in (-1, 1):
        column = {result.zeroed.accuracy[row][1] for row, rate in enumerate(result.rates) if rate * sign > 0}
        assert len(column) == 1


def test_one_step_from_another_head_is_no_such_fact(monkeypatch):
    learner, params = conv_learner()
    monkeypatch.setattr("innerloop.analysis.inner_lr.zeroed", lambda params, _: params)
    result = measure(subject_of(algorithm_of("fomaml", learner), params), FEW)
    assert result.one_step.same.mean < 1
    assert result.one_step.opposite.mean < 1


def test_a_zero_head_has_one_arm_twice_and_rates_of_one_sign_have_no_opposite():
    learner, params = conv_learner()
    zero = zeroed(params, learner.head_names)
    result = measure(subject_of(algorithm_of("fomaml", learner, lr=0.1), zero), InnerLrSettings((0.2, 0.3), 1))
    assert result.head_is_zero
    assert result.head_norm == 0
    assert result.as_trained == result.zeroed
    assert result.rates == (-0.1, 0.1, 0.2, 0.3)


def test_a_head_that_stays_has_no_first_step():
    learner, params = conv_learner()
    assert measure(subject_of(algorithm_of("boil", learner, lr=0.1), params), FEW).one_step is None


def test_rates_that_blow_up_are_cells_without_a_value():
    learner, params = conv_learner()
    huge = InnerLrSettings((1e200, 0.1), most=2)
    result = measure(subject_of(algorithm_of("fomaml", learner, lr=0.2), params), huge)
    row = result.rates.index(1e200)
    assert result.as_trained.accuracy[row][0] is not None
    assert result.as_trained.accuracy[row][1] is None
    assert result.as_trained.loss[row][2] is None
    assert result.as_trained.diverged[row] == (0, 3, 3)
    assert result.as_trained.best[0] != row
    assert all(place[0] != row or place[1] == 0 for place in result.as_trained.as_good)
    assert from_values(InnerLr, json.loads(json.dumps(to_values(result), allow_nan=False))) == result


def test_nothing_finite_at_all_is_refused():
    with pytest.raises(DivergedError, match="finite predictions at some rate, got none"):
        arm(np.full((2, 3, 2, 2), np.nan))


def test_the_best_cell_and_those_as_good_are_found_in_pairs():
    rng = np.random.default_rng(1)
    means = np.array([[0.2, 0.5], [0.2, 0.6], [0.2, 0.5999]])
    scores = means + rng.normal(0, 0.2, (40, 1, 1)) + rng.normal(0, 0.002, (40, 3, 2))
    found = arm(np.stack([scores, -scores], axis=-1))
    assert found.best in found.as_good
    assert set(found.as_good) == {(1, 1), (2, 1)}
    assert found.loss[1][1].mean == pytest.approx(-found.accuracy[1][1].mean)
    assert arm(np.stack([scores, scores], axis=-1)[:1]).as_good is None


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"rates": (0.1, 0.0)}, "other than 0, got 0; leave it out"),
        ({"rates": (0.1, float("inf"))}, "expected finite rates, got inf"),
        ({"rates": (0.1, -0.1, 0.1)}, "every rate once, got 0.1 twice"),
        ({"rates": ()}, "rates to try, got none"),
        ({"most": 0}, "at least 1 inner step to try, got most=0"),
    ],
)
def test_a_grid_of_nothing_zero_or_twice_is_refused(settings, said):
    with pytest.raises(ConfigError, match=said):
        InnerLrSettings(**settings)


def test_what_has_no_rate_to_choose_or_no_class_to_tell_is_refused():
    learner, params = conv_learner()
    learned = algorithm_of("meta_sgd", learner)
    with pytest.raises(ConfigError, match="one rate that can be varied for inner_lr, got learned rates"):
        measure(Subject(learned, learned, learned.initial_params(), probes_of(EPISODES)), FEW)
    with pytest.raises(ConfigError, match="moves something, got rate 0"):
        measure(subject_of(algorithm_of("fomaml", learner, lr=0.0), params), FEW)
    algorithm = algorithm_of("fomaml", learner)
    with pytest.raises(DataError, match="at least one episode"):
        measure(subject_of(algorithm, params, []), FEW)
    one = Episode(*(Examples(side.inputs[:2], side.targets[:2]) for side in EPISODES[0]))
    with pytest.raises(DataError, match="two classes or more, got one in episode 1"):
        measure(subject_of(algorithm, params, [EPISODES[0], one]), FEW)


def test_no_step_is_one_cell_whatever_the_rate():
    scores = np.array([[0.6, 0.5], [0.6, 0.4]]) + np.linspace(-0.01, 0.01, 8)[:, None, None]
    found = arm(np.stack([scores, scores], axis=-1))
    assert (found.best, found.as_good) == ((0, 0), ((0, 0),))
    assert found.accuracy[1][0].mean == pytest.approx(0.6)
