import re
from dataclasses import replace

import numpy as np
import pytest

from innerloop.analysis.coherence import AtStep, Coherence, arm_of
from innerloop.analysis.values import to_values
from innerloop.data import DataConfig
from innerloop.figures.sweep import MOST
from innerloop.report import sweep
from innerloop.runs import KeptEvaluation, KeptExplanation, OpenedRun, Recipe, RunDirectory, keep_explanation
from innerloop.runs.grid import Cell
from innerloop.runs.outcome import Outcome
from innerloop.statistics import Interval
from innerloop.training import Evaluation

NOISE = np.random.default_rng(0).normal(0, 0.01, 30)


def outcome(name, means, measure="accuracy", recipe=None, records=(), noise=NOISE, **values):
    """A cell whose seeds have these means over episodes, each tested on the same 30."""
    recipe = recipe or Recipe()
    runs, tests = {}, {}
    for seed, mean in means.items():
        runs[seed] = OpenedRun(RunDirectory("nowhere"), replace(recipe, seed=seed), list(records), {"command": "train"})
        column = (mean + noise - noise.mean())[:, None]
        result = Evaluation("letters", "test", recipe.episode, 0, 0.4, True, column, column, measure)
        tests[seed] = KeptEvaluation("innerloop sweep", "best", DataConfig(), result)
    return Outcome(Cell(name, values or {"head": name}, {}, recipe), runs, tests)


def course(*values):
    return [{"step": step, "validation": {"accuracy": each}} for step, each in enumerate(values)]


def test_the_best_cell_is_named_with_who_is_and_who_is_not_significantly_behind():
    cells = [
        outcome("low", {0: 0.50, 1: 0.52, 2: 0.51}),
        outcome("high", {0: 0.70, 1: 0.72, 2: 0.71}),
        outcome("near", {0: 0.72, 1: 0.69, 2: 0.70}),
    ]
    said = sweep.comparison(cells)
    assert said.startswith("With the head as trained, high has the highest mean accuracy of the 3 tested cells, 71.0 ±")
    assert "Not significantly behind it: near (by 0.7 ±" in said
    assert "Significantly behind it: low (by 20.0 ± 0.0 points)." in said
    assert "every head zeroed" in sweep.comparison(cells, zero_head=True)
    turned = sweep.comparison([replace(cells[0], tests=cells[1].tests), replace(cells[1], tests=cells[0].tests)])
    assert "low has the highest mean" in turned
    assert sweep.comparison(cells[:1]) == ""


def test_the_lowest_loss_is_best():
    said = sweep.comparison([outcome("big", {0: 2.0, 1: 2.1}, "loss"), outcome("small", {0: 1.0, 1: 1.1}, "loss")])
    assert "small has the lowest mean loss" in said
    assert "Significantly behind it: big (by 1.000 ± 0.000)." in said


def test_cells_without_a_shared_seed_are_not_compared():
    said = sweep.comparison([outcome("a", {0: 0.5}), outcome("b", {1: 0.6})])
    assert "Not compared with it, for want of a seed both have: a." in said
    assert "ignificantly" not in said


def test_many_cells_are_counted_instead_of_named():
    said = sweep.comparison([outcome(f"c{index}", {0: 0.5 - 0.02 * index}) for index in range(9)])
    assert "Significantly behind it, nearest first: c1 (by 2.0 ± 0.0 points)" in said
    assert "and 3 more." in said


def test_an_interval_over_episodes_never_stands_among_those_over_seeds():
    one, two = outcome("one", {0: 0.5}), outcome("two", {0: 0.5, 1: 0.6})
    assert sweep.over_seeds([one, two])
    assert sweep.shown(one, False, seeds=True) == "50.0 (one seed)"
    assert sweep.columns([one, two])[2] == "accuracy, %, as trained, over seeds"
    assert sweep.columns([one])[2] == "accuracy, %, as trained, over episodes"
    assert re.fullmatch(r"50\.0 ± 0\.\d", sweep.shown(one, False, seeds=False))
    assert sweep.shown(outcome("none", {}), False, seeds=True) == "–"
    assert "one seed, so not over training" in sweep.note([one])
    assert "over the seeds' means, each of the same 30 test episodes" in sweep.note([one, two])


def test_cells_tested_on_other_episodes_stand_in_a_table_of_their_own():
    shots = replace(Recipe(), episode=replace(Recipe().episode, k_shot=5))
    cells = [outcome("a", {0: 0.5}), outcome("b", {0: 0.7}, recipe=shots), outcome("c", {0: 0.6})]
    assert [[each.cell.name for each in group] for group in sweep.groups(cells)] == [["a", "c"], ["b"]]
    page = sweep.render("x", cells, (0,), "made", [])
    assert page.count("<table>") == 2
    assert "letters, test classes, 5-way 5-shot" in page


def test_as_many_cells_are_drawn_as_can_be_told_apart_and_the_caption_says_which():
    cells = [outcome(f"c{index}", {0: 0.3 + 0.05 * index}, records=course(0.2, 0.5)) for index in range(MOST + 2)]
    chosen, which = sweep.drawn(cells)
    assert [each.cell.name for each in chosen] == ["c0", "c1", "c2", "c5", "c6", "c7", "c8"]
    assert which == "Drawn are 7 of 9 cells: the 4 best and the 3 worst at test."
    page = sweep.render("x", cells, (0,), "made", [])
    assert f"all {MOST} lines end at 50.0%. {which}" in page
    untested = [replace(each, tests={}) for each in cells]
    assert sweep.drawn(untested)[1] == "Drawn are the first 7 of 9 cells."
    assert sweep.drawn(cells[:3]) == (cells[:3], "")


@pytest.mark.parametrize(
    ("ends", "words"),
    [((0.9, 0.6), "a ends highest, at 90.0%, and b lowest, at 60.0%"), ((0.6, 0.6), "all 2 lines end at 60.0%")],
)
def test_captions_say_where_the_lines_end(ends, words):
    cells = [outcome(name, {0: 0.5}, records=course(0.2, end)) for name, end in zip("ab", ends, strict=True)]
    assert words in sweep.render("x", cells, (0,), "made", [])


def test_what_is_zero_throughout_is_said_and_not_drawn():
    records = [{"step": 0, "contrast": {"gap": 0.0, "query_contrast": 0.1}}]
    page = sweep.render("x", [outcome("a", {0: 0.5}, records=records)], (0,), "made", [])
    assert "Not drawn, being 0 throughout: what the split leaves out." in page
    assert page.count("<figure>") == 1


def test_the_test_is_drawn_against_the_axis_with_the_most_values():
    accuracy = {"M1": 0.5, "M2": 0.9, "M5": 0.7}
    cells = [
        outcome(f"{head}-{steps}", {0: value - shift, 1: value - shift}, head=head, steps=steps)
        for head, shift in (("zero", 0.0), ("random", 0.2))
        for steps, value in accuracy.items()
    ]
    page = sweep.render("x", cells, (0, 1), "made", [])
    assert "Over steps, the highest mean is for zero at M2 (90.0%); for random at M2 (70.0%)." in page
    assert (
        "6 cells (head: zero and random; steps: M1, M2 and M5), each for 2 seeds (0, 1); all runs are finished" in page
    )


def test_bands_wider_than_the_axis_are_said_to_be_cut():
    far = replace(
        outcome("a", {0: 0.5}),
        runs={
            seed: OpenedRun(RunDirectory("x"), Recipe(), course(0.2, end), {}) for seed, end in enumerate((0.3, 0.9))
        },
    )
    assert "are cut at the axis" in sweep.render("x", [far], (0, 1), "made", [])
    assert "are cut at the axis" not in sweep.render("x", [outcome("a", {0: 0.5}, records=course(0.2))], (0,), "", [])


def test_a_page_of_nothing_finished_yet_says_so():
    page = sweep.render("x", [outcome("a", {}), outcome("b", {})], (0, 1), "made", [])
    assert "0 of 4 runs are finished." in page
    assert "<table" not in page
    assert "<figure>" not in page


def test_everything_a_user_wrote_is_escaped():
    cells = [outcome("<b>cell</b>", {0: 0.5}, records=course(0.2)), outcome("b", {0: 0.4})]
    page = sweep.render("<i>title</i>", cells, (0,), "<u>made</u>", ["<s>left</s>"])
    for tag in ("<b>cell", "<i>", "<u>", "<s>"):
        assert tag not in page
    assert "<li>&lt;s&gt;left&lt;/s&gt;</li>" in page
    assert "What was left out" not in sweep.render("x", cells, (0,), "made", [])


def test_what_is_asked_across_seeds_is_told_of_all_seeds_of_a_cell(tmp_path):
    recipe, runs = Recipe(), {}
    for seed in range(3):
        own = replace(recipe, seed=seed)
        points = [
            AtStep(step, *(Interval(value + seed, 0.1, 9) for value in (0.5, 0.2, 1.0)), *[None] * 7) for step in (0, 9)
        ]
        found = Coherence(arm_of(own), seed, True, 9, 0, tuple(points), *[None] * 5)
        kept = KeptExplanation(
            "coherence", "sweep", "last", 9, DataConfig(), "test", recipe.episode, 9, 0, *recipe.test_loop, True,
            {}, to_values(found),
        )  # fmt: skip
        keep_explanation(tmp_path / str(seed), kept)
        runs[seed] = OpenedRun(RunDirectory(tmp_path / str(seed)), own, [], {})
    cell = Outcome(Cell("maml", {"head": "random"}, {}, recipe), runs, {})
    page = sweep.render("seeds", [cell], [0, 1, 2], "made", [])
    assert page.count("Flatness, distance and coherence over training</h2>") == 1
    assert "Across 3 seeds of the random, at the same outer step" in page
    assert "What follows was measured across seeds." in page


def test_steps_that_made_no_update_are_told_of_every_run_that_has_some():
    spoilt = [*course(0.2, 0.3), {"step": 2, "skipped": "task 0, parameter '<b>'"}]
    cells = [outcome("<u>a", {0: 0.5, 4: 0.5}, records=spoilt), outcome("b", {0: 0.5}, records=course(0.2, 0.3))]
    page = sweep.render("x", cells, (0, 4), "made", [])
    assert page.count("1 of 2 outer steps made no update") == 2
    assert "<p>&lt;u&gt;a, seed 4: 1 of 2 outer steps" in page
    assert "Outer steps that were skipped or clipped" not in sweep.render("x", cells[1:], (0,), "made", [])
