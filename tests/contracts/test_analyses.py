"""What holds for every analysis: it survives odd worlds, goes to JSON and back, is drawn and told."""

import json

import pytest

from innerloop import driver
from innerloop.algorithms import AlgorithmConfig
from innerloop.analysis import ANALYSES, EXPERIMENTS, Subject, probes
from innerloop.analysis.values import from_values, to_values
from innerloop.data import DataConfig, load
from innerloop.data.episode import EpisodeShape
from innerloop.errors import ConfigError
from innerloop.figures.registry import EXPERIMENT_FIGURES, FIGURES
from innerloop.figures.style import styled, to_pdf, to_png, to_svg
from innerloop.models import ModelConfig
from innerloop.params import zeroed
from innerloop.report.sections import EXPERIMENT_SECTIONS, SECTIONS
from innerloop.runs import InnerConfig, Recipe, RecordConfig, open_run
from innerloop.training import TrainingConfig
from worlds import algorithm_of, conv_learner, image_episode, probes_of, unbalanced


def test_every_analysis_has_its_figures_and_its_section():
    assert list(ANALYSES) == list(FIGURES) == list(SECTIONS)


def test_every_experiment_has_its_figures_and_its_section():
    assert list(EXPERIMENTS) == list(EXPERIMENT_FIGURES) == list(EXPERIMENT_SECTIONS)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A real run, small, on a family that needs no files."""
    folder = tmp_path_factory.mktemp("run") / "run"
    recipe = Recipe(
        data=DataConfig("gaussians"),
        episode=EpisodeShape(3, 2, 4),
        model=ModelConfig("mlp"),
        inner=InnerConfig(lr=0.1),
        training=TrainingConfig(steps=3, tasks=2, outer_rule="sgd"),
        record=RecordConfig(validation=0, heads=True),
    )
    for _ in driver.begin(recipe, str(folder), "test"):
        pass
    return open_run(folder)


@pytest.fixture(scope="module")
def rated(tmp_path_factory):
    """The like with learned rates, which few analyses cover."""
    folder = tmp_path_factory.mktemp("rated") / "run"
    recipe = Recipe(
        data=DataConfig("gaussians"),
        episode=EpisodeShape(3, 2, 4),
        model=ModelConfig("mlp"),
        algorithm=AlgorithmConfig("meta_sgd"),
        training=TrainingConfig(steps=3, tasks=2),
        record=RecordConfig(validation=0, rates=2),
    )
    for _ in driver.begin(recipe, str(folder), "test"):
        pass
    return open_run(folder)


def of_run(run, count=2):
    split = load(run.recipe.data).split("test")
    algorithm, state = run.learned(split, "last")
    shape = run.recipe.episode
    return Subject(
        algorithm,
        algorithm,
        state.params,
        lambda: probes(split, shape, 0, range(count)),
        run,
        state,
        load(run.recipe.data).split,
        split,
        shape,
    )


def world(name):
    """Return a learner and its episodes."""
    learner, params = conv_learner()
    episodes = [image_episode(seed=seed) for seed in range(2)]
    zero = zeroed(params, learner.head_names)
    if name == "random head":
        return algorithm_of("maml", learner, lr=0.3, steps=2), params, episodes
    if name == "zero head":
        return algorithm_of("maml", learner, lr=0.3), zero, episodes
    if name == "head only, mse":
        return algorithm_of("anil", learner, order="first", lr=0.3, steps=3, loss="mse"), params, episodes
    if name == "negative rate":
        return algorithm_of("fomaml", learner, lr=-0.1), params, episodes
    if name == "no inner step":
        return algorithm_of("fomaml", learner, steps=0), params, episodes
    if name == "unequal shots, one episode":
        return algorithm_of("fomaml", learner, lr=0.3), params, [unbalanced()]
    if name in ("one learned rate", "rates by step"):
        kind = "one" if name == "one learned rate" else "layer_step"
        algorithm = algorithm_of("maml", learner, axes={"learned_rates": kind}, lr=-0.1, steps=2)
        return algorithm, {**params, **algorithm.initial_params()}, episodes
    assert name == "one shot"
    return algorithm_of("fomaml", learner, lr=0.3), params, [image_episode(k_shot=1, n_queries=1)]


WORLDS = (
    "random head",
    "zero head",
    "head only, mse",
    "negative rate",
    "no inner step",
    "unequal shots, one episode",
    "one shot",
    "a run",
)


# Few rates and steps, where the usual ones are many; the command's own test has those.
FEW = {
    "inner_lr": {"rates": (-0.1, 3.0), "most": 2},
    "gradient_penalty": {"rates": (-0.1, 0.01)},
    "head_agreement": {"rates": (0.25, 4.0), "steps": (2,)},
    "landscape": {"points": 3, "steps": 2, "eigenvalues": 1, "probes": 2},
    "coherence": {"bent": 2},
    "tasks": {"bank": 12, "neighbours": 3},
    "confidence": {"fitted": 6, "calibrated": 6, "held_out": 5, "levels": (0.5, 0.9)},
}


def settings_of(name):
    """Return what the analysis is called with beside its subject."""
    kind = ANALYSES[name].settings
    return () if kind is None else (kind(**FEW.get(name, {})),)


# Interference traces what a run recorded, and the last two draw tasks of a run's own data, so only a run will do.
OF_RUNS = ("interference", "tasks", "confidence")
CASES = [(name, where) for name in ANALYSES for where in WORLDS if name not in OF_RUNS or where == "a run"]
# Learned rates are told of learners that have learned some.
CASES = [case for case in CASES if case[0] != "learned_rates"]
CASES += [("learned_rates", where) for where in ("a run with learned rates", "one learned rate", "rates by step")]


@pytest.mark.parametrize(("name", "where"), CASES)
def test_every_analysis_goes_to_json_and_back_and_is_drawn_and_told(name, where, run, rated):
    if where.startswith("a run"):
        subject = of_run(run if where == "a run" else rated)
    else:
        algorithm, params, episodes = world(where)
        subject = Subject(algorithm, algorithm, params, probes_of(episodes))
    analysis = ANALYSES[name]
    if name in ("memorization", "responsibility") and where == "no inner step":
        with pytest.raises(ConfigError, match=r"expected an inner loop .*, got 0 steps"):
            analysis.measure(subject, *settings_of(name))
        return
    result = analysis.measure(subject, *settings_of(name))
    text = json.dumps(to_values(result), allow_nan=False)
    assert from_values(analysis.result, json.loads(text)) == result
    for results in ({"one": result}, {"one": result, "an other": result}):
        whole = len(results) == 1 and where in ("random head", "a run")
        figures = FIGURES[name](results)
        captions = SECTIONS[name].captions(results)
        assert figures.keys() <= captions.keys()
        for figure in figures.values():
            with styled():
                figure.draw_without_rendering()  # what cannot be laid out fails; writing takes as long again
            if whole:
                assert to_svg(figure).startswith("<?xml")
        told = " ".join([SECTIONS[name].say(results), *(captions[each] for each in figures)])
        assert "one" in told
        for word in ("nan", "inf", "None", "Interval"):
            assert word not in told.replace("influence", "").replace("inference", "").replace("infinit", "").split()


@pytest.mark.parametrize("name", ANALYSES)
def test_every_analysis_repeats_to_the_last_digit(name, run, rated):
    run = rated if name == "learned_rates" else run
    analysis = ANALYSES[name]
    arguments = settings_of(name)
    first, again = (to_values(analysis.measure(of_run(run), *arguments)) for _ in range(2))
    assert first == again


def test_figures_are_the_same_bytes_for_the_same_result_in_every_format(run):
    analysis = ANALYSES["contrast"]
    result = analysis.measure(of_run(run))
    for turned in (to_svg, to_pdf, to_png):
        first, again = (turned(FIGURES["contrast"]({"one": result})["norms"]) for _ in range(2))
        assert first == again
