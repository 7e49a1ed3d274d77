"""Training that diverges, as a user meets it: inner steps too long for some tasks of a regression."""

import json
from pathlib import Path

import pytest
import torch

from innerloop.runs import open_run

RECIPE = Path(__file__).resolve().parents[2] / "recipes" / "sinusoid-10s-maml.yaml"
STEPS = 16
WILD = (
    f"--config={RECIPE}",
    "--inner.lr=0.2",
    "--inner.steps=5",
    "--training.tasks=4",
    f"--training.steps={STEPS}",
    "--record.validation=0",
)


def history(run):
    records = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    return [{key: value for key, value in record.items() if key != "seconds"} for record in records]


def same(left, right):
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def test_skipped_steps_are_counted_on_the_command_line_in_the_history_and_in_the_report(installed):
    said = installed("train", *WILD, "--training.nonfinite=skip", "--out=run")
    records = history(installed.folder / "run")
    skipped = [record["step"] for record in records if "skipped" in record]
    told = f"{len(skipped)} of {STEPS} outer steps made no update, since a loss, a gradient or an update was not finite"
    assert 0 < len(skipped) < STEPS
    assert f"{told}: {skipped[0]}" in said
    assert f"skipped {len(skipped)}\n" in said
    for record in records[1:]:
        assert ("loss" in record) != ("skipped" in record)
    installed("report", "run")
    assert f"<p>{told}: {skipped[0]}" in (installed.folder / "run" / "report.html").read_text()
    installed("evaluate", "run", "--episodes=2", "--inner_lr=0.01")


@pytest.mark.parametrize("policy", ["skip", "halve"])
def test_a_run_that_stopped_goes_on_with_another_policy_as_if_it_had_always_had_it(shell, policy):
    said = shell.refused("train", *WILD, "--out=run")
    run, whole = (open_run(shell.folder / "run"), shell.folder / "whole")
    assert f"at outer step {run.history[-1]['step'] + 1} in " in said
    assert run.state("last").step == run.history[-1]["step"]
    recipe = shell.folder / "run" / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("nonfinite: stop", f"nonfinite: {policy}"))
    said = shell("train", "--resume=run")
    assert "made no update" in said
    shell("train", *WILD, f"--training.nonfinite={policy}", "--out=whole")
    left, right = run.state("last"), open_run(whole).state("last")
    assert same(left.params, right.params)
    assert same(left.optimizer, right.optimizer)
    assert (left.rate, left.in_a_row, left.skipped) == (right.rate, right.in_a_row, right.skipped)
    assert history(shell.folder / "run")[2:] == history(whole)[2:]
    if policy == "halve":
        assert f"the outer rate fell from 0.001 to {0.001 * left.rate:g}." in said
        assert left.rate < 1


def test_a_run_that_is_never_finite_ends_after_ten_steps_and_can_still_be_opened(shell):
    said = shell.refused("train", *WILD, "--inner.lr=1e30", "--training.nonfinite=skip", "--out=run")
    assert "once in 10 outer steps, got none in steps 1 to 10" in said
    run = open_run(shell.folder / "run")
    assert [record["step"] for record in run.history if "skipped" in record] == list(range(1, 10))
    assert run.state("last").in_a_row == 9
    assert "got none in steps 1 to 10" in shell.refused("train", "--resume=run")
    shell("report", "run")


def test_validation_that_is_not_finite_ends_training_or_has_no_score(shell):
    validated = (*WILD, "--record.validation=8", "--record.validation_episodes=40")
    assert "expected finite predictions" in shell.refused("train", *validated, "--out=stopped")
    said = shell("train", *validated, "--training.nonfinite=skip", "--out=run")
    told = "3 of 3 validations have no score, since predictions were not finite: after outer steps 0, 8 and 16."
    assert told in said
    records = history(shell.folder / "run")
    assert [record["step"] for record in records if "expected finite" in record.get("unscored", "")] == [0, 8, 16]
    assert not any("validation" in record for record in records)
    assert open_run(shell.folder / "run").chosen("best") == "last"
    shell("report", "run")
    page = (shell.folder / "run" / "report.html").read_text()
    assert told in page
    assert "queries a class" not in page


def test_norms_before_clipping_are_in_the_history(shell):
    said = shell("train", *WILD, "--inner.lr=0.01", "--training.clip=5", "--out=run")
    records = history(shell.folder / "run")
    norms = [record["gradient_norm"] for record in records[1:]]
    assert len(norms) == STEPS
    longer = sum(each > 5 for each in norms)
    assert f"The meta-gradient was longer than 5 in {longer} of {STEPS} outer steps" in said
    shell("train", *WILD, "--inner.lr=0.01", "--out=free")
    assert "gradient_norm" not in history(shell.folder / "free")[1]


def test_a_sweep_over_runs_that_skip_steps_tells_them_on_its_page(shell):
    base = RECIPE.read_text().replace("steps: 30000", f"steps: {STEPS}").replace("tasks: 25", "tasks: 4")
    base = base.replace("validation: 1000", "validation: 0").replace("outer_lr:", "nonfinite: skip\n  outer_lr:")
    (shell.folder / "base.yaml").write_text(base)
    grid = (
        "recipe: base.yaml\naxes:\n  pace:\n    wild: {inner.lr: 0.2, inner.steps: 5}\n    tame: {}\nevaluate: false\n"
    )
    (shell.folder / "grid.yaml").write_text(grid)
    shell("sweep", "grid.yaml", "--out=sweep")
    page = (shell.folder / "sweep" / "sweep.html").read_text()
    assert "<p>wild, seed 0: " in page
    assert "outer steps made no update" in page
    assert "<p>tame" not in page


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("--training.nonfinite=skipp", "one of stop, skip, halve, got 'skipp'. Did you mean 'skip'?"),
        ("--training.clip=0", "expected a positive, finite training.clip, got 0.0"),
        ("--training.outer_lr=1e38", "expected training.outer_lr above 0 and up to 1e+30, got 1e+38"),
    ],
)
def test_policies_that_mean_nothing_are_one_line_and_make_nothing(shell, setting, words):
    assert words in shell.refused("train", *WILD, setting, "--out=run")
    assert not (shell.folder / "run").exists()
