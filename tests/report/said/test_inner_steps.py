from dataclasses import replace

import numpy as np

from innerloop.analysis.inner_steps import InnerSteps, arm
from innerloop.figures.inner_steps import draw
from innerloop.report.said.inner_steps import captions, say


def scored(means, episodes=12):
    """Accuracies whose differences between steps are sure to a tenth of a point."""
    rng = np.random.default_rng(1)
    own = rng.normal(0, 0.001, (episodes, len(means))) if episodes > 1 else np.zeros((1, len(means)))
    return np.array(means) + own - own.mean(axis=0)


def result(means, zeroed=None, training_steps=1, test_steps=1, episodes=12):
    first, second = (arm(scored(each, episodes)) for each in (means, zeroed or means))
    tested = first.accuracy[test_steps]
    norm = 0.0 if zeroed is None else 2.5
    most = len(means) - 1
    return InnerSteps(training_steps, test_steps, most, norm, zeroed is None, tested, first, second)


def test_the_fewest_steps_that_do_are_said_with_what_the_best_and_the_most_gain():
    random = result((0.2, 0.4, 0.5, 0.45), zeroed=(0.2, 0.6, 0.5, 0.4))
    said = say({"random": random, "zeroing": result((0.2, 0.6, 0.60001, 0.6))})
    assert said.startswith(
        "With the head as trained, the fewest inner steps not significantly below the best number: "
        "2 for the random (best 2 of 0 to 3, 10.0 ± 0.1 points above one step, 3 steps: 5.0 ± 0.1 points against one "
        "step); 1 for the zeroing (best 2 of 0 to 3, 0.0 ± 0.1 points above one step (not significant), 3 steps: "
        "0.0 ± 0.1 points against one step (not significant))."
    )
    assert (
        "With the head zeroed before adaptation, the fewest inner steps not significantly below the best number: "
        "1 for the random (best 1 of 0 to 3, 3 steps: -20.0 ± 0.1 points against one step)." in said
    )
    assert said.endswith("For the zeroing the head is zero as trained, so that zeroing it changes nothing.")


def test_nothing_is_said_twice_where_the_most_steps_are_the_best_or_one():
    assert "(best 2 of 0 to 2, 10.0 ± 0.0 points above one step)." in say({"a": result((0.2, 0.4, 0.5))})
    assert "(best 1 of 0 to 1)." in say({"a": result((0.2, 0.4))})
    assert "(best 0 of 0 to 1, 20.0 ± 0.0 points above one step)." in say({"a": result((0.4, 0.2))})


def test_a_loss_smaller_than_what_is_shown_has_no_sign():
    assert "-0.0" not in say({"a": result((0.2, 0.5, 0.6, 0.49999))})


def test_one_episode_cannot_tell():
    said = say({"a": result((0.2, 0.5, 0.6), episodes=1)})
    assert "one episode cannot tell how many inner steps are needed" in said
    assert "significantly" not in said


def test_accuracy_by_steps_in_training_is_said_where_runs_differ_in_them():
    few, many = (result((0.2, mean, 0.6), training_steps=steps) for mean, steps in ((0.4, 1), (0.5, 3)))
    said = say({"zeroing m3": many, "zeroing m1": few})
    assert said.endswith("by inner steps in training: zeroing: 40.0 ± 0.1 at 1 and 50.0 ± 0.1 at 3.")
    assert "in training" not in say({"zeroing m1": few})


def test_every_figure_has_a_caption_with_what_is_not_drawn_and_how_runs_were_tested():
    few = result((0.2, 0.4, 0.6), zeroed=(0.25, 0.4, 0.6))
    for results, words in (
        ({"a": few}, "Before adaptation it is 20.0 to 25.0%."),
        ({"a": result((0.2, 0.4, 0.6))}, "Before adaptation it is 20.0%."),
    ):
        assert set(captions(results)) == set(draw(results))
        assert captions(results)["accuracy"].endswith(words)
    assert "Before" not in captions({"a": result((0.6, 0.4, 0.5))})["accuracy"]
    grid = {"m1": few, "m2": replace(few, training_steps=2, test_steps=2)}
    assert set(captions(grid)) == set(draw(grid))
    assert "as tested (with as many steps as in training)" in captions(grid)["training_steps"]
    assert "(with 1 step)" in captions({**grid, "m2": replace(few, training_steps=2)})["training_steps"]
    assert (
        "(with 1 to 5 steps)"
        in captions({**grid, "m2": replace(few, training_steps=2, test_steps=5)})["training_steps"]
    )
