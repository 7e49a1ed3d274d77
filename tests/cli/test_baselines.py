"""Baselines as a user meets them: a classifier over all training classes, and other heads at test for every run."""

import json
from html import unescape

import pytest

from innerloop.data import DataConfig, load
from innerloop.runs import open_run
from kept import newest


@pytest.fixture(scope="module")
def plain(small):
    """Small settings without what only the contrastive view can measure."""
    return [each for each in small if "contrast" not in each]


@pytest.fixture(scope="module")
def trained(commands_in, plain, tmp_path_factory):
    shell = commands_in(tmp_path_factory.mktemp("baselines"))
    shell("train", *plain, "--training.steps=4", "--out=pretrained", "--algorithm.name=pretrained")
    shell("train", *plain, "--training.steps=2", "--out=maml", "--algorithm.name=maml")
    return shell


def test_the_head_has_a_row_for_every_training_class_and_a_test_has_rows_of_its_own(trained):
    run = open_run(trained.folder / "pretrained")
    assert len(run.state("last").params["head.weight"]) == len(load(DataConfig()).classes("train")) > 5
    said = trained("evaluate", "pretrained", "--episodes=3")
    assert "the nearest class centre for a head; no inner step" in said
    assert "head zeroed first" not in said
    (kept,) = [each for each in run.evaluations() if len(each.evaluation.as_trained) == 3]
    assert (kept.evaluation.head, kept.evaluation.as_trained.shape) == ("prototypes", (3, 1))


def test_the_reported_accuracy_is_over_all_training_classes(trained):
    records = [json.loads(line) for line in (trained.folder / "pretrained" / "history.jsonl").read_text().splitlines()]
    assert records[1]["loss"] > 3.5  # log of 5 ways is 1.6
    assert "validation" in records[-1]


def test_a_run_stopped_and_resumed_is_the_uninterrupted_one(trained, plain):
    shell = trained
    shell("train", *plain, "--training.steps=2", "--out=part", "--algorithm.name=pretrained")
    recipe = shell.folder / "part" / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("\n  steps: 2\n", "\n  steps: 4\n", 1))
    shell("train", "--resume=part")
    whole, part = (newest(shell.folder / name) for name in ("pretrained", "part"))
    assert whole.read_bytes() == part.read_bytes()


@pytest.mark.parametrize("head", ["zero", "prototypes", "ridge", "logistic", "attention"])
@pytest.mark.parametrize("run", ["pretrained", "maml"])
def test_every_run_can_be_tested_with_every_head_and_each_test_is_kept(trained, run, head):
    steps = ["--inner_steps=1"] if (run, head) == ("pretrained", "zero") else []  # it has none of its own
    said = trained("evaluate", run, "--episodes=2", f"--head={head}", "--seed=4", *steps)
    place = trained.folder / said.strip().splitlines()[-1].removeprefix("Kept in ")
    assert f"{head}-head" in place.name
    assert json.loads(place.read_text())["evaluation"]["head"] == head


def test_a_zero_head_that_would_stay_zero_is_no_test(trained):
    said = trained.refused("evaluate", "pretrained", "--episodes=2", "--head=zero")
    assert "a head that adapts from evaluation.head=zero, got adapts=head and 0 inner steps" in said


def test_the_report_tells_heads_apart_and_says_what_they_are(trained):
    for run in ("pretrained", "maml"):
        trained("evaluate", run, "--episodes=4", "--head=logistic")
        trained("evaluate", run, "--episodes=4", "--head=prototypes")
    trained("report", "pretrained", "maml", "--out=page.html")
    page = (trained.folder / "page.html").read_text()
    assert "With logistic regression on the support features for a head, the" in page
    assert "With the nearest class centre for a head, the" in page


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            ["--algorithm.name=pretrained", "--data.name=sinusoid", "--inner.loss=mse"],
            "data with classes for pretrained",
        ),
        (["--algorithm.name=protomaml", "--data.name=sinusoid", "--inner.loss=mse"], "data with classes for protomaml"),
        (
            ["--algorithm.name=pretrained", "--algorithm.head=ridge", "--data.name=sinusoid", "--inner.loss=mse"],
            "with classes for pretrained",
        ),
        (["--evaluation.head=logistic", "--data.name=sinusoid", "--inner.loss=mse"], "data with classes for head"),
        (["--algorithm.name=pretrained", "--data.name=gaussians"], "expected a data set with stored examples"),
        (["--algorithm.name=pretrained", "--inner.steps=3"], "expected inner.steps=0 for order=joint, got 3"),
        (["--algorithm.head=logistic"], "another head in training, got logistic"),
        (["--evaluation.head=attention", "--evaluation.inner_steps=2"], "0 inner steps with attention"),
        (["--algorithm.name=protonet", "--record.contrast=2"], "for record.contrast, got start=prototypes"),
    ],
)
def test_what_does_not_fit_is_one_line_before_a_folder_is_made(trained, settings, words):
    assert words in trained.refused("train", "--model.name=mlp", "--out=never", *settings)
    assert not (trained.folder / "never").exists()


def test_a_sweep_tests_each_cell_with_its_own_head_and_says_so(trained, plain):
    (trained.folder / "grid.yaml").write_text(
        "set: {model.filters: 8, training.steps: 1, training.tasks: 1, evaluation.episodes: 2, record.validation: 0}\n"
        "axes:\n  learner:\n    ours: {}\n    logistic: {evaluation.head: logistic}\n"
        "    pretrained: {algorithm.name: pretrained}\n"
    )
    trained("sweep", "grid.yaml", "--out=swept")
    said = trained("sweep", "grid.yaml", "--out=swept")
    flat = " ".join(said.split())
    assert "logistic is tested with logistic regression on the support features for a head" in flat.lower()
    heads = [
        json.loads(place.read_text())["evaluation"]["head"]
        for place in sorted((trained.folder / "swept").glob("*/seed-0/evaluation-*.json"))
    ]
    assert heads == ["logistic", "params", "prototypes"]


def test_learners_that_adapt_in_different_ways_share_a_table_that_says_how(shell, small):
    few = ("--episodes=3", "--checkpoint=last")
    for name in ("fomaml", "maml_pp", "meta_sgd", "protonet"):
        shell("train", *small, "--record.contrast=0", "--training.steps=1", f"--algorithm.name={name}", f"--out={name}")
        said = shell("evaluate", name, *few)
    shell("evaluate", "fomaml", *few, "--inner_steps=5", "--inner_lr=0.1")
    shell("report", "fomaml", "maml_pp", "meta_sgd", "protonet", "--out=all.html")
    tables = unescape((shell.folder / "all.html").read_text()).split("<h2>Test: ")[1:]
    assert len(tables) == 2
    joint = next(table for table in tables if "each learner's own way of adapting" in table)
    for way in (
        "1 step, inner rate 0.4",
        "5 steps, learned inner rates, one a layer and step from 0.1",
        "1 step, learned inner rates, one a weight from 0.1",
        "no inner step",
    ):
        assert way in joint
    assert "head zeroed" not in joint
    asked = next(table for table in tables if table is not joint)
    assert "5 steps, inner rate 0.1" in asked
    assert "no inner step" not in asked
    assert "inner rate" not in said.split("the nearest class centre")[0]


def test_rates_by_name_and_learned_ones_are_named_wherever_a_test_is_told(shell, small):
    names = ("--inner.lr_of={'head.*': 0.3}", "--record.contrast=0", "--training.steps=1")
    shell("train", *small, *names, "--out=named")
    shell("train", *small, *names[1:], "--algorithm.name=meta_sgd", "--out=learned")
    few = ("--episodes=2", "--checkpoint=last")
    said = shell("evaluate", "named", *few)
    assert "inner rates: rates of their own by name, else 0.4" in said
    for run in ("named", "learned"):
        shell("explain", run, "cosine", *few)
        shell("report", run, f"--out={run}.html")
    pages = [(shell.folder / f"{run}.html").read_text() for run in ("named", "learned")]
    assert pages[0].count("inner rates: rates of their own by name, else 0.4") == 2
    assert "last checkpoint, learned inner rates, one a weight from 0.1, 1 inner step" in pages[1]
