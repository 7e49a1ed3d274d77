from dataclasses import replace

from assurances import interval, related, residuals
from innerloop.figures.tasks import draw
from innerloop.report.said.tasks import captions, say
from innerloop.statistics import Correlation


def with_left(**changes):
    return replace(related(), nonnegative=residuals(**changes))


def test_the_verdict_comes_first_and_is_computed():
    assert say({"a": related()}).startswith(
        "For the a, a new task is only partly a combination of seen ones: the 32 nearest of 1000 training tasks leave "
        "90.0 ± 1.0%, 32 random ones 97.0 ± 1.0%, and 92.0 ± 1.0% is left of images with labels that mean "
        "nothing."
    )
    assert "a new task is mostly a combination" in say({"a": with_left(task=0.3)})
    blind = replace(residuals(), below_others=interval(0.01, 0.02))
    assert "a new task is no more a combination of its neighbours than of random seen tasks: the 32" in say(
        {"a": replace(related(), nonnegative=blind)}
    )


def test_what_labels_are_worth_is_said_only_where_it_is_told_from_none():
    assert "That the labels mean something makes it 2.0 ± 1.0 points better." in say({"a": related()})
    unsure = say({"a": with_left(gap=0.005)})
    assert "makes no difference that is told from none (0.5 ± 1.0 points)." in unsure
    assert "no more a combination of seen ones than its images are with labels that mean nothing" in unsure
    assert "Labels that mean nothing are fitted better, by 2.0 ± 1.0 points." in say({"a": with_left(gap=-0.02)})


def test_whether_what_is_left_tells_the_accuracy_is_said_with_its_interval():
    said = "Tasks of which more is left are solved worse by the a (rank correlation -0.40, 95% interval -0.60 to"
    assert said in say({"a": related()})
    for told, words in (
        (Correlation(0.4, 0.2, 0.6, 12), "solved better by the a"),
        (Correlation(0.1, -0.2, 0.4, 12), "What is left is not shown to tell the accuracy of a task for the a"),
        (None, "cannot be said of so few episodes for the a."),
    ):
        assert words in say({"a": with_left(told=told)})


def test_one_episode_tells_no_more_and_has_no_interval():
    said = say({"a": related(observations=1, map=None)})
    assert said.startswith(
        "For the a, of one new task the 32 nearest of 1000 training tasks leave 90.0% (one episode),"
    )
    assert said.endswith("One episode tells no more.")
    assert "inf" not in said


def test_every_figure_has_a_caption_that_says_what_a_task_is_embedded_by():
    results = {"a": related(), "b": related()}
    assert set(captions(results)) == set(draw(results))
    said = captions(results)["residuals"]
    assert "89.0 ± 1.0% is left for the a and 89.0 ± 1.0% is left for the b" in said
    assert "the direction the encoder adapts in (91456 parameters) from a zero head" in said
    assert "Projected to 2048 dimensions, which blurs a cosine by 0.02" in said
    assert "so that its gradient stands" not in said
    other = captions({"a": related(embedding="gradient", dimensions=64, parameters=64)})["residuals"]
    assert "so that its gradient stands for the direction" in other
    assert "Projected" not in other
    assert set(captions({"a": related(map=None, related=())})) == {"residuals", "prediction"}
