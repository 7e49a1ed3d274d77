"""Every algorithm by every engine: what the loop says, to rounding."""

import warnings

import pytest
import torch
from torch import nn

from innerloop.algorithms import ALGORITHMS, AlgorithmConfig, build, closed_form
from innerloop.data.episode import stacked
from innerloop.engine import EngineConfig, Loop
from innerloop.engine import build as build_engine
from innerloop.errors import ConfigError, EngineWarning
from innerloop.inner import InnerLoop
from innerloop.models import Learner
from innerloop.params import select
from innerloop.training import initial_state
from worlds import conv_learner, image_episode, sequential

ENGINES = ("auto", "loop", "workers", "vmap", "closed_form")
# float32 rounds at 6e-8; BatchNorm over few values and five inner steps make more of it.
TOLERANCES = {torch.float64: 1e-9, torch.float32: 2e-3}


def world(name, dtype, smallest=False):
    """The algorithm with its usual loop, first parameters, and four tasks."""
    preset = ALGORITHMS[name]
    learner = one_block_learner() if smallest else conv_learner()[0]
    # Traced, every inner step is a piece of the graph: two are enough to have one after another.
    steps = min(preset.steps, 2) if smallest else preset.steps
    quiet = AlgorithmConfig(name, noise=0.0 if preset.axes.draws else None)  # noise is for the loop alone
    algorithm = build(quiet, learner, InnerLoop(lr=preset.lr, steps=steps))
    params = initial_state(algorithm, algorithm.initial_params()).params
    params = {key: value.to(dtype) for key, value in params.items()}
    return algorithm, params, stacked([image_episode(seed=seed, dtype=dtype) for seed in range(4)])


def one_block_learner():
    """A convolutional network of one block."""
    return Learner(
        sequential(
            convolution=lambda: nn.Conv2d(1, 3, 3, stride=4),
            norm=lambda: nn.BatchNorm2d(3),
            relu=nn.ReLU,
            pool=lambda: nn.MaxPool2d(2),
            flatten=nn.Flatten,
            head=lambda: nn.Linear(12, 3),
        ).double()
    )


def compare(name, engine_config, dtype, smallest=False):
    algorithm, params, batch = world(name, dtype, smallest)
    engine = build_engine(engine_config, algorithm, params, batch)
    found, truth = engine.gradient(params, batch, 0, 1), Loop(algorithm).gradient(params, batch, 0, 1)
    assert list(found.gradient) == list(truth.gradient)
    names = set(params)
    if "closed form" in engine.name and algorithm.names != algorithm.learner.head_names and algorithm.inner.steps:
        # Nobody follows the head's gradient under the zeroing trick, and the closed form has none.
        assert all(not bool(found.gradient[key].any()) for key in algorithm.learner.head_names)
        names -= algorithm.learner.head_names
    close(select(found.gradient, names), select(truth.gradient, names), TOLERANCES[dtype])
    torch.testing.assert_close(found.losses, truth.losses, rtol=TOLERANCES[dtype], atol=TOLERANCES[dtype])
    torch.testing.assert_close(found.accuracies, truth.accuracies)
    return engine


def close(found, truth, tolerance):
    largest = max(value.abs().max().item() for value in truth.values())
    for key, value in found.items():
        assert (value - truth[key]).abs().max().item() <= tolerance * largest, key


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_engine_says_what_the_loop_says(name, engine, dtype):
    if engine == "closed_form" and closed_form.departure(world(name, dtype)[0]) is not None:
        with pytest.raises(ConfigError, match="encoder stands still"):
            compare(name, EngineConfig(name=engine), dtype)
        return
    compare(name, EngineConfig(name=engine), dtype)


@pytest.mark.slow
@pytest.mark.skipif(" " in torch.__file__, reason="torch's compiler cannot work from a path with a space")
@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_compiled_engine_says_what_the_loop_says(name, dtype):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's compiler has warnings of its own
        warnings.simplefilter("error", EngineWarning)
        assert compare(name, EngineConfig(name="compiled"), dtype, smallest=True).name == "compiled"


@pytest.mark.parametrize("name", [name for name, preset in ALGORITHMS.items() if preset.axes.order == "second"])
def test_constant_memory_says_what_the_graph_says(name):
    engine = compare(name, EngineConfig(name="loop", memory="constant"), torch.float64)
    algorithm = world(name, torch.float64)[0]
    assert ("constant" in engine.name) == (algorithm.inner.steps > 1 and algorithm.axes.objective == "query_loss")
