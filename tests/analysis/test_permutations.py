import json
from itertools import permutations
from math import factorial

import numpy as np
import pytest
import torch

from innerloop.analysis import Subject
from innerloop.analysis.permutations import (
    Permutations,
    PermutationsSettings,
    assignments,
    head_kind,
    measure,
    on_features,
    outputs,
)
from innerloop.analysis.values import from_values, to_values
from innerloop.data.episode import Episode, Examples, with_slots
from innerloop.engine import Loop
from innerloop.errors import ConfigError, DataError, DivergedError
from innerloop.params import zeroed
from innerloop.statistics import mean_interval, paired_difference
from worlds import algorithm_of, conv_learner, image_episode, probes_of, unbalanced

EPISODES = [image_episode(n_queries=6, seed=seed) for seed in range(3)]


def subject_of(algorithm, params, episodes=EPISODES):
    return Subject(algorithm, algorithm, params, probes_of(episodes))


def slow_outputs(algorithm, params, episode, order):
    """Relabel, adapt, test, and look up every class in its slot."""
    moved = with_slots(episode, torch.tensor(order))
    logits = algorithm.query_loss(algorithm.adapt(params, moved.support).adapted, moved)[1]
    rest = range(len(order), logits.shape[1])
    return logits[:, [*order, *rest]]


def tied(params, learner):
    return {name: value[:1].expand_as(value) if name in learner.head_names else value for name, value in params.items()}


@pytest.mark.parametrize("steps", [1, 5])
@pytest.mark.parametrize("name", ["maml", "anil"])
@pytest.mark.parametrize("kind", ["zero", "equal"])
def test_heads_with_equal_rows_say_the_same_under_every_assignment(name, steps, kind):
    """C3, after one inner step and after five, through the encoder as well."""
    learner, params = conv_learner()
    start = zeroed(params, learner.head_names) if kind == "zero" else tied(params, learner)
    algorithm = algorithm_of(name, learner, lr=0.4, steps=steps)
    assert head_kind(algorithm, start) == kind
    said = outputs(algorithm, start, EPISODES[0], assignments(EPISODES[0], 120, 0))
    assert len(said) == 6
    torch.testing.assert_close(said, said[:1].expand_as(said), rtol=0, atol=1e-10)
    result = measure(subject_of(algorithm, start))
    assert result.is_one
    assert result.best == result.mean == result.worst == result.as_drawn == result.logits.accuracy
    assert result.spread.mean == result.breadth.mean == result.differ.mean == result.logits.gain.mean == 0


@pytest.mark.parametrize(("kind", "expected"), [("equal", torch.float64), ("own", torch.float32)])
def test_heads_that_cannot_tell_slots_apart_are_measured_in_float64(kind, expected):
    """In float32, rounding that many inner steps amplify parts assignments that are the same."""
    learner, params = conv_learner(dtype=torch.float32)
    seen = []

    def loss(outputs, targets):
        seen.append(outputs.dtype)
        return torch.nn.functional.cross_entropy(outputs, targets)

    start = tied(params, learner) if kind == "equal" else params
    algorithm = algorithm_of("maml", learner, loss=loss)
    measure(subject_of(algorithm, start, [image_episode(dtype=torch.float32)]))
    assert set(seen[-12:]) == {expected}


@pytest.mark.parametrize("name", ["protonet", "r2d2", "matchingnet", "pretrained"])
def test_heads_made_of_the_support_set_do_not_know_slots(name):
    learner, params = conv_learner()
    algorithm = algorithm_of(name, learner, steps=0)
    result = measure(subject_of(algorithm, {**algorithm.initial_params(), **params}))
    assert (result.head, result.is_one) == ("made", True)


@pytest.mark.parametrize(
    ("name", "more"), [("maml", {}), ("anil", {}), ("anil", {"loss": "mse"}), ("boil", {}), ("fomaml", {"steps": 0})]
)
def test_outputs_are_those_of_relabelling_adapting_and_testing_anew(name, more):
    learner, params = conv_learner(n_way=4)
    algorithm = algorithm_of(name, learner, **{"lr": 0.4, "steps": 2, **more})
    for episode in (EPISODES[0], unbalanced()):
        orders = assignments(episode, 120, 0)
        assert orders.tolist() == [list(each) for each in permutations(range(3))]
        truth = torch.stack([slow_outputs(algorithm, params, episode, each) for each in orders.tolist()])
        torch.testing.assert_close(outputs(algorithm, params, episode, orders), truth, rtol=0, atol=1e-10)
        assert not torch.allclose(truth[0], truth[1])


@pytest.mark.parametrize(
    ("name", "axes"), [("maml_pp", {}), ("meta_sgd", {}), ("anil", {"rule": "adam"}), ("maml", {"rule": "momentum"})]
)
def test_other_inner_loops_give_the_same_outputs_as_the_slow_way(name, axes):
    learner, params = conv_learner()
    algorithm = algorithm_of(name, learner, axes=axes, lr=0.1, steps=2)
    params = {**{name: value.double() for name, value in algorithm.initial_params().items()}, **params}
    orders = assignments(EPISODES[0], 120, 0)
    truth = torch.stack([slow_outputs(algorithm, params, EPISODES[0], each) for each in orders.tolist()])
    torch.testing.assert_close(outputs(algorithm, params, EPISODES[0], orders), truth, rtol=0, atol=1e-10)


def test_features_are_computed_once_where_no_inner_step_moves_them_and_outputs_stay_the_same():
    learner, params = conv_learner(normalization="support")
    zero = zeroed(params, learner.head_names)
    cases = [
        (algorithm_of("anil", learner, lr=0.4, steps=3), params, "own", True),
        (algorithm_of("maml", learner, lr=0.4), zero, "zero", True),
        (algorithm_of("boil", learner, lr=0.4), zero, "zero", True),
        (algorithm_of("maml", learner, lr=0.4), params, "own", False),
        (algorithm_of("maml", learner, lr=0.4, steps=2), zero, "zero", False),
        (algorithm_of("maml", learner, axes={"adapts": "head", "per_step_norms": True}), params, "own", False),
    ]
    orders = assignments(EPISODES[0], 120, 0)
    for algorithm, start, kind, stands in cases:
        assert head_kind(algorithm, start) == kind
        assert (on_features(algorithm, kind) is not None) == stands
        if stands:
            truth = torch.stack([slow_outputs(algorithm, start, EPISODES[0], each) for each in orders.tolist()])
            found = outputs(algorithm, start, EPISODES[0], orders, Loop(algorithm))
            torch.testing.assert_close(found, truth, rtol=0, atol=1e-10)


def test_numbers_are_over_assignments_first_and_then_over_episodes():
    learner, params = conv_learner()
    algorithm = algorithm_of("fomaml", learner, lr=0.5)
    result = measure(subject_of(algorithm, params))
    rows, differ, disputed, together = [], [], [], []
    for episode in EPISODES:
        said = [slow_outputs(algorithm, params, episode, each) for each in permutations(range(3))]
        named = torch.stack([each.argmax(1) for each in said])
        rows.append((named == episode.query.targets).double().mean(1).numpy())
        pairs = [(one != other).double().mean() for one in named for other in named]
        differ.append(float(sum(pairs)) / 30)
        disputed.append((named != named[0]).any(0).double().mean().item())
        mean = torch.stack(said).mean(0), torch.stack(said).softmax(2).mean(0)
        together.append([(each.argmax(1) == episode.query.targets).double().mean().item() for each in mean])
    rows, together = np.array(rows), np.array(together)
    near = [
        (result.as_drawn, rows[:, 0]),
        (result.mean, rows.mean(1)),
        (result.best, rows.max(1)),
        (result.worst, rows.min(1)),
        (result.breadth, rows.max(1) - rows.min(1)),
        (result.spread, rows.std(1)),
        (result.differ, differ),
        (result.disputed, disputed),
        (result.logits.accuracy, together[:, 0]),
        (result.probabilities.accuracy, together[:, 1]),
        (result.by_share[0], rows.min(1)),
        (result.by_share[10], np.median(rows, axis=1)),
        (result.by_share[-1], rows.max(1)),
    ]
    for found, truth in near:
        assert found == pytest.approx(mean_interval(truth), abs=1e-12)
    assert result.logits.gain == pytest.approx(paired_difference(together[:, 0], rows.mean(1)), abs=1e-12)
    assert result.probabilities.gain == pytest.approx(paired_difference(together[:, 1], rows.mean(1)), abs=1e-12)
    assert (result.head, result.is_all, result.is_one, result.tried, result.ways) == ("own", True, False, 6, 3)
    assert result.chance == pytest.approx(1 / 3)


def ways(count):
    return Episode(*(Examples(torch.zeros(count, 1), torch.arange(count)) for _ in range(2)))


def test_more_assignments_than_asked_for_are_sampled_each_once_and_the_same_again():
    for count, most, expected in ((4, 24, 24), (4, 23, 23), (6, 120, 120), (9, 50, 50)):
        found = assignments(ways(count), most, 0)
        different = {tuple(each) for each in found.tolist()}
        assert len(found) == len(different) == expected
        assert found[0].tolist() == list(range(count))
        assert all(sorted(each) == list(range(count)) for each in different)
        assert torch.equal(found, assignments(ways(count), most, 0))
    assert not torch.equal(assignments(ways(6), 120, 0), assignments(ways(6), 120, 1))


def test_beyond_eight_classes_assignments_are_always_sampled(monkeypatch):
    monkeypatch.setattr("innerloop.analysis.permutations.LARGEST", factorial(4))
    assert len(assignments(ways(4), factorial(5), 0)) == factorial(4)
    assert len(assignments(ways(5), factorial(5), 0)) == factorial(4)


def test_slots_that_no_class_of_the_episode_sits_in_stay_empty():
    episode = Episode(*(Examples(torch.zeros(2, 1), torch.tensor([0, 2])) for _ in range(2)))
    assert assignments(episode, 120, 0).tolist() == [[0, 1, 2], [2, 1, 0]]


def test_sampling_is_said_and_survives_json():
    learner, params = conv_learner()
    algorithm = algorithm_of("anil", learner, lr=0.5, loss="mse")
    result = measure(subject_of(algorithm, params), PermutationsSettings(most=4))
    assert (result.is_all, result.tried) == (False, 4)
    assert result.probabilities is None
    assert from_values(Permutations, json.loads(json.dumps(to_values(result), allow_nan=False))) == result


def test_bad_settings_no_episode_and_predictions_that_are_not_finite_are_refused():
    with pytest.raises(ConfigError, match="at least 2 assignments to compare, got most=1;"):
        PermutationsSettings(most=1)
    learner, params = conv_learner()
    with pytest.raises(DataError, match="at least one episode"):
        measure(subject_of(algorithm_of("fomaml", learner), params, []))
    with pytest.raises(DivergedError, match=r"finite predictions, got NaN or infinity .* \(episode 0\)"):
        measure(subject_of(algorithm_of("fomaml", learner, lr=1e200, steps=2), params))
