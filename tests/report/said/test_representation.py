from innerloop.analysis.representation import LOGITS
from innerloop.figures.representation import draw
from innerloop.report.said.representation import captions, say
from represented import FROZEN, result, still


def test_what_changes_most_is_said_and_how_the_logits_compare():
    said = say({"a": result()})
    assert said.startswith(
        "Adaptation changes the features of the a, block2 most (linear CKA 0.90 ± 0.00), and its logits more (0.40 ± "
        "0.00). "
    )
    assert "its logits less (0.99" in say({"a": result(cka={"block1": 0.5, LOGITS: 0.99})})
    assert say({"a": result(cka={LOGITS: 0.3})}).startswith("Adaptation changes the features of the a. ")


def test_what_freezing_and_leaving_out_the_head_cost_is_said_with_a_verdict():
    said = say({"a": result()})
    assert (
        "With the body frozen at test it is right on 50.0 ± 0.3% of the queries instead of 60.0 ± 0.3% (worse by more "
        "than 2 points, -10.0 [-10.3, -9.7]), by cosines alone (NIL) on 60.5 ± 0.3% (equivalent within 2 points, +0.5 "
        "[+0.2, +0.8])." in said
    )
    assert "(equivalent within 2 points, 0.0 [-0.3, +0.3]), by" in say({"a": result(frozen={**FROZEN, "block2": 0.0})})
    few = say({"a": result(episodes=9)})
    assert "not decided within 2 points" in few
    assert "fewer than 10 episodes leave both open" in few
    assert "(not decided within 2 points, +0.5)" in say({"a": result(episodes=1)})


def test_features_that_stay_and_nothing_that_adapts_are_said_in_words():
    said = say({"a": still()})
    assert said.startswith(
        "Adaptation leaves the features of the a as they are, to the last digit. It is right on 60.0"
    )
    assert "body frozen" not in said
    assert "within classes is 1.00 ± 0.00 times that between them (FC)." in said
    assert "(linear CKA of its logits 0.40 ± 0.00)" in say({"a": result(is_still=True)})
    nothing = say({"a": still(steps=0)})
    assert nothing.startswith("Nothing adapts in the a at test: every layer is after what it was before. It is right")


def test_how_spread_changes_is_said_if_it_is_told_from_0():
    assert "within classes rises from 1.00 to 1.20 ± 0.00 times that between them (FC)." in say({"a": result()})
    assert "within classes falls from 1.00 to 0.80" in say({"a": result(change=-0.2)})
    assert (
        "is 1.00 ± 0.00 times that between them before adaptation and 1.00 ± 0.00 after (FC; no significant change)."
        in say({"a": result(change=0.0)})
    )
    assert "One query a class shows no spread within classes." in say({"a": result(spread=None)})


def test_runs_are_ordered_by_their_spread():
    said = say({"a": result(), "b": result(spread=0.5), "c": result(spread=None)})
    assert said.endswith(
        "After adaptation, classes lie tightest, by FC, in this order: the b (0.70 ± 0.00) and the a (1.20 ± 0.00)."
    )
    assert "in this order" not in say({"a": result()})


def test_every_figure_has_a_caption():
    for runs in ({"a": result()}, {"a": still(steps=0)}, {"a": result(), "b": still()}, {"a": result(spread=None)}):
        assert set(draw(runs)) <= set(captions(runs))


def test_captions_say_what_cca_compares_and_what_has_no_likeness():
    said = captions({"a": result()})["similarity"]
    assert "4 to 18 of them, with at least 95% of it. In block1 it takes every place of an image" in said
    assert "Not defined" not in said
    assert "Not defined for logits of the b" in captions({"a": result(), "b": still()})["similarity"]
    nothing = result(cka={LOGITS: None}, frozen={"": 0.0, LOGITS: 0.0})
    assert "too few examples for a single direction" in captions({"a": nothing})["similarity"]
    assert "over episodes of 75 queries" in captions({"a": result()})["collapse"]
