"""Trainings that are ended at random moments and resumed are the trainings that were left in peace."""

import pytest

from faults.conftest import QUICK
from faults.harness import Harness

LONGER = (*QUICK, "--training.steps=300", "--record.validation=40", "--record.checkpoint=30")


def lose_nothing(harness, count, said):
    tally = harness.run(count)
    assert tally.differences == [], "\n".join(said)
    assert sum(tally.faults.values()) == count


def test_a_run_that_is_ended_at_random_moments_loses_nothing(tmp_path):
    said = []
    recipes = {"momentum": ("--algorithm.name=maml", "--algorithm.rule=momentum", "--inner.steps=2")}
    lose_nothing(Harness(tmp_path, 1, ["KILL", "TERM", "INT"], True, said.append, LONGER, recipes), 3, said)


@pytest.mark.slow
def test_runs_of_every_kind_that_are_ended_at_random_moments_lose_nothing(tmp_path):
    said = []
    lose_nothing(Harness(tmp_path, 25, ["KILL", "TERM", "INT"], True, said.append), 25, said)
