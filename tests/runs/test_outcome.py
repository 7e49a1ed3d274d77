import json
from dataclasses import replace

import numpy as np
import pytest

from innerloop.data import DataConfig
from innerloop.runs import Best, KeptEvaluation, OpenedRun, Recipe, RunDirectory, history, open_run, saves
from innerloop.runs.grid import Cell
from innerloop.runs.outcome import Outcome, behind, curves, finished, own_test, ranks, to_values
from innerloop.statistics import mean_interval, paired_difference
from innerloop.training import Evaluation, EvaluationConfig, State, TrainingConfig


def kept(accuracies, zeroed=None, command="innerloop sweep grid.yaml", measure="accuracy", **changes):
    columns = [np.array([[0.2, each] for each in arm], dtype=np.float64) for arm in (accuracies, zeroed or accuracies)]
    about = {"data_set": "typeface", "split": "test", "shape": Recipe().episode, "seed": 0, "inner_lr": 0.4}
    result = Evaluation(
        **{**about, **changes}, transductive=True, as_trained=columns[0], zeroed=columns[1], measure=measure
    )
    return KeptEvaluation(command, "last", DataConfig(), result)


def outcome(name, tests, records=()):
    run = OpenedRun(RunDirectory("nowhere"), Recipe(), list(records), {}, name)
    return Outcome(Cell(name, {"a": name}, {}, Recipe()), dict.fromkeys(tests, run), tests)


def test_intervals_are_over_seeds_where_there_are_two_and_else_over_episodes():
    two = outcome("x", {0: kept([0.4, 0.6]), 5: kept([0.7, 0.9])})
    assert two.interval() == mean_interval([0.5, 0.8])
    assert outcome("x", {0: kept([0.4, 0.6])}).interval() == mean_interval([0.4, 0.6])
    assert outcome("x", {}).interval() is None
    assert outcome("x", {0: kept([0.4, 0.6], [0.1, 0.3])}).interval(zero_head=True).mean == pytest.approx(0.2)


def test_a_cell_is_behind_another_by_the_difference_in_pairs_of_shared_seeds():
    high = outcome("high", {0: kept([0.5, 0.7]), 1: kept([0.8, 1.0]), 2: kept([0.9, 0.9])})
    low = outcome("low", {1: kept([0.6, 0.8]), 0: kept([0.5, 0.5]), 7: kept([0.0, 0.0])})
    assert behind(high, low) == paired_difference([0.6, 0.9], [0.5, 0.7])


def test_with_one_shared_seed_the_pairs_are_its_test_episodes_and_with_none_there_are_no_pairs():
    high, low = outcome("high", {0: kept([0.5, 0.7])}), outcome("low", {0: kept([0.4, 0.5], [0.1, 0.5])})
    assert behind(high, low) == paired_difference([0.5, 0.7], [0.4, 0.5])
    assert behind(high, low, zero_head=True) == paired_difference([0.5, 0.7], [0.1, 0.5])
    assert behind(high, outcome("other", {1: kept([0.1, 0.2])})) is None


def test_the_lowest_loss_and_the_highest_accuracy_rank_first():
    low, high = (outcome(name, {0: kept(values)}) for name, values in (("low", [0.1, 0.2]), ("high", [0.8, 0.9])))
    assert [each.cell.name for each in ranks([low, outcome("none", {}), high])] == ["high", "low"]
    losses = [outcome(name, {0: kept(values, measure="loss")}) for name, values in (("big", [2, 3]), ("small", [1, 1]))]
    assert [each.cell.name for each in ranks(losses)] == ["small", "big"]
    assert behind(losses[1], losses[0]).mean == 1.5


def test_a_band_is_the_mean_over_the_seeds_that_have_a_value_at_a_step():
    first = [{"step": 0, "contrast": {"gap": 1.0}}, {"step": 5, "contrast": {"gap": 3.0}, "loss": 9.0}]
    second = [{"step": 0, "contrast": {"gap": 2.0}}, {"step": 5, "contrast": {"gap": float("nan"), "flag": None}}]
    runs = {seed: OpenedRun(RunDirectory("x"), Recipe(), each, {}) for seed, each in enumerate((first, second))}
    both = Outcome(Cell("x", {}, {}, Recipe()), runs, {})
    assert both.band(("contrast", "gap")) == [(0, mean_interval([1.0, 2.0])), (5, mean_interval([3.0]))]
    assert both.extremes(("contrast", "gap")) == [1.0, 3.0, 2.0]
    assert set(curves(runs[0])) == {("contrast", "gap")}


def begun(folder, recipe):
    directory = RunDirectory(folder)
    directory.made().release()
    directory.begin(recipe, {})
    history.append(directory.history, {"step": 0})
    return directory


def test_a_run_is_finished_when_its_last_checkpoint_is_of_its_last_step(tmp_path):
    directory = begun(tmp_path / "run", Recipe(training=TrainingConfig(steps=3)))
    assert not finished(open_run(directory.folder))
    history.append(directory.history, {"step": 3})
    saves.write(directory, State(2, {}), Best(), keep=2)
    assert not finished(open_run(directory.folder))  # the history is ahead of what was saved
    saves.write(directory, State(3, {}), Best(), keep=2)
    assert finished(open_run(directory.folder))


@pytest.mark.parametrize(
    ("changes", "counts"),
    [
        ({}, True),
        ({"command": "innerloop evaluate run"}, False),
        ({"seed": 3}, False),
        ({"inner_lr": 0.1}, False),
        ({"split": "validation"}, False),
        ({"head": "logistic"}, False),
        ({"accuracies": [0.1, 0.2, 0.3]}, False),
    ],
)
def test_only_a_test_by_a_sweep_as_the_recipe_says_counts(tmp_path, changes, counts):
    run = open_run(begun(tmp_path / "run", Recipe(evaluation=EvaluationConfig(episodes=2))).folder)
    run.keep(kept(**{"accuracies": [0.1, 0.2], **changes}))
    assert (own_test(run) is not None) == counts


def test_rates_and_steps_of_the_test_are_the_recipes_own(tmp_path):
    how = EvaluationConfig(episodes=2, inner_lr=0.1, inner_steps=1)
    run = open_run(begun(tmp_path / "run", Recipe(evaluation=how)).folder)
    run.keep(kept([0.1, 0.2]))
    assert own_test(run) is None
    run.keep(kept([0.1, 0.2], inner_lr=0.1))
    assert own_test(run).evaluation.inner_lr == 0.1
    with_ridge = replace(run, recipe=replace(run.recipe, evaluation=replace(how, head="ridge")))
    assert own_test(with_ridge) is None
    run.keep(kept([0.1, 0.2], inner_lr=0.1, head="ridge"))
    assert own_test(with_ridge).evaluation.head == "ridge"
    longer = replace(run, recipe=replace(run.recipe, evaluation=replace(how, inner_steps=2)))
    assert own_test(longer) is None


def test_values_say_what_the_figures_are_drawn_of_as_strict_json():
    record = {"step": 4, "validation": {"accuracy": 0.5}}
    cell = outcome("x", {3: kept([0.4]), 5: kept([0.6])}, [record])
    values = json.loads(json.dumps(to_values(cell, {3: "x/seed-3", 5: "x/seed-5"}, []), allow_nan=False))
    assert values["as_trained"]["mean"] == 0.5
    assert values["interval_over"] == "seeds"
    assert [each["seed"] for each in values["runs"]] == [3, 5]
    assert values["runs"][0]["folder"] == "x/seed-3"
    assert values["runs"][0]["curves"] == {"validation.accuracy": {"steps": [4], "values": [0.5]}}
    assert values["runs"][1]["test"]["by_inner_step"]["as_trained"][-1] == {
        "mean": 0.6,
        "half_width": None,
        "observations": 1,
    }
