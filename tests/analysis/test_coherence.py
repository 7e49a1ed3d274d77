import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from innerloop import driver
from innerloop.algorithms import AlgorithmConfig
from innerloop.analysis import Subject, probes
from innerloop.analysis.coherence import Coherence, CoherenceSettings, arm_of, measure, over_pairs
from innerloop.analysis.values import from_values, to_values
from innerloop.data import DataConfig, load
from innerloop.data.episode import EpisodeShape
from innerloop.errors import ConfigError, DataError, DivergedError
from innerloop.models import ModelConfig
from innerloop.params import add, dot, norm, select, zeroed
from innerloop.runs import InnerConfig, Recipe, RecordConfig, open_run
from innerloop.training import TrainingConfig
from worlds import algorithm_of, conv_learner, image_episode, probes_of, unbalanced

EPISODES = [*(image_episode(seed=seed) for seed in range(3)), unbalanced()]
FEW = CoherenceSettings(bent=2)


def subject_of(algorithm, params, episodes=EPISODES):
    return Subject(algorithm, algorithm, params, probes_of(episodes))


def slope(algorithm, params, episode):
    """The support loss's gradient by plain autograd."""
    leaves = {name: value.clone().requires_grad_() for name, value in params.items()}
    loss = algorithm.support_loss(leaves, episode.support)[0]
    gradients = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True, materialize_grads=True)
    return select(dict(zip(leaves, gradients, strict=True)), algorithm.names)


def pairs(values, product):
    """The mean of a product over all pairs of different ones."""
    found = [product(one, other) for i, one in enumerate(values) for j, other in enumerate(values) if i != j]
    return sum(found) / len(found)


@pytest.mark.parametrize(
    ("name", "loss"), [("maml", "cross_entropy"), ("anil", "mse"), ("maml", "mse"), ("anil", "cross_entropy")]
)
def test_the_heads_part_of_two_tasks_gradients_is_a_contrastive_sum_over_pairs_of_their_examples(name, loss):
    learner, params = conv_learner()
    algorithm = algorithm_of(name, learner, lr=0.3, steps=2, loss=loss)
    at = measure(subject_of(algorithm, params), FEW).path[0]
    slopes = [slope(algorithm, params, each) for each in EPISODES]
    heads = [select(each, learner.head_names) for each in slopes]
    by_autograd = pairs(heads, lambda one, other: dot(one, other).item())
    assert at.contrast.mean == pytest.approx(by_autograd, rel=1e-10)
    assert at.gradient_head.mean == pytest.approx(by_autograd, rel=1e-10)
    assert at.contrast_error < 1e-10
    assert at.gradient.mean == pytest.approx(pairs(slopes, lambda one, other: dot(one, other).item()), rel=1e-10)
    assert (at.gradient.mean == pytest.approx(at.gradient_head.mean)) == (name == "anil")


def test_trajectories_distances_and_adapted_losses_are_those_of_adapting_each_task():
    learner, params = conv_learner()
    algorithm = algorithm_of("maml", learner, lr=0.3, steps=2)
    at = measure(subject_of(algorithm, params), FEW).path[0]
    adapted = [algorithm.adapt(params, each.support).adapted for each in EPISODES]
    ways = [add(here, params, -1.0) for here in adapted]
    cosine = pairs(ways, lambda one, other: (dot(one, other) / norm(one) / norm(other)).item())
    assert at.trajectory.mean == pytest.approx(cosine, rel=1e-8)
    assert at.distance.mean == pytest.approx(np.mean([norm(way).item() for way in ways]))
    losses = [
        algorithm.support_loss(here, each.support)[0].item() for here, each in zip(adapted, EPISODES, strict=True)
    ]
    assert at.support_loss.mean == pytest.approx(np.mean(losses))
    right = [
        (algorithm.query_loss(here, each)[1].argmax(1) == each.query.targets).double().mean().item()
        for here, each in zip(adapted, EPISODES, strict=True)
    ]
    assert at.accuracy.mean == pytest.approx(np.mean(right))
    assert at.step == 0


def test_after_one_step_trajectories_point_against_the_gradients():
    learner, params = conv_learner()
    algorithm = algorithm_of("maml", learner, lr=0.3)
    at = measure(subject_of(algorithm, params), FEW).path[0]
    slopes = [slope(algorithm, params, each) for each in EPISODES]
    cosine = pairs(slopes, lambda one, other: (dot(one, other) / norm(one) / norm(other)).item())
    assert at.trajectory.mean == pytest.approx(cosine, rel=1e-8)


def test_sharpness_is_the_logarithm_of_the_largest_eigenvalue_after_adaptation_of_as_many_tasks_as_asked():
    learner, params = conv_learner(filters=2)
    algorithm = algorithm_of("maml", learner, lr=0.3)
    result = measure(subject_of(algorithm, params), FEW)
    tops = []
    for episode in EPISODES[:2]:
        adapted = algorithm.adapt(params, episode.support).adapted
        sizes = [value.numel() for value in adapted.values()]

        def loss(vector, episode=episode, adapted=adapted, sizes=sizes):
            pieces = torch.split(vector, sizes)
            here = {name: each.reshape(adapted[name].shape) for name, each in zip(adapted, pieces, strict=True)}
            return algorithm.support_loss(here, episode.support)[0]

        flat = torch.cat([value.flatten() for value in adapted.values()])
        tops.append(torch.linalg.eigvalsh(torch.func.jacrev(torch.func.grad(loss))(flat))[-1].item())
    assert result.path[0].sharpness.mean == pytest.approx(np.mean(np.log10(tops)), rel=1e-6)
    assert result.path[0].sharpness.observations == result.bent == 2
    assert result.path[0].residual < 1e-3
    assert measure(subject_of(algorithm, params), CoherenceSettings(bent=0)).path[0].sharpness is None


def test_the_interval_over_pairs_is_the_jackknifes_and_one_task_has_no_pair():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(6, 3))
    products = rows @ rows.T
    found = over_pairs(products)

    def mean(kept):
        part = products[np.ix_(kept, kept)]
        return (part.sum() - np.trace(part)) / (len(kept) * (len(kept) - 1))

    without = [mean([task for task in range(6) if task != left]) for left in range(6)]
    spread = math.sqrt(5 / 6 * sum((each - np.mean(without)) ** 2 for each in without))
    assert found.mean == pytest.approx(mean(list(range(6))))
    assert found.half_width == pytest.approx(2.5706 * spread, rel=1e-4)  # Student's t of 5 degrees
    assert found.observations == 6
    assert over_pairs(products[:1, :1]) is None
    assert over_pairs(products[:2, :2]) == (pytest.approx(products[0, 1]), math.inf, 1)


def test_a_head_that_stays_has_no_part_and_one_that_is_zero_no_distance_of_the_encoder():
    learner, params = conv_learner()
    body = measure(subject_of(algorithm_of("boil", learner, lr=0.3), params), FEW).path[0]
    assert body.gradient_head is body.contrast is body.contrast_error is None
    assert body.gradient is not None
    zero = measure(subject_of(algorithm_of("fomaml", learner, lr=0.3), zeroed(params, learner.head_names)), FEW).path[0]
    assert zero.gradient.mean == pytest.approx(zero.gradient_head.mean, rel=1e-12)


def test_what_does_not_move_has_no_trajectory():
    learner, params = conv_learner()
    at = measure(subject_of(algorithm_of("maml", learner, steps=0), params), FEW).path[0]
    assert at.trajectory is None
    assert at.distance.mean == 0


def recipe_of(**changes):
    recipe = Recipe(
        data=DataConfig("gaussians"),
        episode=EpisodeShape(3, 2, 4),
        model=ModelConfig("mlp"),
        inner=InnerConfig(lr=0.1),
        training=TrainingConfig(steps=3, tasks=2),
        record=RecordConfig(validation=0, snapshots=1),
    )
    return replace(recipe, **changes)


def of_run(folder, recipe):
    for _ in driver.begin(recipe, str(folder), "test"):
        pass
    run = open_run(folder)
    split, shape = load(run.recipe.data).split("test"), run.recipe.episode
    algorithm, state = run.learned(split, "last")
    return Subject(algorithm, algorithm, state.params, lambda: probes(split, shape, 0, range(4)), run, state)


def test_a_run_is_measured_at_every_snapshot_and_its_changes_are_paired_over_tasks(tmp_path):
    subject = of_run(tmp_path / "run", recipe_of(seed=7))
    result = measure(subject, FEW)
    assert [at.step for at in result.path] == [0, 1, 2, 3]
    assert (result.has_snapshots, result.seed, result.tasks) == (True, 7, 4)
    for at in (result.path[0], result.path[-1]):
        there = replace(subject, params=subject.run.snapshot(at.step), run=None)
        alone = measure(there, FEW).path[0]
        assert alone.gradient == at.gradient
        assert alone.sharpness == at.sharpness
    first, last = result.path[0], result.path[-1]
    assert result.distance_change.mean == pytest.approx(last.distance.mean - first.distance.mean)
    assert result.support_loss_change.mean == pytest.approx(last.support_loss.mean - first.support_loss.mean)
    assert result.sharpness_change.observations == 2
    best = max(at.accuracy.mean for at in result.path)
    assert result.since_best.mean == pytest.approx(last.accuracy.mean - best)
    assert from_values(Coherence, json.loads(json.dumps(to_values(result), allow_nan=False))) == result


def test_a_run_without_snapshots_is_measured_as_it_stands(tmp_path):
    result = measure(of_run(tmp_path / "run", recipe_of(record=RecordConfig(validation=0, snapshots=0))), FEW)
    assert [at.step for at in result.path] == [3]
    assert not result.has_snapshots
    assert result.accuracy_change is result.since_best is result.sharpness_change is None


def test_runs_that_differ_in_the_seed_or_in_how_they_were_computed_alone_are_of_one_arm():
    first = arm_of(recipe_of())
    assert first == arm_of(recipe_of(seed=3)) == arm_of(recipe_of(record=RecordConfig()))
    assert arm_of(recipe_of(data=DataConfig("omniglot", root="here"))) == arm_of(recipe_of(data=DataConfig("omniglot")))
    assert first != arm_of(recipe_of(inner=InnerConfig(lr=0.2)))
    assert first != arm_of(recipe_of(algorithm=AlgorithmConfig("fomaml", head="zeroing")))


def test_no_task_bad_settings_and_losses_that_are_not_finite_are_refused():
    learner, params = conv_learner()
    with pytest.raises(DataError, match="expected at least one episode"):
        measure(subject_of(algorithm_of("maml", learner), params, []))
    with pytest.raises(ConfigError, match=r"expected coherence.bent of at least 0, got -1"):
        CoherenceSettings(-1)
    with pytest.raises(DivergedError, match=r"expected finite losses and slopes, .*episode 0"):
        measure(subject_of(algorithm_of("maml", learner, lr=1e308, steps=2), params))
