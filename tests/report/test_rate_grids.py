from dataclasses import replace

import numpy as np

from innerloop.analysis.inner_lr import InnerLr, InnerLrSettings, arm
from innerloop.analysis.values import to_values
from innerloop.data import DataConfig
from innerloop.report.rate_grids import rate_grids, sentences, shown
from innerloop.report.words import runs_of
from innerloop.runs import KeptExplanation, OpenedRun, Recipe, RunDirectory, keep_explanation
from innerloop.runs.grid import Cell
from innerloop.runs.outcome import Outcome

RATES = (-0.1, 0.1)


def outcome(folder, head, lr, by_seed, steps=1, tested=None):
    """A cell whose runs were explained: accuracies at both rates, by seed; at another rate of the test if asked."""
    recipe = Recipe()
    recipe = replace(recipe, inner=replace(recipe.inner, lr=lr, steps=steps))
    recipe = replace(recipe, algorithm=replace(recipe.algorithm, head=head)) if head else recipe
    runs = {}
    for seed, means in by_seed.items():
        scores = np.array([[0.2, mean] for mean in means])[None] + np.linspace(-0.01, 0.01, 6)[:, None, None]
        one = arm(np.stack([scores, 1 - scores], axis=-1))
        found = InnerLr(lr, 1, lr, 1, "all", 0.2, RATES, 1, head == "zeroing", 1.0, one, one, None, ())
        place = folder / f"{head}{lr}" / f"seed-{seed}"
        kept = KeptExplanation(
            "inner_lr", "sweep", "last", 5, DataConfig(), "test", recipe.episode, 6, 0, *(tested or recipe.test_loop),
            True, {}, to_values(found),
        )  # fmt: skip
        keep_explanation(place, kept)
        runs[seed] = OpenedRun(RunDirectory(place), replace(recipe, seed=seed), [], {})
    return Outcome(Cell(f"{head}{lr}", {"head": head or "random", "rate": f"{lr:g}"}, {}, recipe), runs, {})


def three(low, high):
    return {seed: (low + 0.001 * seed, high + 0.002 * seed * seed) for seed in range(3)}


def test_cells_that_differ_in_the_rate_of_training_alone_make_a_grid_each(tmp_path):
    cells = [
        outcome(tmp_path, head, lr, three(0.1 if lr > 0 else 0.3, 0.7 if lr > 0 else 0.25))
        for head in (None, "zeroing")
        for lr in (-0.4, 0.4)
    ]
    found = rate_grids([*cells, outcome(tmp_path, None, 0.2, three(0.1, 0.6), steps=2)])
    assert list(found) == ["random, head as trained", "random, head zeroed", "zeroing, head as trained"]
    assert found["random, head as trained"].training == (-0.4, 0.4)
    said = sentences(found)[0]
    assert said.startswith("Random, head as trained: best at rate 0.4 in training and 0.1 in adaptation, 70.3 ±")
    assert (
        "with a negative rate of training at most 30.1 ± 0.2%, trained at -0.4 and adapted at -0.1 (significantly"
        in said
    )
    assert "with a negative rate of adaptation at most 30.1 ± 0.2%" in said
    assert said.endswith("(guessing: 20.0%).")
    page = shown(found)
    assert page.count("<img") == 3
    assert "mean over 3 seeds" in page


def test_one_rate_or_none_explained_makes_no_grid(tmp_path):
    assert rate_grids([outcome(tmp_path, None, 0.4, three(0.1, 0.7)), outcome(tmp_path, None, 0.1, {})]) == {}
    assert shown({}) == ""


def test_what_was_explained_as_tested_otherwise_than_in_the_sweep_does_not_count(tmp_path):
    cells = [
        outcome(tmp_path, None, 0.4, three(0.1, 0.7)),
        outcome(tmp_path, None, 0.1, three(0.1, 0.6), tested=(9.0, 1)),
    ]
    assert rate_grids(cells) == {}


def test_one_seed_has_no_intervals_and_tells_no_differences(tmp_path):
    found = rate_grids([outcome(tmp_path, None, lr, {0: (0.1, 0.7 + lr)}) for lr in (-0.1, 0.1)])
    said = sentences(found)[0]
    assert "80.0% (one seed)" in said
    assert "significantly" not in said


def test_the_rates_that_are_usual_are_both_signs_of_the_same_sizes():
    rates = InnerLrSettings().rates
    assert sorted(rates) == list(rates)
    assert sorted(-rate for rate in rates) == list(rates)


def test_chosen_numbers_are_told_as_runs_of_neighbours_among_those_tried():
    tried = (-10.0, -0.1, 0.01, 0.1, 0.4)
    assert runs_of({-10.0, 0.01, 0.1}, tried) == "-10 and 0.01 to 0.1"
    assert runs_of({-0.1}, tried) == "-0.1"
    assert runs_of(tried, tried) == "-10 to 0.4"


def test_an_explanation_with_long_settings_has_a_folder_name_that_disks_take_and_that_tells_it_apart():
    def name_of(rates):
        settings = {"rates": rates, "most": 10}
        shape = Recipe().episode
        return KeptExplanation(
            "inner_lr", "sweep", "last", 5, DataConfig(), "test", shape, 6, 0, 0.1, 1, True, settings, {}
        ).name  # fmt: skip

    many = tuple(number / 1000 for number in range(1, 200))
    assert len(name_of(many)) < 255
    assert name_of(many) != name_of(many[:-1])
    assert "rates-(0.1-0.2)-most-10" in name_of((0.1, 0.2))
