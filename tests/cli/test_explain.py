import json
import shutil
from dataclasses import replace

import pytest

from innerloop.analysis import ANALYSES
from innerloop.analysis.values import from_values
from innerloop.cli import explain
from innerloop.data import load
from innerloop.runs import open_run, read_checkpoint, write_checkpoint
from kept import newest

FEW = ("--episodes=3", "--n_queries=4", "--checkpoint=last")


@pytest.fixture(scope="module")
def trained(commands_in, small, tmp_path_factory):
    """Two small runs that differ in their head's policy alone, with their heads kept."""
    shell = commands_in(tmp_path_factory.mktemp("explained"))
    kept = (*small, "--training.steps=3", "--record.heads=true")
    shell("train", *kept, "--out=random", "--training.outer_rule=sgd", "--training.outer_lr=0.1")
    shell("train", *kept, "--out=zeroing", "--algorithm.head=zeroing")
    return shell


def test_the_installed_command_explains(trained, shell_in):
    said = shell_in(trained.folder)("explain", "random", "contrast", "--seed=3", *FEW)
    assert "of the coefficients for the random attract" in said


def test_an_explanation_is_not_written_elsewhere(trained):
    (trained.folder / "there").mkdir()
    shutil.copytree(trained.folder / "random", trained.folder / "linked", ignore=lambda *_: ["explained"])
    (trained.folder / "linked" / "explained").symlink_to(trained.folder / "there")
    assert "explained'" in trained.refused("explain", "linked", "contrast", *FEW)
    assert not list((trained.folder / "there").iterdir())


@pytest.mark.parametrize("rate", ["--inner_lr=1e39", "--seed=99999999999999999999"])
def test_numbers_beyond_what_can_be_kept_are_one_line(trained, rate):
    words = {"--inner_lr=1e39": "without overflow", "--seed=99999999999999999999": "at most 64 bits"}[rate]
    assert words in trained.refused("explain", "random", "memorization", rate, *FEW)
    assert words in trained.refused("evaluate", "random", rate, "--episodes=2")


def test_contrast_shows_a_share_of_exactly_one_in_five_for_a_zeroed_head_and_keeps_numbers_and_figures(trained):
    said = trained("explain", "zeroing", "contrast", *FEW)
    assert "interference is nothing for the zeroing" in said
    assert "20.0 ± 0.0% of the coefficients for the zeroing attract" in said
    assert "The split is exact for the zeroing." in said
    folder = trained.folder / said.strip().splitlines()[-1].removeprefix("Numbers and figures: ")
    for name in ("norms", "directions", "signs"):
        for ending, start in (("svg", b"<?xml"), ("pdf", b"%PDF"), ("png", b"\x89PNG")):
            assert (folder / f"{name}.{ending}").read_bytes().startswith(start)
    (kept,) = [each for each in open_run(trained.folder / "zeroing").explanations() if each.analysis == "contrast"]
    assert kept.command == "innerloop explain zeroing contrast --episodes=3 --n_queries=4 --checkpoint=last"
    result = from_values(ANALYSES["contrast"].result, kept.values)
    assert result.negative_share.mean == pytest.approx(0.2, abs=1e-15)
    assert (kept.split, kept.episodes, kept.shape.n_queries, kept.transductive) == ("test", 3, 4, True)


@pytest.mark.usefixtures("svg_alone")
def test_interference_of_a_run_is_traced_to_steps_and_past_queries(trained):
    said = trained("explain", "random", "interference", "--interference.queries=true", *FEW)
    assert "from the 3 outer steps since for the random" in said
    assert "of past queries in the same slot attract" in said
    result = next(
        each for each in open_run(trained.folder / "random").explanations() if each.analysis == "interference"
    )
    found = from_values(ANALYSES["interference"].result, result.values)
    assert found.queries.count == 3 * 2 * 75
    assert found.queries.error.mean < 1e-5
    assert found.queries.attracting_same.mean > 0.9 > 0.5 > found.queries.attracting_other.mean
    whole = sum(age.share.mean for age in found.ages) + found.initialisation_share.mean
    assert whole == pytest.approx(1, abs=1e-9)
    assert "The zeroing has none." in trained("explain", "zeroing", "interference", *FEW)
    assert "training.outer_rule=sgd" in trained.refused(
        "explain", "zeroing", "interference", "--interference.queries=true", *FEW
    )


@pytest.mark.parametrize(
    ("file", "before", "after", "words"),
    [
        ("recipe.yaml", "outer_schedule: constant", "outer_schedule: linear", "training.outer_schedule=constant"),
        ("recipe.yaml", "clip: null", "clip: 10.0", "training.clip=None"),
        ("history.jsonl", '"loss"', '"skipped": "task 0", "was"', "got 3 that made none"),
    ],
)
def test_interference_is_not_traced_to_past_queries_that_the_head_is_no_plain_sum_of(
    trained, file, before, after, words
):
    other = shutil.copytree(trained.folder / "random", trained.folder / "other", dirs_exist_ok=True)
    changed = (other / file).read_text().replace(before, after)
    assert changed != (other / file).read_text()
    (other / file).write_text(changed)
    (other / "run.json").unlink()  # which says that the recipe was changed
    assert words in trained.refused("explain", "other", "interference", "--interference.queries=true", *FEW)
    trained("explain", "other", "interference", *FEW)


def test_heads_of_a_continued_run_are_those_of_the_uninterrupted_one(trained, small):
    kept = (*small, "--record.heads=true", "--seed=4")
    trained("train", *kept, "--training.steps=4", "--out=whole")
    trained("train", *kept, "--training.steps=2", "--out=parts")
    recipe = trained.folder / "parts" / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("steps: 2\n  tasks", "steps: 4\n  tasks"))
    trained("train", "--resume", "parts")
    heads = [(trained.folder / name / "heads.bin").read_bytes() for name in ("whole", "parts")]
    assert heads[0] == heads[1]
    (trained.folder / "parts" / "heads.bin").write_bytes(heads[0][:-400])
    assert "expected in 'parts/heads.bin' the heads of 4 outer steps" in trained.refused(
        "explain", "parts", "interference", *FEW
    )


def test_responsibility_names_the_pictures_to_blame_on_digits(trained):
    trained(
        "explain", "zeroing", "responsibility", "--data.name=digits", "--k_shot=2", "--episodes=6", "--checkpoint=last"
    )
    kept = next(
        each for each in open_run(trained.folder / "zeroing").explanations() if each.analysis == "responsibility"
    )
    found = from_values(ANALYSES["responsibility"].result, kept.values)
    assert found.mistakes > 0
    assert found.shown[0].picture
    assert found.shown[0].margin == pytest.approx(sum(each.share for each in found.shown[0].support))
    trained("report", "zeroing", "--out=blame.html")
    page = (trained.folder / "blame.html").read_text()
    assert "Who is to blame for its mistakes" in page
    assert "digits, test classes, 5-way 2-shot" in page


@pytest.mark.usefixtures("svg_alone")
def test_the_head_is_read_beside_the_centres_of_the_classes_trained_on_whatever_it_is_tested_on(trained):
    settings = ("--head_agreement.rates=[2]", "--head_agreement.steps=[]", "--head_agreement.margin=0.05")
    said = trained("explain", "zeroing", "head_agreement", "--data.name=digits", "--k_shot=2", *settings, *FEW)
    run = open_run(trained.folder / "zeroing")
    (kept,) = (each for each in run.explanations() if each.analysis == "head_agreement")
    found = from_values(ANALYSES["head_agreement"].result, kept.values)
    classes = load(run.recipe.data).classes("train").class_names
    assert f"Of the centres of {len(classes)} training classes" in said
    assert found.clusters.classes == len(classes) != len(load(kept.data).classes("test").class_names)
    assert (found.margin, [(each.factor, each.steps) for each in found.cells]) == (0.05, [(2.0, found.inner_steps)])
    assert found.before.readings[0].agreement.mean == 1  # a zero head after one step
    trained("report", "zeroing", "--out=head.html")
    assert "The adapted head: what it is" in (trained.folder / "head.html").read_text()


@pytest.mark.usefixtures("svg_alone")
def test_confidence_learns_at_home_which_is_loaded_once_and_is_tried_on_other_data(trained, monkeypatch):
    loaded = []
    monkeypatch.setattr(explain, "load", lambda *given: loaded.append(given) or load(*given))
    few = (
        "--confidence.fitted=8",
        "--confidence.calibrated=10",
        "--confidence.held_out=10",
        "--confidence.levels=[0.9]",
    )
    said = trained("explain", "zeroing", "confidence", "--data.name=digits", "--k_shot=2", *few, *FEW)
    run = open_run(trained.folder / "zeroing")
    (kept,) = (each for each in run.explanations() if each.analysis == "confidence")
    found = from_values(ANALYSES["confidence"].result, kept.values)
    assert (found.home, found.source, found.is_home) == ("typeface (validation)", "digits (test)", False)
    assert len(loaded) == 1
    assert "validation tasks  28/28" in said
    assert "tasks of digits (test)" in said
    (level,) = found.levels
    assert (level.held_out.held.observations, level.explained.held.observations) == (10, 3)
    assert found.representation.classes == len(load(kept.data).classes("test").class_names)


@pytest.mark.usefixtures("svg_alone")
def test_tasks_are_held_against_a_bank_that_is_kept_and_that_no_other_run_may_use(trained):
    few = ("--tasks.bank=9", "--tasks.neighbours=4", "--tasks.mapped=6", *FEW)
    said = trained("explain", "zeroing", "tasks", *few)
    assert "bank of tasks  9/9" in said
    assert "the 4 nearest of 9 training tasks leave" in said
    (bank,) = (trained.folder / "zeroing" / "banks").iterdir()
    assert "bank of tasks" not in trained("explain", "zeroing", "tasks", "--seed=2", *few)
    refusal = trained.refused("explain", "random", "tasks", f"--tasks.bank_from={bank}", *few)
    assert "expected a bank whose model is" in refusal
    trained("report", "zeroing", "--out=tasks.html")
    assert "Tasks as points" in (trained.folder / "tasks.html").read_text()


@pytest.mark.usefixtures("svg_alone")
def test_all_explains_what_it_can_and_the_report_compares_runs_on_the_same_episodes(trained):
    few = ("--tasks.bank=40", "--confidence.fitted=8", "--confidence.calibrated=10", "--confidence.held_out=4")
    coarse = ("--landscape.points=3", "--landscape.eigenvalues=1", "--landscape.probes=2", "--coherence.bent=1")
    asked = ("--episodes=2", "--n_queries=3", "--seed=5", "--checkpoint=last")
    said = trained("explain", "random", "all", *asked, *coarse, *few)
    assert said.count("Numbers and figures: ") == len(ANALYSES) - 1
    assert "learned_rates: left out; expected learned rates, got algorithm.learned_rates=none; train" in said
    trained("explain", "zeroing", "contrast", "representation", "permutations", *asked)
    trained("report", "random", "zeroing", "--out=both.html")
    page = (trained.folder / "both.html").read_text()
    assert "of the coefficients for the random and 20.0 ± 0.0% of the coefficients for the zeroing attract" in page
    assert "explained: innerloop explain random all" in page
    # The same numbers of episodes of another data set are another section.
    trained(
        "explain",
        "random",
        "contrast",
        "--data.name=digits",
        "--episodes=2",
        "--n_queries=3",
        "--seed=5",
        "--checkpoint=last",
    )
    trained("report", "random", "zeroing", "--out=both.html")
    heading = "<h2>The prism: parts of the meta-gradient</h2>"
    assert (trained.folder / "both.html").read_text().count(heading) == page.count(heading) + 1


@pytest.mark.usefixtures("svg_alone")
def test_another_rate_at_the_test_is_a_section_of_its_own_that_names_it(trained):
    few = ("--episodes=2", "--n_queries=3", "--seed=6", "--checkpoint=last")
    trained("explain", "random", "memorization", *few)
    trained("explain", "zeroing", "memorization", *few)
    trained("explain", "zeroing", "memorization", "--inner_lr=-0.2", "--inner_steps=3", *few)
    trained("report", "random", "zeroing", "--out=rates.html")
    page = (trained.folder / "rates.html").read_text()
    loops = [each for each in page.split("<h2>") if "seed 6, last checkpoint" in each]
    assert len(loops) == 2
    assert "inner rate 0.4, 1 inner step;" in loops[0]
    assert "inner rate -0.2, 3 inner steps;" in loops[1]


@pytest.mark.usefixtures("svg_alone")
def test_an_explanation_from_another_version_or_a_damaged_one_is_one_line(trained, small):
    trained("train", *small, "--training.steps=1", "--out=torn")
    trained("explain", "torn", "contrast", *FEW)
    place = next((trained.folder / "torn" / "explained").glob("*/result.json"))
    whole = json.loads(place.read_text())
    place.write_text(json.dumps({**whole, "values": {"order": "second"}}))
    assert "expected a kept Contrast" in trained.refused("report", "torn", "--out=torn.html")
    place.write_text("{")
    assert "expected an explanation in" in trained.refused("report", "torn", "--out=torn.html")


@pytest.mark.usefixtures("svg_alone")
def test_features_that_are_not_finite_are_one_line(trained, small):
    trained("train", *small, "--training.steps=1", "--out=diverged", "--record.validation=0")
    place = newest(trained.folder / "diverged")
    state, best = read_checkpoint(place)
    name = next(each for each in state.params if "head" not in each)
    strayed = replace(state, params={**state.params, name: state.params[name] * float("nan")})
    write_checkpoint(place, strayed, best)
    assert "got NaN or infinity; check the run for divergence" in trained.refused(
        "explain", "diverged", "contrast", *FEW
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["random"], "expected what to explain after the run, got nothing; known: contrast,"),
        (["random", "contrats"], "Did you mean 'contrast'?"),
        (["nowhere", "contrast"], "expected a run folder"),
        (["random", "contrast", "--checkpoint=bst"], "one of best, last, got 'bst'"),
        (["random", "contrast", "--episodes=0"], "evaluation.episodes of at least 1"),
        (["random", "contrast", "--n_way=6"], "expected episodes of at most 5 ways"),
        (["random", "contrast", "--k_shot=99"], "ask for fewer shots"),
        (["random", "contrast", "--inner_lr=0.1"], "expected no --inner_lr or --inner_steps for contrast, got one"),
        (["random", "responsibility", "--inner_steps=0"], "in which the support takes part, got 0 steps"),
        (
            ["random", "gradient_penalty", "--gradient_penalty.rates=[0.1,0.1]"],
            "every rate once in gradient_penalty.rates, got 0.1",
        ),
        (["random", "responsibility", "--responsibility.shown=-1"], "of at least 0, got -1"),
        (
            ["random", "landscape", "--landscape.points=4"],
            "expected an odd landscape.points, so that the middle is one",
        ),
        (["random", "coherence", "--coherence.bent=-1"], "expected coherence.bent of at least 0, got -1"),
        (["random", "responsibility", "--responsibility.showed=1"], "Did you mean 'responsibility.shown'?"),
    ],
)
def test_bad_input_is_one_line(trained, arguments, words):
    assert words in trained.refused("explain", *arguments)


def test_real_targets_have_nothing_to_split(trained):
    trained("train", "--data.name=sinusoid", "--model.name=mlp", "--inner.loss=mse", "--training.steps=1", "--out=wave")
    assert "expected classes to explain, got the real targets" in trained.refused("explain", "wave", "contrast")


@pytest.mark.usefixtures("svg_alone")
def test_learned_rates_are_explained_from_what_training_recorded_or_from_the_checkpoint_alone(trained, small):
    learned = ("--algorithm.name=maml_pp", "--algorithm.per_step_norms=false", "--inner.steps=2", "--record.contrast=0")
    trained("train", *small, *learned, "--training.steps=3", "--record.rates=2", "--out=rated")
    run = open_run(trained.folder / "rated")
    assert [record["step"] for record in run.history if "rates" in record] == [0, 2, 3]
    said = trained("explain", "rated", "learned_rates", "--checkpoint=last", "--episodes=7")
    assert "The rated has learned inner rates, one a layer and step: " in said
    assert "after 3 outer steps" in said
    folder = trained.folder / said.strip().splitlines()[-1].removeprefix("Numbers and figures: ")
    assert {place.name for place in folder.glob("*.svg")} == {"rates.svg", "layers.svg", "negative.svg"}
    (kept,) = run.explanations()
    assert kept.episodes == 0
    result = from_values(ANALYSES["learned_rates"].result, kept.values)
    assert result.recorded == (0, 2, 3)
    for layer in result.layers:
        assert layer.path[0] == layer.first
        assert layer.path[-1] == layer.now != layer.first
    trained("report", "rated", "--out=rated.html")
    assert "Last checkpoint; no episodes are looked at." in (trained.folder / "rated.html").read_text()
    # A history from before rates were recorded.
    lines = [json.loads(line) for line in run.directory.history.read_text().splitlines()]
    for line in lines:
        line.pop("rates", None)
    run.directory.history.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert trained("explain", "rated", "learned_rates", "--checkpoint=last").startswith(said.splitlines()[0])
    (again,) = open_run(trained.folder / "rated").explanations()
    old = from_values(ANALYSES["learned_rates"].result, again.values)
    assert old.recorded == ()
    assert [layer.now for layer in old.layers] == [layer.now for layer in result.layers]


def test_a_run_without_learned_rates_is_refused_in_one_line_and_one_on_real_targets_is_not(trained):
    said = trained.refused("explain", "random", "learned_rates")
    assert "expected learned rates, got algorithm.learned_rates=none; train meta_sgd or maml_pp" in said
    assert "expected no --inner_lr" in trained.refused("explain", "random", "learned_rates", "--inner_lr=1")
    lines = ("--data.name=sinusoid", "--model.name=mlp", "--inner.loss=mse", "--record.validation=0")
    trained("train", *lines, "--algorithm.name=meta_sgd", "--training.steps=1", "--training.tasks=2", "--out=sinusoid")
    assert "The head's mean rate was 0." in trained("explain", "sinusoid", "learned_rates")
