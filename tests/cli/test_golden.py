"""Runs of every format so far are opened, tested, explained, told of and continued by this version."""

import json
import shutil
from pathlib import Path

import pytest

from innerloop import driver
from innerloop.errors import RunError
from innerloop.runs import RunDirectory, history, open_run, saves
from innerloop.runs.directory import FORMAT

RUNS = sorted((Path(__file__).parents[1] / "golden").glob("format-*"))


@pytest.fixture(params=RUNS, ids=[run.name for run in RUNS])
def golden(request, tmp_path):
    return Path(shutil.copytree(request.param, tmp_path / request.param.name))


def test_there_is_a_run_of_every_format():
    assert [run.name for run in RUNS] == [f"format-{number}" for number in range(1, FORMAT + 1)]


def test_it_says_what_it_is_and_what_made_it(golden):
    run = open_run(golden)
    assert (run.recipe.data.name, run.recipe.training.steps, run.about["innerloop"]) == ("gaussians", 3, "0.1.0")
    assert [record["step"] for record in run.history] == [0, 1, 2, 3]
    assert run.snapshots() == (0, 1, 2, 3)
    assert [run.state(which).step for which in ("best", "last")] == [run.state("best").step, 3]


def test_its_test_comes_out_as_it_did(golden, shell):
    kept = open_run(golden).evaluations()[0].evaluation
    shell("evaluate", golden, "--episodes=6", "--checkpoint=last", "--seed=0")
    again = open_run(golden).evaluations()[0].evaluation
    assert again.as_trained == pytest.approx(kept.as_trained, abs=1e-3)


def test_it_is_explained_and_told_of(golden, shell):
    shell("explain", golden, "contrast", "--episodes=2", "--checkpoint=last")
    shell("report", golden)
    assert [each.analysis for each in open_run(golden).explanations()] == ["contrast", "memorization"]
    assert "contrast" in (golden / "report.html").read_text()


def test_it_is_continued_and_is_of_this_format_afterwards(golden):
    recipe = golden / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("\n  steps: 3\n", "\n  steps: 5\n", 1))
    for _ in driver.resume(str(golden), "test"):
        pass
    run = open_run(golden)
    assert run.about["format"] == FORMAT
    assert saves.steps(run.directory) == (4, 5)
    assert not run.directory.only.exists()
    assert [record["step"] for record in history.read(run.directory.history)] == list(range(6))


def test_a_run_of_a_later_format_is_refused_with_the_version_that_wrote_it(golden):
    about = json.loads((golden / "run.json").read_text())
    (golden / "run.json").write_text(json.dumps({**about, "format": FORMAT + 1, "innerloop": "9.9"}))
    before = {place: place.read_bytes() for place in golden.rglob("*") if place.is_file()}
    with pytest.raises(RunError, match=r"got 3, of innerloop 9\.9; open it with that version"):
        open_run(golden)
    with pytest.raises(RunError, match="of innerloop 9"):
        driver.resume(str(golden), "test")
    assert before == {place: place.read_bytes() for place in golden.rglob("*") if place.is_file()}


def test_the_only_checkpoint_of_the_first_format_is_found_where_it_was():
    assert saves.newest(RunDirectory(RUNS[0]))[0].step == 3
