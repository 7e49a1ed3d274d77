"""The grid over rates and steps against adapting anew for every cell."""

import math

import pytest
import torch

from innerloop.analysis.adapted_head import seen, share
from innerloop.analysis.agreement_grid import Trial, cell, grid, tried_on
from innerloop.analysis.centroids import nearest
from innerloop.analysis.readings import Matching, logistic
from innerloop.params import zeroed
from innerloop.statistics import mean_interval
from worlds import algorithm_of, conv_learner, image_episode

EPISODE = image_episode(k_shot=3, n_queries=6, seed=6)


@pytest.mark.parametrize("name", ["fomaml", "anil"])
def test_every_cell_is_that_of_an_algorithm_made_for_it(name):
    learner, params = conv_learner()
    algorithm = algorithm_of(name, learner, lr=0.2, steps=2)
    tried = grid(algorithm, params, (0.5, -1.0), (1, 4))
    assert [(each.factor, each.steps) for each in tried] == [(f, s) for f in (0.5, -1.0) for s in (1, 2, 4)]
    before, labels = seen(algorithm, params, EPISODE), EPISODE.support.targets
    rows = tried_on(algorithm, params, EPISODE, before, tried)
    for (factor, steps, alike), row in zip(tried, rows, strict=True):
        assert alike == Matching(pytest.approx(0.2 * factor * steps), True, False)
        own = algorithm_of(name, learner, lr=0.2 * factor, steps=steps)
        after = seen(own, own.adapt(params, EPISODE.support).adapted, EPISODE)
        head = (after.query @ after.weight.T + after.bias).argmax(1)
        expected = [share(head == EPISODE.query.targets)]
        c = abs(0.2 * factor * steps) / len(labels)
        expected += [
            share(head == logistic(each.support, labels, each.query, c, True).argmax(1)) for each in (before, after)
        ]
        expected += [
            share(head == nearest("inner_product", each.query, each.support, labels)) for each in (before, after)
        ]
        assert row == pytest.approx(tuple(expected))


def test_a_zero_head_agrees_with_the_inner_product_after_one_step_at_every_rate_above_0():
    learner, params = conv_learner()
    zero, algorithm = zeroed(params, learner.head_names), algorithm_of("maml", learner, lr=0.2)
    tried = grid(algorithm, zero, (0.01, 1.0, 50.0, -1.0), (1,))
    rows = tried_on(algorithm, zero, EPISODE, seen(algorithm, zero, EPISODE), tried)
    assert [row[3:] for row in rows[:3]] == [(1.0, 1.0)] * 3
    assert rows[3][3:] == (0.0, 0.0)


def test_rates_that_blow_up_are_diverged_cells():
    learner, params = conv_learner()
    algorithm = algorithm_of("maml", learner, lr=0.2)
    tried = grid(algorithm, params, (1.0, 1e308), (1, 3))
    rows = tried_on(algorithm, params, EPISODE, seen(algorithm, params, EPISODE), tried)
    assert [math.isnan(row[0]) for row in rows] == [False, False, True, True]
    found = cell(tried[2], [rows[2], rows[0], rows[1]])
    assert (found.factor, found.steps, found.diverged) == (1e308, 1, 1)
    assert found.accuracy == mean_interval([rows[0][0], rows[1][0]])
    none = cell(tried[2], [rows[2]])
    assert (none.diverged, none.accuracy, none.logistic_before, none.centroid_after) == (1, None, None, None)


def test_where_no_penalty_matches_the_centroid_is_left():
    learner, params = conv_learner()
    algorithm = algorithm_of("boil", learner, lr=0.2)
    before = seen(algorithm, params, EPISODE)
    (row,) = tried_on(algorithm, params, EPISODE, before, grid(algorithm, params, (1.0,), ()))
    found = cell(Trial(1.0, 1, Matching(0.0, False, False)), [row])
    assert (found.logistic_before, found.logistic_after, found.diverged) == (None, None, 0)
    assert found.centroid_after is not None


def test_there_is_no_grid_for_a_learner_that_no_rate_moves():
    learner, params = conv_learner()
    assert grid(algorithm_of("maml", learner, lr=0.0), params, (1.0,), (1,)) == ()
    assert grid(algorithm_of("maml", learner, lr=0.1), params, (), (1,)) == ()
    assert [each.steps for each in grid(algorithm_of("maml", learner, steps=0), params, (1.0,), (3, 1))] == [1, 3]


def test_one_trajectory_of_the_most_steps_serves_all_of_a_rate(monkeypatch):
    learner, params = conv_learner()
    algorithm = algorithm_of("maml", learner, lr=0.2)
    counted, usual = [], type(algorithm).adapt
    monkeypatch.setattr(
        type(algorithm), "adapt", lambda self, *given: counted.append(self.inner.steps) or usual(self, *given)
    )
    tried = grid(algorithm, params, (0.5, 2.0), (1, 2, 5))
    with torch.no_grad():
        tried_on(algorithm, params, EPISODE, seen(algorithm, params, EPISODE), tried)
    assert counted == [5, 5]
