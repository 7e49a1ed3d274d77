from dataclasses import replace

import numpy as np

from innerloop.analysis.inner_lr import InnerLr, OneStep, arm
from innerloop.figures.inner_lr import draw
from innerloop.report.said.inner_lr import captions, say
from innerloop.statistics import Interval

RATES = (-0.1, -0.01, 0.01, 0.1)


def arm_of(rows, episodes=12):
    """An arm with these means whose cells differ surely by a tenth of a point; NaN for what diverged."""
    rng = np.random.default_rng(1)
    own = rng.normal(0, 0.001, (episodes, len(rows), 2)) if episodes > 1 else np.zeros((1, len(rows), 2))
    accuracy = np.array(rows) + own - own.mean(axis=0)
    return arm(np.stack([accuracy, 1 - accuracy], axis=-1))


SURE = Interval(1.0, 0.0, 12)
TRAINED = arm_of([[0.2, 0.1], [0.2, 0.15], [0.2, 0.5], [0.2, 0.7]])
ZEROED = arm_of([[0.2, 0.05], [0.2, 0.05], [0.2, 0.60001], [0.2, 0.6]])
SCATTER = ((0, 2.0, 30.0), (50, 4.0, 20.0))
RANDOM = InnerLr(0.1, 1, 0.1, 1, "all", 0.2, RATES, 1, False, 2.0, TRAINED, ZEROED, OneStep(SURE, SURE), SCATTER)
ZERO = replace(RANDOM, head_is_zero=True, head_norm=0.0, as_trained=ZEROED, scatter=())


def test_the_best_cell_is_said_with_what_is_as_good_and_what_negative_rates_do():
    lines = say({"random": RANDOM, "zeroing": ZERO}).split("\n")
    assert lines[0].startswith(
        "With the head as trained, the best cell over rates and inner steps is 70.0 ± 0.1% for the random at rate 0.1 "
        "and 1 step (all 4 others are significantly worse; it is its own test), and of "
        "negative rates 15.0 ± 0.1% at -0.01 and 1 step, significantly worse (guessing: 20.0%); 60.0 ± 0.0% for the "
        "zeroing at rate 0.01 and 1 step (1 of 4 others are not significantly worse, at rates 0.01 to 0.1; its "
        "own test (rate 0.1, 1 step) is one of them), and of negative rates 5.0 ± 0.1% at -0.1"
    )
    assert lines[1].startswith("With the head zeroed before adaptation, the best cell")
    assert "zeroing" not in lines[1]
    assert lines[2] == (
        "One step from a zero head: all positive rates name the same class for 100.0 ± 0.0% of queries, and all "
        "negative ones the class that positive ones like least for 100.0 ± 0.0% (the random and the zeroing)."
    )
    assert lines[3] == (
        "While training, the squared scatter of class means went for the random (rate 0.1) from 2 to 4, beside a "
        "scatter within classes from 30 to 20."
    )


def test_a_negative_rate_that_is_best_or_as_good_is_said_to_be():
    best = replace(RANDOM, as_trained=arm_of([[0.2, 0.7], [0.2, 0.15], [0.2, 0.5], [0.2, 0.1]]))
    assert "at rate -0.1 and 1 step (all 4 others" in say({"a": best})
    assert "its own test (rate 0.1, 1 step) is significantly worse), a negative rate." in say({"a": best})
    close = replace(RANDOM, as_trained=arm_of([[0.2, 0.69999], [0.2, 0.15], [0.2, 0.5], [0.2, 0.7]]))
    assert "of negative rates 70.0 ± 0.1% at -0.1 and 1 step, not significantly worse" in say({"a": close})


def test_rates_at_which_something_diverged_are_named():
    lost = replace(RANDOM, as_trained=arm_of([[0.2, np.nan], [0.2, 0.1], [0.2, 0.5], [0.2, np.nan]]))
    assert "Predictions were not finite after some steps for the a at -0.1 and 0.1." in say({"a": lost})


def test_one_episode_tells_no_differences():
    one = replace(RANDOM, as_trained=arm_of([[0.2, 0.1], [0.2, 0.1], [0.2, 0.5], [0.2, 0.7]], episodes=1))
    said = say({"a": one})
    assert "70.0 (one episode)% " not in said
    assert "one episode cannot tell which others are as good" in said
    assert "significantly" not in said.split("\n", 1)[0]


def test_every_figure_has_its_caption_and_different_steps_are_said():
    results = {"random": RANDOM, "zeroing": ZERO}
    assert set(captions(results)) == set(draw(results))
    assert "after 1 inner step, with" in captions(results)["by_rate"]
