from dataclasses import replace

from innerloop.analysis.coherence import AtStep, Coherence
from innerloop.figures.coherence import draw
from innerloop.report.said.coherence import captions, say
from innerloop.statistics import Interval


def one(value, width=0.1):
    return Interval(value, width, 10)


def at(step, accuracy, shift=0.0, trajectory=0.05, sharpness=2.0):
    return AtStep(
        step,
        one(accuracy),
        one(0.5),
        one(1.0 + shift),
        one(sharpness),
        1e-6,
        one(trajectory),
        one(3.0 + trajectory),
        one(1.5),
        one(1.5),
        2e-16,
    )


def run(seed=0, last=0.8, shift=0.0, coherence=1, changes=(0.6, -0.0, -0.3, 0.4, -1.0), arm="maml", steps=(0, 10, 20)):
    points = (
        at(steps[0], 0.2),
        at(steps[1], 0.7 + shift, shift, 0.05 + coherence * shift),
        at(steps[2], last + shift, shift, 0.06 + coherence * shift, 1.0),
    )
    accuracy, since, loss, distance, sharpness = (one(change) for change in changes)
    return Coherence(arm, seed, True, 10, 2, points, accuracy, since, loss, distance, sharpness)


def test_the_verdict_is_which_of_the_papers_changes_are_told():
    assert say({"a": run()}).startswith(
        "From outer step 0 to 20 the adapted solutions of the a get flatter (100 to 10), lower in support loss (0.5 "
        "to 0.5) and farther from the start (1 to 1): as guiroy2019 found. Accuracy goes from 20.0% to 80.0%, its best."
    )
    said = say({"a": run(changes=(0.6, 0.0, -0.05, -0.4, 1.0))})
    assert (
        "get sharper (100 to 10) and nearer to the start (1 to 1); no change is told from 0 in support loss (0.5 to "
        "0.5): 0 of guiroy2019's 3 changes." in said
    )
    assert "the adapted solutions of the a may have changed, but no change is told from 0 in flatness" in say(
        {"a": run(changes=(0.0,) * 5)}
    )


def test_accuracy_that_falls_from_its_best_is_said_with_its_interval():
    fallen = say({"a": run(last=0.6, changes=(0.4, -0.15, -0.3, 0.4, -1.0))})
    assert (
        "Accuracy goes from 20.0% to 60.0%, 15.0 ± 10.0 points below the best (step 10 has the highest mean)." in fallen
    )
    unsure = say({"a": run(last=0.6, changes=(0.4, -0.05, -0.3, 0.4, -1.0))})
    assert "(step 10 has the highest mean), not told from 0." in unsure


def test_both_coherences_are_said_with_the_heads_part():
    assert (
        "Trajectory coherence goes from 0.05 ± 0.1 to 0.06 ± 0.1 and gradient coherence goes from 3 ± 0.1 to 3.1 ± 0.1 "
        "(of the latter 1.5 ± 0.1 by the head)." in say({"a": run()})
    )


def test_one_run_says_that_correlations_need_several_seeds():
    assert say({"a": run()}).endswith(
        "Correlations with accuracy need 3 or more runs of one recipe with different seeds, with snapshots at the same "
        "steps; here is 1."
    )


SHIFTS = (0.0, 0.02, 0.05, 0.03, 0.01)


FIVE = {f"maml/seed {seed}": run(seed, shift=shift) for seed, shift in enumerate(SHIFTS)}


def test_what_goes_with_accuracy_across_seeds_is_said_by_its_p_and_the_paper_held_against_it():
    said = say(FIVE)
    assert (
        "Across 5 seeds of the maml, at the same outer step, trajectory coherence and gradient coherence are higher "
        "where accuracy is higher, as guiroy2019 found. Goes with accuracy: distance (+1.00, p = 0.017), trajectory "
        "coherence (+1.00, p = 0.017) "
        "and gradient coherence (+1.00, p = 0.017)." in said
    )
    few = say({name: FIVE[name] for name in list(FIVE)[:3]})
    assert "trajectory coherence and gradient coherence cannot be told to go with accuracy, which guiroy2019" in few
    assert "(so many seeds allow no p below 0.17)" in few
    alike = {
        name: run(seed, shift=0.0, last=0.8 - shift)
        for seed, (name, shift) in enumerate(zip(FIVE, SHIFTS, strict=True))
    }
    assert "need measures that differ between seeds at an outer step they share; none does." in say(alike)
    against = {f"maml/seed {seed}": run(seed, shift=shift, coherence=-1) for seed, shift in enumerate(SHIFTS)}
    assert "are lower where accuracy is higher, against guiroy2019." in say(against)


def test_runs_without_a_path_say_why_nothing_is_told_over_training():
    alone = Coherence("maml", 0, False, 10, 2, (at(30, 0.5),), None, None, None, None, None)
    said = say({"a": alone})
    assert said.startswith(
        "The a keeps no snapshots, so that nothing is told over training. Trajectory coherence stands at 0.05 ± 0.1"
    )
    assert set(draw({"a": alone})) <= set(captions({"a": alone}))


def test_a_learner_that_does_not_move_has_no_solutions_to_tell_of():
    still = run(changes=(0.6, 0.0, 0.0, 0.0, 0.0))
    path = tuple(replace(at, distance=one(0.0, 0.0)) for at in still.path)
    assert say({"a": replace(still, path=path)}).startswith(
        "The a does not move in its inner loop: there is no adapted"
    )


def test_every_figure_has_a_caption_with_the_identitys_deviation():
    for results in ({"a": run()}, FIVE):
        assert set(captions(results)) == set(draw(results))
    assert "up to a deviation of 2e-16 of the gradients' norms" in captions(FIVE)["measures"]
    assert "interval over seeds" in captions(FIVE)["measures"]
    assert "interval over tasks" in captions({"a": run()})["measures"]
    assert "so many seeds allow none below 0.0083" in captions(FIVE)["correlations"]
