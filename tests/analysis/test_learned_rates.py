import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from innerloop.analysis import Subject
from innerloop.analysis.learned_rates import LearnedInnerRates, Rates, measure, pooled, recorded
from innerloop.analysis.values import from_values, to_values
from innerloop.errors import ConfigError, RunError
from innerloop.runs import OpenedRun, Recipe, RunDirectory
from innerloop.seeds import generator
from innerloop.training import initial_state
from worlds import algorithm_of, conv_learner, image_episode, probes_of

KINDS = ("one", "layer", "layer_step", "weight")
LEARNER = conv_learner()[0]


def rated(kind, adapts="all", steps=3):
    """Return an algorithm with learned rates, and parameters whose rates are random, of both signs."""
    algorithm = algorithm_of("maml", LEARNER, axes={"learned_rates": kind, "adapts": adapts}, lr=0.3, steps=steps)
    rng = generator(0, "rates")
    params = {
        name: torch.randn(value.shape, generator=rng) if name.startswith("inner_lr") else value
        for name, value in algorithm.initial_params().items()
    }
    return algorithm, params


def subject_of(algorithm, params, history=None, step=0):
    episodes = probes_of([image_episode()])
    if history is None:
        return Subject(algorithm, algorithm, params, episodes)
    run = OpenedRun(RunDirectory("run"), Recipe(), history, {}, "run")
    return Subject(algorithm, algorithm, params, episodes, run, replace(initial_state(algorithm, params), step=step))


@pytest.mark.parametrize("kind", KINDS)
def test_every_layers_rates_are_those_of_its_tensor_by_inner_step(kind):
    algorithm, params = rated(kind)
    found = measure(subject_of(algorithm, params))
    assert found.kind == kind
    assert len(found.layers) == (1 if kind == "one" else len(algorithm.names))
    for layer in found.layers:
        value = params["inner_lr" if kind == "one" else f"inner_lr/{layer.name}"].double().numpy()
        rows = value if kind == "layer_step" else [value]
        assert len(layer.now) == len(layer.first) == (3 if kind == "layer_step" else 1)
        assert layer.count == (value.size if kind == "weight" else 1)
        for row, now in zip(rows, layer.now, strict=True):
            expected = (np.mean(row), np.min(row), np.max(row), np.mean(row < 0))
            assert (now.mean, now.smallest, now.largest, now.negative) == pytest.approx(expected, abs=1e-12)
        assert all(first.mean == pytest.approx(0.3) and first.negative == 0 for first in layer.first)


@pytest.mark.parametrize(
    ("kind", "adapts", "parts"),
    [
        ("layer", "all", {"head", "body"}),
        ("weight", "head", {"head"}),
        ("layer_step", "body", {"body"}),
        ("one", "all", {"all"}),
        ("one", "head", {"head"}),
        ("one", "body", {"body"}),
    ],
)
def test_layers_are_the_heads_or_the_bodys_and_one_rate_that_of_all_that_adapts(kind, adapts, parts):
    found = measure(subject_of(*rated(kind, adapts)))
    assert {layer.part for layer in found.layers} == parts
    for layer in found.layers:
        assert (layer.part == "head") == (layer.name in LEARNER.head_names or (kind, adapts) == ("one", "head"))


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_recorded_up_to_the_checkpoint_is_read_back(kind):
    algorithm, params = rated(kind)
    start = algorithm.initial_params()
    history = [
        {"step": 0, "rates": recorded(algorithm, start)},
        {"step": 1},
        {"step": 2, "rates": recorded(algorithm, params)},
        {"step": 4, "rates": recorded(algorithm, start)},
    ]
    found = measure(subject_of(algorithm, params, json.loads(json.dumps(history)), step=3))
    assert (found.step, found.recorded) == (3, (0, 2))
    for layer in found.layers:
        assert layer.path == (layer.first, layer.now)


def test_a_history_without_rates_leaves_the_first_value_and_the_checkpoints():
    found = measure(subject_of(*rated("layer"), history=[{"step": 0, "loss": 1.0}], step=2))
    assert (found.step, found.recorded) == (2, ())
    assert all(layer.path == () for layer in found.layers)


def test_a_history_of_other_layers_is_refused():
    algorithm, params = rated("layer")
    history = [{"step": 0, "rates": {"other.weight": [[0.1, 0.1, 0.1, 0.0]]}}]
    with pytest.raises(RunError, match="rates of its own layers, got others"):
        measure(subject_of(algorithm, params, history))


def test_rates_that_are_not_learned_are_refused():
    algorithm = algorithm_of("maml", LEARNER)
    with pytest.raises(ConfigError, match=r"expected learned rates, got algorithm.learned_rates=none; train meta_sgd"):
        measure(subject_of(algorithm, algorithm.initial_params()))


@pytest.mark.parametrize("kind", ["layer_step", "weight"])
def test_pooled_rates_are_those_of_all_learned_numbers_together(kind):
    algorithm, params = rated(kind)
    layers = measure(subject_of(algorithm, params)).layers
    every = np.concatenate([value.double().numpy().ravel() for name, value in params.items() if "inner_lr" in name])
    found = pooled((layer.count, layer.now) for layer in layers)
    expected = (every.mean(), every.min(), every.max(), (every < 0).mean())
    assert (found.mean, found.smallest, found.largest, found.negative) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_results_survive_json(kind):
    algorithm, params = rated(kind)
    found = measure(subject_of(algorithm, params, [{"step": 0, "rates": recorded(algorithm, params)}]))
    assert from_values(LearnedInnerRates, json.loads(json.dumps(to_values(found), allow_nan=False))) == found


def test_a_rate_of_zero_is_not_negative():
    algorithm, params = rated("one")
    (layer,) = measure(subject_of(algorithm, {**params, "inner_lr": torch.tensor(0.0)})).layers
    assert layer.now == (Rates(0.0, 0.0, 0.0, 0.0),)
