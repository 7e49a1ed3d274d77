from dataclasses import replace

import pytest

from assurances import REPRESENTATION, coverage, level, sure
from innerloop.analysis.confidence import Bounded, Score
from innerloop.figures.confidence import draw
from innerloop.report.said.confidence import captions, say
from innerloop.statistics import Correlation


def test_whether_the_promise_is_kept_is_said_first_with_both_coverages_and_why_they_may_differ():
    said = say({"a": sure()})
    assert said.startswith(
        "For the a, a 90% lower bound on a new task's accuracy fails on tasks of digits (test): it held for 80.0% "
        "(70 to 88) of them (bound 70.0 ± 1.0% on average, accuracy 70.0 ± 1.0%) and for 92.0% (85 to 97) of held-out "
        "validation tasks, for which alone it is promised, as the explained ones are of other classes and not "
        "exchangeable with them."
    )
    for held, words in (
        ((0.9, 0.85, 0.95), "is not shown to fail on tasks"),
        ((0.88, 0.8, 0.95), "is not shown to fail on tasks"),
        ((0.99, 0.95, 1.0), "is more than kept on tasks"),
    ):
        assert words in say({"a": sure(levels=(level(explained=held),))})
    assert "whose classes the explained ones share" in say({"a": sure(is_home=True)})


def test_the_level_told_is_the_one_nearest_to_90_percent():
    assert "a 95% lower bound" in say({"a": sure(levels=(level(0.5), level(0.95)))})


def test_too_few_calibration_episodes_are_said_to_give_no_bound():
    said = say({"a": sure(calibrated=7, levels=(level(is_enough=False),))})
    assert said.startswith("For the a, 7 calibration episodes are too few for a 90% bound, which takes 9: it is 0")


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Correlation(0.4, 0.2, 0.6, 40), "tells something of a task's accuracy (rank correlation 0.40, 0.20 to 0.60)"),
        (Correlation(0.1, -0.2, 0.4, 40), "is not shown to tell a task's accuracy there"),
        (Correlation(-0.4, -0.6, -0.2, 40), "is the wrong way round there"),
        (None, "Too few episodes tell"),
    ],
)
def test_what_the_support_set_tells_is_said_with_its_interval(found, words):
    assert words in say({"a": sure(scores=(Score("predicted", None, found),))})


@pytest.mark.parametrize(
    ("gain", "words"),
    [
        (0.02, "it lifts the bound by 2.0 ± 1.0 points over one number for all tasks"),
        (0.005, "not shown to lift the bound over one number for all tasks (0.5 ± 1.0 points)"),
        (-0.02, "no better for it than one number for all tasks (-2.0 ± 1.0 points)"),
    ],
)
def test_what_scores_are_worth_in_points_of_the_bound_is_said(gain, words):
    assert words in say({"a": sure(levels=(level(gain=gain),))})
    one = replace(level(), held_out=coverage(1.0, 0.1, 1.0, observations=1))
    assert "one held-out task does not tell what it is worth" in say({"a": sure(levels=(one,))})


def test_a_guarantee_is_said_beside_what_is_observed_and_to_be_vacuous_where_it_is():
    said = say({"a": sure()})
    assert said.endswith(
        "before adaptation: at most 50% by the spread along the line between two classes, with centroids of all of "
        "a class's examples (observed 6.0%); vacuous by the whole spread with the same centroids and of few-shot "
        "centroids by the whole spread (at least 80%, the error of guessing)."
    )
    sharp = replace(REPRESENTATION, bounds=(Bounded("line", 0.1, 0.0),))
    assert "vacuous" not in say({"a": sure(representation=sharp)})
    none = replace(REPRESENTATION, bounds=(Bounded("line", 0.8, 0.1),))
    assert "adaptation: vacuous by the spread along the line" in say({"a": sure(representation=none)})
    assert say({"a": sure(representation=None)}).endswith(
        "before adaptation: an error of at most 40.0 ± 1.0% for centroids of all of an episode's own examples, where "
        "it is 5.0 ± 1.0%; vacuous in 0% of the episodes."
    )


def test_every_figure_has_a_caption_with_what_one_shot_leaves_out():
    results = {"a": sure(), "b": sure(explained_variance=None)}
    said = captions(results)
    assert set(said) == set(draw(results))
    assert "nothing to leave out: left-out accuracy and class separation." in said["scores"]
    assert "those of digits (test) are not exchangeable with these" in said["coverage"]
    assert "the prediction explains 25% of the variance for the a." in said["prediction"]
    assert "Left out" not in captions({"a": sure(missing=())})["scores"]
    assert "cannot" not in said["prediction"]
    assert "does not vary" in captions({"a": sure(explained_variance=None)})["prediction"]
    assert set(captions({"a": sure(representation=None)})) == {"coverage", "prediction", "scores"}
