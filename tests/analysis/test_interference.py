from dataclasses import replace

import pytest
import torch

from innerloop.analysis import episode_split
from innerloop.analysis.interference import by_age, past_queries, share
from innerloop.data.episode import stacked
from innerloop.engine import Loop
from innerloop.params import norm, zeroed
from innerloop.seeds import generator
from innerloop.training import TrainingConfig, initial_state, train
from worlds import algorithm_of, conv_learner, image_episode

EPISODES = [image_episode(seed=seed) for seed in range(8)]


def batches(step):
    return stacked(EPISODES[2 * step : 2 * step + 2])


def trained(algorithm, params, rule, steps=3, **changes):
    config = TrainingConfig(steps=steps, outer_rule=rule, outer_lr=0.05, **changes)
    return list(train(algorithm, initial_state(algorithm, params), batches, config))


@pytest.mark.parametrize("name", ["fomaml", "anil"])
@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_under_sgd_at_first_order_the_head_is_its_first_value_plus_all_past_queries(name, loss):
    learner, params = conv_learner()
    algorithm = algorithm_of(name, learner, order="first", lr=0.3, steps=2, loss=loss)
    states = trained(algorithm, params, "sgd")
    past = past_queries(Loop(algorithm), ((state.params, batches(state.step)) for state in states[:-1]), 0.05)
    change = states[-1].params["head.weight"] - states[0].params["head.weight"]
    assert norm({"x": past.added.sum(0) - change}) < 1e-10 * norm({"x": change})
    # ... so that the cross-task interference is that sum of inner products of residuals, query by query.
    parts = episode_split(algorithm, states[-1].params, EPISODES[7])
    features = []
    for state in states[:-1]:
        for episode in EPISODES[2 * state.step : 2 * state.step + 2]:
            adapted = algorithm.adapt(state.params, episode.support).adapted
            features.append(learner.features(adapted, episode.query.inputs))
    slow = (parts.query_residuals @ past.residuals.T) @ torch.cat(features)
    assert torch.allclose(slow, parts.query_residuals @ change, rtol=0, atol=1e-10 * slow.abs().max().item())


def test_past_queries_are_told_apart_by_slot():
    learner, params = conv_learner()
    algorithm = algorithm_of("fomaml", learner, lr=0.3)
    past = past_queries(Loop(algorithm), [(params, batches(0))], 0.05)
    for slot in range(3):
        rows, expected = past.residuals[past.slots == slot], 0
        features = [
            learner.features(algorithm.adapt(params, each.support).adapted, each.query.inputs) for each in EPISODES[:2]
        ]
        kept = torch.cat(features)[past.slots == slot]
        expected = rows.T @ kept
        assert torch.allclose(past.added[slot], expected, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("rule", ["adam", "sgd"])
def test_shares_of_the_first_head_and_of_all_ages_sum_to_one_for_any_outer_rule(rule):
    learner, params = conv_learner()
    algorithm = algorithm_of("fomaml", learner, lr=0.3)
    path = torch.stack([state.params["head.weight"] for state in trained(algorithm, params, rule, steps=4)])
    residuals = episode_split(algorithm, params, EPISODES[7]).query_residuals
    ages = by_age([residuals], path)
    assert [(age.first, age.last) for age in ages] == [(1, 1), (2, 3), (4, 4)]
    whole = sum(age.share.mean for age in ages) + share(residuals, path[0], path[-1])
    assert whole == pytest.approx(1, abs=1e-12)
    added = path[4] - path[3], path[3] - path[1], path[1] - path[0]
    for age, part in zip(ages, added, strict=True):
        assert age.norm.mean == pytest.approx((residuals @ part).norm().item(), rel=1e-10)


def test_a_reset_head_carries_nothing_from_earlier_steps():
    learner, params = conv_learner()
    residuals = torch.randn(9, 3, generator=generator(0, "residuals"), dtype=torch.float64)
    first, zero = (
        torch.stack([s.params["head.weight"] for s in trained(each, params, "adam")])
        for each in (algorithm_of("fomaml", learner, axes={"head": head}, lr=0.3) for head in ("first", "zeroing"))
    )
    assert all(age.norm.mean == 0 for age in by_age([residuals], first))
    assert by_age([residuals], zero) == ()


def test_interference_is_the_residuals_times_the_head():
    learner, params = conv_learner()
    algorithm = replace(algorithm_of("fomaml", learner, lr=0.3, steps=3))
    parts = episode_split(algorithm, params, EPISODES[0])
    assert torch.equal(parts.query_residuals @ params["head.weight"], parts.query_interference)
    assert not episode_split(algorithm, zeroed(params, learner.head_names), EPISODES[0]).query_interference.any()
