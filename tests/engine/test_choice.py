import pytest
import torch
from torch import nn

from innerloop.algorithms import ALGORITHMS, AlgorithmConfig, build
from innerloop.data.episode import stacked
from innerloop.engine import Chosen, EngineConfig, Loop, Made, cores
from innerloop.engine import build as build_engine
from innerloop.errors import ConfigError
from innerloop.inner import InnerLoop
from innerloop.models import Learner
from worlds import algorithm_of, conv_learner, image_episode, sequential

BATCH = stacked([image_episode(seed=seed) for seed in range(3)])
MAPPING = "workers" if cores() > 1 else "loop"


def chosen(algorithm_name, inner=None, learner=None, **config):
    algorithm = build(
        AlgorithmConfig(algorithm_name), learner or conv_learner()[0], inner or InnerLoop(lr=0.1, steps=2)
    )
    params = {key: value.double() for key, value in algorithm.initial_params().items()}
    return build_engine(EngineConfig(**config), algorithm, params, BATCH), params


def test_auto_takes_the_closed_form_where_the_encoder_stands_still():
    assert chosen("maml")[0].name == MAPPING
    assert chosen("anil")[0].name == f"{MAPPING}, closed form"
    assert chosen("protonet", inner=InnerLoop(steps=0))[0].name == f"{MAPPING}, closed form"
    assert chosen("zeroing", inner=InnerLoop(lr=0.1, steps=1))[0].name == f"{MAPPING}, closed form"
    assert chosen("zeroing", inner=InnerLoop(lr=0.1, steps=2))[0].name == MAPPING


def test_auto_keeps_one_step_at_a_time_where_the_graph_does_not_fit(monkeypatch):
    monkeypatch.setattr("innerloop.engine.memory.free_bytes", lambda _: 1)
    assert chosen("maml")[0].name == f"{MAPPING}, constant memory"
    assert chosen("maml", memory="graph")[0].name == MAPPING


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"name": "closed_form"}, r"encoder adapts \(adapts=all\).*use engine auto"),
        ({"name": "vmap", "memory": "constant"}, "engine loop or workers with engine.memory=constant, got vmap"),
        ({"name": "vmap", "precision": "bf16"}, "float32 for engine vmap on a CPU"),
        ({"precision": "tf32"}, "expected a GPU for engine.precision=tf32"),
    ],
)
def test_what_cannot_be_done_is_refused_before_the_first_step(settings, said):
    with pytest.raises(ConfigError, match=said):
        chosen("maml", **settings)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"chunk": -1}, "engine.chunk, a whole number of at least 0, got -1"),
        ({"name": "loop", "chunk": 4}, "engine.name=vmap beside engine.chunk, got loop"),
        ({"name": "vmap", "workers": 4}, "engine.name=workers beside engine.workers, got vmap"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings, said):
    with pytest.raises(ConfigError, match=said):
        EngineConfig(**settings)


@pytest.mark.parametrize("name", ["workers", "vmap", "compiled"])
def test_dropout_is_for_the_loop_alone(name):
    module = sequential(
        flatten=nn.Flatten, body=lambda: nn.Linear(256, 4), drop=nn.Dropout, head=lambda: nn.Linear(4, 3)
    ).double()
    with pytest.raises(ConfigError, match=f"network without dropout for engine {name}"):
        chosen("fomaml", learner=Learner(module), name=name)
    assert chosen("fomaml", learner=Learner(module))[0].name == "loop"


class Viewing(nn.Module):
    """Flattens as many users do, which works for images whose channels come first alone."""

    def forward(self, features):
        return features.view(len(features), -1)


def test_a_module_that_looks_at_strides_gets_images_as_they_were():
    module = sequential(
        body=lambda: nn.Conv2d(1, 4, 3, stride=4),
        norm=lambda: nn.BatchNorm2d(4),
        flat=Viewing,
        head=lambda: nn.Linear(64, 3),
    ).double()
    learner = Learner(module)
    engine, params = chosen("fomaml", learner=learner)
    assert not engine.channels_last
    assert chosen("fomaml")[0].channels_last
    found, truth = engine.gradient(params, BATCH), Loop(engine.algorithm).gradient(params, BATCH)
    torch.testing.assert_close(found.losses, truth.losses)


def test_bf16_rounds_and_keeps_parameters_and_losses_as_they_are():
    learner, params = conv_learner(dtype=torch.float32)
    algorithm = algorithm_of("fomaml", learner)
    batch = stacked([image_episode(seed=seed, dtype=torch.float32) for seed in range(3)])
    shorter = build_engine(EngineConfig(precision="bf16"), algorithm, params, batch).gradient(params, batch)
    truth = Loop(algorithm).gradient(params, batch)
    assert {value.dtype for value in shorter.gradient.values()} == {torch.float32}
    assert shorter.losses.dtype == torch.float32
    assert not torch.equal(shorter.losses, truth.losses)
    torch.testing.assert_close(shorter.losses, truth.losses, rtol=0.1, atol=0.1)


def test_an_engine_is_built_when_the_first_batch_comes():
    learner, params = conv_learner()
    engine = Chosen(EngineConfig(), algorithm_of("fomaml", learner))
    assert engine.name == "auto"
    engine.gradient(params, BATCH)
    assert engine.name == MAPPING


def test_a_device_that_is_not_there_is_refused():
    from innerloop.engine import device_of

    assert device_of(EngineConfig(device="cpu")).type == "cpu"
    with pytest.raises(ConfigError, match=r"engine\.device as auto, cpu, cuda"):
        device_of(EngineConfig(device="tpu"))
    with pytest.raises(ConfigError, match=r"expected a GPU for engine\.device=cuda:99"):
        device_of(EngineConfig(device="cuda:99"))


@pytest.mark.parametrize("name", ["r2d2", "contrastive_so", "anil", "maml", "imaml", "protonet"])
def test_in_bf16_only_the_network_rounds(name):
    preset = ALGORITHMS[name]
    learner, _ = conv_learner(dtype=torch.float32)
    algorithm = build(AlgorithmConfig(name), learner, InnerLoop(lr=preset.lr, steps=preset.steps))
    params = algorithm.initial_params()
    batch = stacked([image_episode(seed=seed, dtype=torch.float32) for seed in range(2)])
    found = build_engine(EngineConfig(precision="bf16"), algorithm, params, batch).gradient(params, batch)
    assert {value.dtype for value in found.gradient.values()} == {torch.float32}
    assert torch.isfinite(found.losses).all()


class Strided(nn.Module):
    """Reads memory as if channels came first."""

    def forward(self, features):
        return torch.as_strided(features, (len(features), 64), (64, 1))


def test_a_module_that_says_other_things_for_other_strides_gets_images_as_they_were():
    module = sequential(body=lambda: nn.Conv2d(1, 4, 3, stride=4), flat=Strided, head=lambda: nn.Linear(64, 3)).double()
    assert not chosen("fomaml", learner=Learner(module))[0].channels_last


def test_a_test_keeps_no_graph_and_measures_none(monkeypatch):
    monkeypatch.setattr("innerloop.engine.memory.free_bytes", lambda _: 1)
    algorithm = build(AlgorithmConfig("maml"), conv_learner()[0], InnerLoop(lr=0.1, steps=2))
    params = {key: value.double() for key, value in algorithm.initial_params().items()}
    for name in ("auto", "compiled", "closed_form"):
        assert build_engine(EngineConfig(name=name).of_tests, algorithm, params, BATCH).name == MAPPING
    assert build_engine(EngineConfig(name="vmap").of_tests, algorithm, params, BATCH).name == "vmap"


@pytest.mark.parametrize(
    "made",
    [Made("loop"), Made("workers", "constant memory", workers=3), Made("vmap", chunk=2), Made("loop", "closed form")],
)
def test_an_engine_can_be_made_again_whatever_would_be_chosen(made):
    algorithm = algorithm_of("anil" if made.rule == "closed form" else "maml", conv_learner()[0])
    params = {key: value.double() for key, value in algorithm.initial_params().items()}
    engine = Chosen(EngineConfig(), algorithm, made)
    engine.begin(params, BATCH)
    assert engine.made == made
    assert engine.name == f"{made.mapping}, {made.rule}".removesuffix(", ")
