import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from innerloop.cli.sweep import Clock, until
from innerloop.runs import open_run
from kept import newest

COMMAND = Path(sys.executable).with_name("innerloop")
BASE = """
model: {name: strided_conv4, filters: 8}
training: {steps: 6, tasks: 2}
record: {validation: 3, validation_episodes: 2, contrast: 3, cosine: 3, probe_episodes: 2}
evaluation: {episodes: 4}
"""
GRID = """
recipe: base.yaml
axes:
  head:
    random: {}
    zeroing: {algorithm.head: zeroing}
  steps:
    M1: {inner.steps: 1}
    M2: {inner.steps: 2}
seeds: [0, 1]
"""
RUNS = [f"{head}-{steps}/seed-{seed}" for seed in (0, 1) for head in ("random", "zeroing") for steps in ("M1", "M2")]


def write(folder, grid=GRID, base=BASE):
    (folder / "base.yaml").write_text(base)
    (folder / "grid.yaml").write_text(grid)


@pytest.fixture
def commands(commands_in, tmp_path):
    return commands_in(tmp_path)


def numbers(folder):
    """What was measured, without who measured it when."""
    values = json.loads((folder / "sweep.json").read_text())
    for cell in values["cells"]:
        for run in cell["runs"]:
            for kept in run["explained"]:
                kept.pop("command")
    return values["cells"]


@pytest.fixture(scope="module")
def whole(commands_in, tmp_path_factory):
    shell = commands_in(tmp_path_factory.mktemp("whole"))
    write(shell.folder)
    shell.said = shell("sweep", "grid.yaml", "--out=sweep")
    return shell


@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
def test_numbers_that_no_figure_can_show_are_one_line(whole, commands_in, tmp_path):
    shell = commands_in(shutil.copytree(whole.folder, tmp_path / "copy"))
    history = shell.folder / "sweep" / RUNS[0] / "history.jsonl"
    first, *rest = history.read_text().splitlines()
    odd = {**json.loads(first), "validation": {"accuracy": -1e308, "zeroed": 1e308}}
    history.write_text("\n".join([json.dumps(odd), *rest, ""]))
    assert "do not fit one another" in shell.refused("sweep", "grid.yaml", "--out=sweep")


def test_a_sweep_leaves_a_run_for_every_cell_and_seed_and_one_table_and_page(whole):
    folder = whole.folder / "sweep"
    for number, name in enumerate(RUNS, 1):
        assert f"{number}/8 {name}  6/6" in whole.said
        recipe = open_run(folder / name).recipe
        assert (recipe.seed, recipe.inner.steps) == (int(name[-1]), int(name.split("/")[0][-1]))
        assert recipe.algorithm.head == ("zeroing" if name.startswith("zeroing") else None)
        assert len(open_run(folder / name).evaluations()) == 1
    assert "over seeds" in whole.said
    assert "has the highest mean accuracy of the 4 tested cells" in whole.said
    assert (folder / "grid.yaml").read_text() == GRID
    page = (folder / "sweep.html").read_text()
    assert "all runs are finished" in page
    assert "<script" not in page
    cells = numbers(folder)
    assert [cell["name"] for cell in cells] == ["random-M1", "random-M2", "zeroing-M1", "zeroing-M2"]
    assert all([run["seed"] for run in cell["runs"]] == [0, 1] for cell in cells)
    assert cells[3]["settings"] == {"algorithm.head": "zeroing", "inner.steps": 2}


def test_a_sweep_interrupted_and_continued_is_the_uninterrupted_one(whole, commands):
    write(commands.folder)
    process = subprocess.Popen(
        [str(COMMAND), "sweep", "grid.yaml", "--out=sweep"],
        cwd=commands.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    history = commands.folder / "sweep" / RUNS[1] / "history.jsonl"
    while process.poll() is None and not (history.exists() and len(history.read_text().splitlines()) >= 3):
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate()
    assert process.returncode == 130
    assert "Traceback" not in said
    assert "Saved; go on with: innerloop sweep grid.yaml --out=sweep" in said
    assert "1 of 8 runs are finished" in (commands.folder / "sweep" / "sweep.html").read_text()
    said = commands("sweep", "grid.yaml", "--out=sweep", "--minutes=0")
    assert "Stopped after 0 minutes: 7 of 8 runs left; go on with: innerloop sweep grid.yaml --out=sweep" in said
    said = commands("sweep", "grid.yaml", "--out=sweep", "--only=zeroing-M2/seed-1")
    assert "1/1 zeroing-M2/seed-1  6/6" in said
    said = commands("sweep", "grid.yaml", "--out=sweep")
    assert RUNS[0] + "  6/6" not in said
    assert "8/8 zeroing-M2/seed-1" not in said  # finished above
    for cell, other in zip(*(numbers(each.folder / "sweep") for each in (commands, whole)), strict=True):
        for run, same in zip(cell.pop("runs"), other.pop("runs"), strict=True):
            assert run == same
        assert cell == other
    for name in RUNS:
        left, right = (newest(each.folder / "sweep" / name) for each in (commands, whole))
        assert left.read_bytes() == right.read_bytes()


def test_what_is_finished_is_not_done_again(whole):
    before = {place: place.stat().st_mtime_ns for place in (whole.folder / "sweep").glob("*/*/*")}
    said = whole("sweep", "grid.yaml", "--out=sweep", "--minutes=0")
    assert "6/6" not in said
    assert "Stopped" not in said
    assert {place: place.stat().st_mtime_ns for place in (whole.folder / "sweep").glob("*/*/*")} == before


def test_time_that_is_up_ends_a_run_between_outer_steps_and_closes_it():
    closed = []

    def steps():
        try:
            yield from range(5)
        finally:
            closed.append(True)

    run = steps()
    assert list(until(Clock(0.0), run)) == [0]
    run.close()
    assert closed == [True]
    assert list(until(Clock(None), steps())) == [0, 1, 2, 3, 4]


EXPLAINED = """
recipe: base.yaml
set: {training.steps: 1, record.contrast: 0, record.cosine: 0}
axes:
  rate: {bad: {inner.lr: 1e30, record.validation: 0}, good: {}}
explain: [contrast]
"""


@pytest.mark.parametrize("at_test", ["", ", evaluation.inner_steps: 2"])  # contrast looks at the loop of training
@pytest.mark.usefixtures("svg_alone")
def test_runs_are_explained_once_and_one_that_diverges_stops_no_other(commands, at_test):
    write(commands.folder, EXPLAINED.replace("record.cosine: 0", f"record.cosine: 0{at_test}"))
    said = commands("sweep", "grid.yaml", "--out=sweep")
    assert "bad, seed 0: expected a finite query loss" in said
    assert "2/2 good/seed-0  1/1" in said
    page = (commands.folder / "sweep" / "sweep.html").read_text()
    assert "What was left out" in page
    assert "The prism" in page
    assert "measured on the runs of seed 0" in page
    result = next((commands.folder / "sweep" / "good" / "seed-0" / "explained").glob("*/result.json"))
    before = result.stat().st_mtime_ns
    commands("sweep", "grid.yaml", "--out=sweep")
    assert result.stat().st_mtime_ns == before
    cells = numbers(commands.folder / "sweep")
    assert [len(cell["runs"]) for cell in cells] == [0, 1]
    assert cells[1]["runs"][0]["explained"][0]["analysis"] == "contrast"


@pytest.mark.usefixtures("svg_alone")
def test_runs_that_are_there_are_asked_something_else_without_training_them_anew(commands):
    few = "axes: {rate: {slow: {inner.lr: 0.1}}}\nset: {training.steps: 1, record.contrast: 0, record.cosine: 0}\n"
    first = "evaluate: false\nexplain: [head_memory]\nanalyses: {head_memory.tried: 0}\n"
    write(commands.folder, f"recipe: base.yaml\n{few}{first}")
    commands("sweep", "grid.yaml", "--out=sweep")
    history = commands.folder / "sweep" / "slow" / "seed-0" / "history.jsonl"
    before = history.stat().st_mtime_ns
    write(commands.folder, f"recipe: base.yaml\n{few}explain: [cosine]\n")
    commands("sweep", "grid.yaml", "--out=sweep")
    assert history.stat().st_mtime_ns == before
    assert list(history.parent.glob("explained/cosine*/result.json"))
    assert len(open_run(history.parent).evaluations()) == 1
    assert "explain: [cosine]" in (commands.folder / "sweep" / "grid.yaml").read_text()


@pytest.mark.parametrize(
    ("grid", "options", "words"),
    [
        ("axess: {}", [], "Did you mean 'axes'?"),
        ("axes: {a: {x: {}, y: {inner.lrr: 1}}}", [], "unknown setting 'inner.lrr' in cell 'y'. Did you mean"),
        ("axes: {a: {x: {}, y: {inner.steps: -1}}}", [], "cell 'y': expected inner steps of at least 0"),
        ("axes: {a: {x: {}, y: {episode.k_shot: 6}}}", [], "cell 'y': expected at least 21 images"),
        ("axes: {a: {x: {}, y: {data.name: digits}}}", [], "cell 'y': "),
        ("axes: {a: {x: {}, y: {data.name: omniglot, data.root: nowhere}}}", [], "cell 'y': "),
        ("recipe: nowhere.yaml", [], "no such file"),
        ("explain: [contrats]", [], "Did you mean 'contrast'?"),
        ("{explain: [inner_lr], analyses: {inner_lr.mots: 1}}", [], "Did you mean 'most'?"),
        ("{explain: [inner_lr], analyses: {inner_lr.most: many}}", [], "expected other settings of inner_lr"),
        ("{explain: [inner_lr], analyses: {inner_lr.most: 0}}", [], "at least 1 inner step to try, got most=0"),
        ("{explain: [cosine], analyses: {cosine.most: 1}}", [], "unknown setting of cosine 'most'"),
        ("{explain: [cosine], analyses: {inner_lr.most: 1}}", [], "settings of what is explained (cosine), got"),
        ("seeds: [0]", ["--only=zzz"], "expected --only to be in the name of a run, got 'zzz'; one is 'grid/seed-0'"),
        ("seeds: [0]", ["--minutes=-1"], "expected --minutes of at least 0"),
        ("seeds: [0]", ["--data.root=."], "expected data with files for --data.root, got typeface"),
        ("seeds: [0]", ["--mintes=3"], "Did you mean 'minutes'?"),
    ],
)
def test_what_is_refused_is_refused_before_anything_is_trained(commands, grid, options, words):
    write(commands.folder, grid)
    assert words in commands.refused("sweep", "grid.yaml", "--out=sweep", *options)
    assert not (commands.folder / "sweep").exists()


def test_a_grid_that_is_not_there_and_a_place_that_nobody_named_are_one_line(commands):
    assert "expected a grid in 'grid.yaml', got no such file" in commands.refused("sweep", "grid.yaml", "--out=x")
    write(commands.folder)
    assert "arguments are required: out" in commands.refused("sweep", "grid.yaml")


def test_another_grids_folder_and_anybody_elses_are_left_as_they_are(whole, commands):
    write(whole.folder, GRID.replace("[0, 1]", "[0, 2]"))
    assert "got another one (its seeds differ)" in whole.refused("sweep", "grid.yaml", "--out=sweep")
    write(whole.folder, GRID.replace("inner.steps: 2", "inner.steps: 3"))
    assert "got another one (its axes differ)" in whole.refused("sweep", "grid.yaml", "--out=sweep")
    write(whole.folder, GRID + "set: {training.tasks: 3}\n")
    assert "got another one (its set differ)" in whole.refused("sweep", "grid.yaml", "--out=sweep")
    write(whole.folder, "# a comment is no change\n" + GRID, BASE.replace("tasks: 2", "tasks: 3"))
    assert "got training.tasks 2 there and 3 here" in whole.refused("sweep", "grid.yaml", "--out=sweep")
    write(whole.folder)
    write(commands.folder)
    (commands.folder / "mine").mkdir()
    (commands.folder / "mine" / "notes.txt").write_text("mine")
    assert "choose another with --out" in commands.refused("sweep", "grid.yaml", "--out=mine")
    assert [each.name for each in (commands.folder / "mine").iterdir()] == ["notes.txt"]


def test_data_with_files_is_found_where_the_command_says(commands, omniglot_root):
    write(
        commands.folder,
        "set: {data.name: omniglot, data.split: characters, training.steps: 1, training.tasks: 1,\n"
        "      model.name: strided_conv4, record.validation_episodes: 1}\nevaluate: false\n",
    )
    said = commands("sweep", "grid.yaml", "--out=sweep", f"--data.root={omniglot_root}")
    assert "head zeroed" not in said
    recipe = yaml.safe_load((commands.folder / "sweep" / "grid" / "seed-0" / "recipe.yaml").read_text())
    assert recipe["data"]["root"] == str(omniglot_root)


RATES = """
recipe: base.yaml
set: {training.steps: 1, record.validation: 0, record.contrast: 0, record.cosine: 0}
axes:
  rate: {"-0.1": {inner.lr: -0.1}, "0.1": {inner.lr: 0.1}}
evaluate: false
explain: [inner_lr]
analyses: {inner_lr.most: 1, inner_lr.rates: [-1, 1]}
"""


@pytest.mark.usefixtures("svg_alone")
def test_rates_of_training_are_crossed_with_those_of_adaptation_by_an_analysis_with_settings(commands):
    write(commands.folder, RATES)
    said = commands("sweep", "grid.yaml", "--out=sweep")
    assert "Head as trained: best at rate" in said
    rates = json.loads((commands.folder / "sweep" / "sweep.json").read_text())["rates"]
    grid = rates["head as trained"]
    assert (grid["training"], grid["adaptation"], grid["seeds"]) == ([-0.1, 0.1], [-1.0, -0.1, 0.1, 1.0], [0])
    assert "Rates of training by rates of adaptation" in (commands.folder / "sweep" / "sweep.html").read_text()
    results = list((commands.folder / "sweep").glob("*/seed-0/explained/*/result.json"))
    before = [each.stat().st_mtime_ns for each in results]
    assert len(before) == 2
    commands("sweep", "grid.yaml", "--out=sweep")
    assert [each.stat().st_mtime_ns for each in results] == before
