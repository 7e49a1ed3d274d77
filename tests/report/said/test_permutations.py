from assigned import result
from innerloop.figures.permutations import draw
from innerloop.report.said.permutations import captions, say


def test_whether_slots_matter_is_said_first_with_what_the_head_is():
    assert say({"a": result()}) == (
        "Which class sits in which slot matters to the a, whose head has a row of its own for every slot: over all 120 "
        "assignments of 30 episodes accuracy is 60.0 ± 2.0% on average, 70.0 ± 2.0% at best and 50.0 ± 2.0% at worst "
        "(standard deviation 5.0 ± 2.0 points). Two assignments name different classes for 30.0 ± 2.0% of the queries. "
        "Together they are right on 65.0 ± 2.0% by mean logits (5.0 ± 2.0 points above a single one), and 65.0 ± 2.0% "
        "by mean probabilities."
    )
    assert say({"a": result(breadth=0.0, head="zero")}) == (
        "Which class sits in which slot does not matter to the a, whose head starts at zero: all 120 assignments of 30 "
        "episodes name the same class for every query, 60.0 ± 2.0% of them rightly."
    )
    assert "hardly matters to the a, whose head starts with the same row" in say(
        {"a": result(breadth=0.001, head="equal", differ=0.0001)}
    )
    assert "the a, whose head is made of the support set" in say({"a": result(breadth=0.0, head="made")})


def test_what_the_ensemble_gains_is_said_with_its_side_and_whether_it_is_told_from_0():
    assert "(1.0 ± 2.0 points above a single one, not significant)" in say({"a": result(gain=0.01)})
    assert "(5.0 ± 2.0 points below a single one)" in say({"a": result(gain=-0.05)})
    assert "probabilities" not in say({"a": result(probabilities=False)})


def test_sampling_and_a_single_episode_are_said():
    assert "over 50 assignments (sampled) of one episode accuracy is 60.0% (one episode)" in say(
        {"a": result(is_all=False, episodes=1)}
    )


def test_runs_are_told_by_what_their_head_is():
    runs = {"a": result(), "b": result(breadth=0.0, head="zero"), "c": result(breadth=0.1)}
    assert say(runs).endswith(
        "From worst to best, in points: 20.0 (the a) and 10.0 (the c) for those whose head has a row of its own for "
        "every slot; 0.0 (the b) for one whose head starts at zero."
    )
    assert "From worst to best" not in say({"a": result(), "c": result()})


def test_every_figure_has_a_caption_that_says_how_many_assignments():
    for runs in ({"a": result()}, {"a": result(), "b": result(is_all=False)}):
        assert set(captions(runs)) == set(draw(runs))
    assert "over all 120 assignments of an episode" in captions({"a": result()})["accuracy"]
    assert "over 50 assignments, sampled, of" in captions({"a": result(is_all=False)})["accuracy"]
    assert "over assignments of" in captions({"a": result(), "b": result(is_all=False)})["accuracy"]
