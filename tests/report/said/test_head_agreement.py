import pytest
import torch

from agreements import GAPS, cells, result, side
from innerloop.analysis.flat import Picture, stage
from innerloop.figures.head_agreement import draw
from innerloop.report.said.head_agreement import captions, say
from worlds import vector_episode


def pictures(zero=False):
    (support, labels), (query, targets) = vector_episode()
    weight = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))
    stages = (stage(support, labels, query, rows, None, None) for rows in (0 * weight if zero else weight, weight))
    return (Picture(4, ("a", "b", "c"), tuple(labels.tolist()), tuple(targets.tolist()), *stages),)


def test_each_reading_is_said_under_its_verdict_with_the_interval_that_it_rests_on():
    said = say({"zeroing": result(is_still=True)})
    assert said.startswith(
        "On these 40 episodes the adapted head of the zeroing is right on 60.0 ± 0.3% of the queries. Adaptation "
        "leaves the features as they are. On them, it is equivalent within 2 points to the centroid by inner product "
        "(0.0 [-0.3, +0.3]) and logistic regression (+1.0 [+0.7, +1.3], small but told from 0); better by more than 2 "
        "points than LDA (+10.0 [+9.7, +10.3]); worse by more than 2 points than ridge regression "
        "(-10.0 [-10.3, -9.7]); undecided (neither shown to be equivalent within 2 points nor to be further apart) "
        "beside logistic regression on global centres (+2.0 [+1.7, +2.3], told from 0)."
    )


@pytest.mark.parametrize(
    ("gap", "spread", "words"),
    [
        (0.003, 0.05, "equivalent within 2 points to logistic regression (+0.3 [-1.0, +1.6])."),
        (0.003, 0.5, "beside logistic regression (+0.3 [-13.0, +13.6])."),
        (0.01, 0.01, "equivalent within 2 points to logistic regression (+1.0 [+0.7, +1.3], small but told from 0)."),
        (-0.0001, 0.001, "equivalent within 2 points to logistic regression (0.0 [0.0, 0.0])."),
    ],
)
def test_planted_differences_get_their_verdict(gap, spread, words):
    said = say({"a": result(is_still=True, after=side({"logistic": gap}, spread))})
    assert words in said
    assert "-0.0" not in said


def test_both_sides_are_said_where_features_move():
    said = say({"random": result(before=side({"lda": 0.1}), after=side({"lda": 0.0}))})
    assert "On features before adaptation, it is better by more than 2 points than LDA" in said
    assert "On the adapted features, it is equivalent within 2 points to LDA" in said
    assert "leaves the features" not in said


def test_the_margin_is_that_of_the_test():
    said = say({"a": result(margin=0.005, is_still=True)})
    assert "equivalent within 0.5 points" in said
    assert "band of 0.5 points" in captions({"a": result(margin=0.005)})["difference"]


def test_few_episodes_leave_all_open():
    for episodes in (1, 9):
        said = say({"a": result(is_still=True, after=side(episodes=episodes))})
        assert "Fewer than 10 episodes leave every verdict open." in said
        assert "equivalent within 2 points to" not in said
        assert ("On this episode" in said) == (episodes == 1)
    assert "(+10.0, one episode)" in say({"a": result(after=side({"lda": 0.1}, episodes=1))})
    assert "Fewer" not in say({"a": result()})


def test_whom_the_head_agrees_with_most_and_least_is_said():
    assert (
        "It names the same class as the centroid by inner product on 90.0 ± 0.0%, and as logistic regression on global "
        "centres, the least, on 82.0 ± 0.0%." in say({"a": result()})
    )
    always = say({"a": result(after=side(agreement=1))})
    assert "It names the same class as the centroid by inner product on every query, and as" in always
    alone = say({"a": result(after=side({"inner_product": 0.0}, agreement=1))})
    assert "It names the same class as every reading on every query." in alone


def test_the_range_over_rates_and_steps_is_said_and_where_episodes_diverged():
    assert (
        "Over test rates and steps, it does so with logistic regression between 50% (×0.5, 1 step) and 80% "
        "(×2, 10 steps) and the centroid by inner product between 50% (×0.5, 1 step) and 80% (×2, 10 steps)."
        in say({"a": result(grid=cells())})
    )
    lost = say({"a": result(grid=cells(diverged=5))})
    assert "70% (×2, 1 step)" in lost
    assert lost.count("Some episodes diverged at ×2, 10 steps.") == 1
    assert "logistic regression between" not in say({"a": result(grid=cells(matches=False))})
    assert "Over test rates" not in say({"a": result()})


def test_how_labels_lie_to_global_centres_is_said_where_they_are_known():
    said = say({"a": result()})
    assert said.endswith(
        "Of the centres of 1100 training classes, the one nearest to a query is that of its own class's support for "
        "30.0 ± 0.3% of the queries before adaptation and 50.0 ± 0.3% of the queries after, and that of another "
        "class's for 10.0 ± 0.3% of the queries before adaptation and 10.0 ± 0.3% of the queries after. Adjusted "
        "mutual information of label and nearest centre: 0.50 ± 0.00 before adaptation and 0.50 ± 0.00 after (0 by "
        "chance, 1 where each says the other)."
    )
    assert "for 50.0 ± 0.3% of the queries, and that" in say({"a": result(is_still=True)})
    assert "training classes" not in say({"a": result(clusters=False)})


def test_every_figure_has_a_caption():
    for each in (result(), result(grid=cells(), pictures=pictures()), result(pictures=pictures(zero=True))):
        for results in ({"a": each}, {"a": each, "b": result(after=side({"lda": 0.1}), clusters=False)}):
            assert set(captions(results)) == set(draw(results))


def test_captions_say_what_readings_are_made_of_and_what_they_are_not():
    def said(**more):
        return captions({"a": result(**more)})["accuracy"]

    assert "1 / (rate x steps) beside the mean loss" in said()
    assert "Of a rate below 0 its size counts." in said(reach=-0.4)
    assert "its size" not in said()
    assert "No penalty matches the a, whose head does not move by plain gradient steps" in said(reach=0.0)
    assert "LDA is the nearest centroid by Euclidean distance" in said(shots=1)
    assert "LDA" not in said(shots=2)
    assert "mean features of the 1100 training classes" in said()
    assert "Global" not in said(clusters=False)
    assert "guessing has 20%" in said()


def test_the_grids_caption_counts_its_episodes_and_explains_what_diverged():
    assert "on the first 5 episodes" in captions({"a": result(grid=cells(diverged=2))})["grid"]
    assert "div.:" in captions({"a": result(grid=cells(diverged=5))})["grid"]
    assert "div.:" not in captions({"a": result(grid=cells())})["grid"]


def test_the_planes_caption_says_how_far_it_is_to_be_trusted():
    shown = pictures()
    said = captions({"a": result(pictures=shown)})["plane"]
    before, after = shown[0].before, shown[0].after
    assert said.startswith("Episode 4 along the two principal axes")
    assert f"for {100 * before.faithful:.0f}% before adaptation and {100 * after.faithful:.0f}% after." in said
    assert f"{100 * sum(before.explained):.0f}% before adaptation" in said
    assert "White ground" not in said
    blank = captions({"a": result(pictures=pictures(zero=True))})["plane"]
    assert "White ground: the head says the same of all classes" in blank
    assert f"for {100 * after.faithful:.0f}% after." in blank


def test_every_reading_has_words():
    for name in GAPS:
        assert say({"a": result(after=side({name: 0.0}))})
