import pytest

from innerloop.runs import OpenedRun, Recipe, RunDirectory
from innerloop.runs.interventions import told
from innerloop.training import TrainingConfig


def run(*records, **training):
    history = [{"step": step, **record} for step, record in enumerate(records)]
    return OpenedRun(RunDirectory("nowhere"), Recipe(training=TrainingConfig(**training)), history, {})


FINE, SPOILT = {"loss": 1.0}, {"skipped": "task 0"}
WHY = "outer steps made no update, since a loss, a gradient or an update was not finite"


def test_nothing_is_said_where_nothing_happened():
    assert told(run()) == ""
    assert told(run({}, FINE, FINE, nonfinite="skip")) == ""
    assert told(run({}, {"gradient_norm": 9.0}, clip=10.0)) == ""


def test_skipped_steps_are_counted_and_named():
    assert told(run({}, FINE, SPOILT, FINE)) == f"1 of 3 {WHY}: 2."
    assert told(run({}, SPOILT, SPOILT, FINE, SPOILT)) == f"3 of 4 {WHY}: 1, 2 and 4."
    assert told(run({}, *[SPOILT] * 9)) == f"9 of 9 {WHY}: 1, 2, 3, 4, 5, 6, 7, 8 and 9."
    assert told(run({}, *[SPOILT] * 12)) == f"12 of 12 {WHY}: 1, 2, 3, 4, 5, 6, 7, 8 and 4 more, the last 12."


def test_the_rate_that_the_last_of_them_left_is_said():
    halved = [{**SPOILT, "outer_lr": 0.05}, FINE, {**SPOILT, "outer_lr": 0.025}]
    said = told(run({}, *halved, nonfinite="halve", outer_lr=0.1))
    assert said == f"2 of 3 {WHY}: 1 and 3; the outer rate fell from 0.1 to 0.025."


@pytest.mark.parametrize(("clip", "share"), [(3.0, "2 of 3"), (8.0, "1 of 3")])
def test_clipped_steps_are_counted_among_those_that_were_measured(clip, share):
    norms = [{"gradient_norm": each} for each in (2.0, 5.0, 81.0)]
    said = told(run({}, *norms, SPOILT, clip=clip, nonfinite="skip"))
    assert said.startswith(f"1 of 4 {WHY}: 4. The meta-gradient was longer than {clip:g} in {share} outer steps, at")
    assert said.endswith(f"at most 81, and scaled down to {clip:g}.")
