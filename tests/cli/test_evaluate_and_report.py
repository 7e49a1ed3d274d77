import json
import shutil

import numpy as np
import pytest
import yaml

from innerloop.runs import open_run


@pytest.fixture(scope="module")
def trained(commands_in, small, tmp_path_factory):
    """Two small runs that differ in their head's policy alone."""
    shell = commands_in(tmp_path_factory.mktemp("trained"))
    shell("train", *small, "--training.steps=2", "--out=random")
    shell("train", *small, "--training.steps=2", "--out=zeroing", "--algorithm.head=zeroing")
    return shell


def test_evaluate_shows_and_keeps_accuracy_by_step_with_and_without_the_head(trained, shell_in):
    said = shell_in(trained.folder)("evaluate", "random", "--episodes=4", "--inner_steps=2", "--seed=5")
    assert "transductive; mean and 95% interval over 4 episodes; seed 5; inner rate 0.4" in said
    assert "head zeroed first" in said
    kept = next(each for each in open_run(trained.folder / "random").evaluations() if each.evaluation.inner_steps == 2)
    assert kept.evaluation.as_trained.shape == (4, 3)
    assert kept.command == "innerloop evaluate random --episodes=4 --inner_steps=2 --seed=5"
    assert kept.evaluation.split == "test"


def test_evaluate_on_handwriting_with_more_shots_and_another_rate(trained):
    trained("evaluate", "random", "--data.name=digits", "--k_shot=5", "--inner_lr=-0.1", "--episodes=3")
    kept = next(each for each in open_run(trained.folder / "random").evaluations() if each.data.name == "digits")
    assert (kept.evaluation.shape.k_shot, kept.evaluation.inner_lr, kept.evaluation.data_set) == (5, -0.1, "digits")


def test_the_same_evaluation_twice_is_the_same_file(trained):
    place = {}
    for _ in range(2):
        said = trained("evaluate", "zeroing", "--episodes=3", "--checkpoint=last")
        name = said.strip().splitlines()[-1].removeprefix("Kept in ")
        place[name] = (trained.folder / name).read_bytes()
    assert len(place) == 1
    assert json.loads(next(iter(place.values())))["checkpoint"] == "last"


def test_statistics_of_the_support_set_alone_make_predictions_inductive(trained, small):
    trained("train", *small, "--training.steps=1", "--out=support", "--model.normalization=support")
    assert "inductive; mean" in trained("evaluate", "support", "--episodes=2")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "expected a run folder"),
        (["random", "--split=tset"], "Did you mean 'test'?"),
        (["random", "--checkpoint=bst"], "one of best, last, got 'bst'"),
        (["random", "--episodes=0"], "evaluation.episodes of at least 1"),
        (["random", "--k_shot=10"], "ask for fewer shots"),
        (["random", "--data.name=digit"], "Did you mean 'digits'?"),
        (["random", "--data.name=digits", "--split=train"], "has no split 'train'"),
        ([], "arguments are required: run"),
    ],
)
def test_bad_input_is_one_line(trained, arguments, words):
    assert words in trained.refused("evaluate", *arguments)


def test_a_damaged_checkpoint_is_one_line(trained, small):
    trained("train", *small, "--training.steps=1", "--out=damaged")
    for name in ("best", "last"):
        (trained.folder / "damaged" / f"{name}.safetensors").write_bytes(b"\x00" * 20)
    assert "expected a whole checkpoint" in trained.refused("evaluate", "damaged", "--episodes=2")


def test_report_compares_runs_on_one_page(trained):
    for name in ("random", "zeroing"):
        trained("evaluate", name, "--episodes=3", "--seed=9")
    said = trained("report", "random", "zeroing", "--out=page.html", "--title=Two <heads>")
    assert said.strip() == "Report: page.html"
    page = (trained.folder / "page.html").read_text()
    assert "<h1>Two &lt;heads&gt;</h1>" in page
    assert "2 learners (FOMAML, 5-way 1-shot, on typeface) that differ in what happens to their head alone" in page
    assert "exactly 0 throughout for the zeroing" in page
    assert "transductive" in page


def test_report_on_one_run_without_evaluations_and_bad_places(trained, small):
    trained("train", *small, "--training.steps=1", "--out=alone")
    trained("report", "alone")
    assert "One learner" in (trained.folder / "alone" / "report.html").read_text()
    assert "expected a folder for the page" in trained.refused("report", "alone", "--out=nowhere/x.html")
    assert "expected a run folder" in trained.refused("report", "nowhere")


def test_recipes_are_whole_and_name_what_they_are(shell, request):
    recipes = sorted((request.config.rootpath / "recipes").glob("omniglot-5w?s-*maml-*.yaml"))
    assert len(recipes) == 12
    for recipe in recipes:
        values = yaml.safe_load(recipe.read_text())
        _, ways, algorithm, head = recipe.stem.split("-")
        assert ways == f"{values['episode']['n_way']}w{values['episode']['k_shot']}s"
        assert algorithm == values["algorithm"]["name"]
        assert head == {"learned": "random"}.get(values["algorithm"]["head"], values["algorithm"]["head"])


def test_an_omniglot_recipe_trains_and_tests_on_the_real_archives(shell, request, omniglot_root):
    recipe = request.config.rootpath / "recipes" / "omniglot-5w1s-fomaml-zeroing.yaml"
    brief = ("--training.steps=2", "--training.tasks=2", "--record.validation_episodes=2", "--record.probe_episodes=1")
    shell("train", f"--config={recipe}", f"--data.root={omniglot_root}", *brief, "--out=run")
    said = shell("evaluate", "run", "--episodes=3")
    assert "omniglot-characters, test classes, 5-way 1-shot" in said
    assert open_run(shell.folder / "run").evaluations()[0].evaluation.inner_steps == 3


def test_a_manifest_lets_another_run_be_tested_on_the_very_same_episodes(trained):
    trained("evaluate", "random", "--episodes=4", "--seed=11", "--checkpoint=last")
    manifest = next((trained.folder / "random").glob("manifest-*-seed-11-*-last.json"))
    trained("evaluate", "zeroing", "--seed=11", "--checkpoint=last", "--episodes=4")
    first = json.loads(next((trained.folder / "zeroing").glob("evaluation-*-seed-11-*-last.json")).read_text())
    before = {place: place.read_bytes() for place in (trained.folder / "zeroing").rglob("*") if place.is_file()}
    said = trained("evaluate", "zeroing", f"--manifest={manifest}", "--checkpoint=last")
    digest = first["evaluation"]["manifest"]
    assert f"over 4 episodes; episodes of {manifest.name} (manifest {digest}); inner rate" in said
    assert all(place.read_bytes() == content for place, content in before.items())
    again = json.loads(next((trained.folder / "zeroing").glob(f"evaluation-*-manifest-{digest}-*.json")).read_text())
    assert first["evaluation"]["as_trained"] == again["evaluation"]["as_trained"]
    assert (again["evaluation"]["seed"], again["evaluation"]["manifest"]) == (None, digest)
    trained("report", "random", "zeroing", "--out=paired.html")
    page = (trained.folder / "paired.html").read_text()
    rows = page.split("seed 11, 1 step, inner rate")[0].rsplit("<table>", 1)[1]
    assert f"manifest {digest}, 1 step, inner rate" not in page
    assert rows.count("<tr><td>") == 2  # the same episodes, named by a seed and by a manifest, share a table
    assert "got 'typeface' test" in trained.refused(
        "evaluate", "random", f"--manifest={manifest}", "--data.name=digits"
    )
    assert "expected a manifest in" in trained.refused("evaluate", "random", "--manifest=nowhere.json")


@pytest.mark.parametrize("option", ["--episodes=3", "--k_shot=1", "--n_queries=3", "--seed=0"])
def test_what_a_manifest_decides_is_not_asked_for_beside_it(trained, option):
    said = trained.refused("evaluate", "random", "--manifest=any.json", option)
    assert f"expected --manifest alone to say which episodes, got {option.split('=')[0]} beside it" in said


def test_a_manifest_fits_where_the_runs_own_shape_would_not(trained, small):
    trained("evaluate", "random", "--episodes=2", "--seed=12", "--checkpoint=last")
    manifest = next((trained.folder / "random").glob("manifest-*-seed-12-*-last.json"))
    recipe = trained.folder / "random" / "recipe.yaml"
    many = shutil.copytree(trained.folder / "random", trained.folder / "many") / "recipe.yaml"
    many.write_text(recipe.read_text().replace("n_queries: 15", "n_queries: 500"))
    assert "episodes of manifest-" in trained("evaluate", "many", f"--manifest={manifest}")


def test_a_report_says_which_manifest_the_episodes_are_of(trained):
    trained("evaluate", "random", "--episodes=2", "--seed=13", "--checkpoint=last")
    manifest = next((trained.folder / "random").glob("manifest-*-seed-13-*-last.json"))
    alone = shutil.copytree(trained.folder / "zeroing", trained.folder / "alone13")
    for each in (*alone.glob("evaluation-*"), *alone.glob("manifest-*")):
        each.unlink()
    trained("evaluate", "alone13", f"--manifest={manifest}", "--checkpoint=last")
    trained("report", "alone13")
    (kept,) = open_run(alone).evaluations()
    assert f"episodes of manifest {kept.evaluation.manifest}, 1 step, inner rate" in (alone / "report.html").read_text()


def own_arrays(folder, seed, labels=6):
    """Made-up vectors whose classes are called 0, 1, ... whatever they are, in a .npz of every seed."""
    inputs = np.random.default_rng(seed).normal(size=(10 * labels, 5)).astype(np.float32)
    splits = np.repeat(["train", "validation", "test"], 10 * labels // 3)
    np.savez(folder / f"{seed}.npz", inputs=inputs, labels=np.arange(10 * labels) // 10, splits=splits)
    np.savez(folder / f"{seed}-turned.npz", inputs=inputs, labels=np.arange(10 * labels) // 10, splits=splits[::-1])
    return folder / f"{seed}.npz"


def test_classes_of_another_file_are_not_those_trained_on_unless_it_holds_the_same_examples(trained, small):
    for seed in (1, 2):
        own_arrays(trained.folder, seed)
    brief = ("--training.steps=1", "--episode.n_way=2", "--episode.n_queries=3", "--model.name=mlp", "--inner.lr=0.01")
    settings = ("--data.name=arrays", "--data.root=1.npz", "--out=own", "--training.tasks=2", "--record.validation=0")
    trained("train", *brief, *settings)
    trained("evaluate", "own", "--episodes=2", "--data.root=2-turned.npz")
    shutil.copy(trained.folder / "1-turned.npz", trained.folder / "copy.npz")
    said = trained.refused("evaluate", "own", "--episodes=2", "--data.root=copy.npz")
    assert "expected classes the run has never seen" in said
    manifest = next((trained.folder / "own").glob("manifest-*.json"))
    said = trained.refused("evaluate", "own", f"--manifest={manifest}")
    assert "expected the examples of 'arrays' that the manifest was made on, got others of the same names" in said


@pytest.mark.slow
def test_another_evaluation_never_takes_the_place_of_one(trained):
    before = set((trained.folder / "random").glob("evaluation-*"))
    for setting in ("--n_queries=5", "--n_queries=6", "--inner_lr=0.1234567", "--inner_lr=0.1234568"):
        trained("evaluate", "random", "--episodes=2", "--seed=21", setting)
    assert len(set((trained.folder / "random").glob("evaluation-*")) - before) == 4


def test_a_result_says_which_checkpoint_it_really_is_of(trained, small):
    trained("train", *small, "--training.steps=1", "--out=unvalidated", "--record.validation=0")
    trained("evaluate", "unvalidated", "--episodes=2")
    assert [kept.checkpoint for kept in open_run(trained.folder / "unvalidated").evaluations()] == ["last"]
    trained("train", *small, "--training.steps=1", "--out=lost")
    (trained.folder / "lost" / "best.safetensors").unlink()
    assert "expected a checkpoint at 'lost/best.safetensors'" in trained.refused("evaluate", "lost", "--episodes=2")


def test_predictions_that_are_not_finite_have_no_accuracy(trained):
    said = trained.refused("evaluate", "random", "--episodes=2", "--inner_lr=1e38", "--inner_steps=3", "--seed=31")
    assert "expected finite predictions, got NaN or infinity after inner step" in said
    assert not list((trained.folder / "random").glob("*-seed-31-*"))


@pytest.mark.slow
def test_transductive_and_inductive_runs_never_share_a_table(trained, small):
    trained("train", *small, "--training.steps=1", "--out=inductive", "--model.normalization=support")
    for name in ("random", "inductive"):
        trained("evaluate", name, "--episodes=2", "--seed=41", "--checkpoint=last")
    trained("report", "random", "inductive", "--out=mixed.html")
    page = (trained.folder / "mixed.html").read_text()
    assert "Predictions are inductive" in page
    assert "Predictions are <b>transductive</b>" in page


@pytest.mark.slow
def test_runs_of_one_name_are_told_apart_and_one_run_is_not_compared_with_itself(trained, small):
    for place in ("x", "z"):
        trained("train", *small, "--training.steps=1", f"--out={place}/run")
    trained("report", "x/run", "z/run", "--out=two.html")
    page = (trained.folder / "two.html").read_text()
    assert "x/run</b> and <b>" in page
    assert "z/run</b>" in page
    assert "expected every run once" in trained.refused("report", "x/run", "x/run")
