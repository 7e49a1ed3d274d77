"""Small worlds to test in: episodes of random images with class structure, learners in float64, made-up splits."""

from collections import OrderedDict

import numpy as np
import torch
from torch import nn

from innerloop.algorithms import AlgorithmConfig, build
from innerloop.analysis import Probe
from innerloop.bench.settings import built, to_world
from innerloop.bench.world import World
from innerloop.data.episode import Episode, EpisodeShape, Examples
from innerloop.data.sampler import draw_batch
from innerloop.data.split import DataSet, split_by_class
from innerloop.inner import InnerLoop
from innerloop.models import Learner, ModelConfig
from innerloop.models import build as build_learner
from innerloop.runs import Recipe
from innerloop.seeds import generator


def image_episode(n_way=3, k_shot=2, n_queries=3, size=16, channels=1, seed=0, dtype=torch.float64) -> Episode:
    """Images that are a class pattern plus noise."""
    rng = generator(seed, "world")
    patterns = torch.randn(n_way, 1, channels, size, size, generator=rng, dtype=dtype)

    def examples(per_way: int) -> Examples:
        noise = torch.randn(n_way, per_way, channels, size, size, generator=rng, dtype=dtype)
        return Examples((patterns + 0.7 * noise).flatten(0, 1), torch.arange(n_way).repeat_interleave(per_way))

    return Episode(examples(k_shot), examples(n_queries))


def unbalanced() -> Episode:
    """Three classes with 3, 1 and 2 examples on both sides."""
    kept = torch.tensor([0, 1, 2, 3, 6, 7])
    return Episode(*(Examples(*(values[kept] for values in side)) for side in image_episode(k_shot=3)))


def conv_learner(n_way=3, size=16, filters=4, seed=0, dtype=torch.float64, **config):
    """A small Conv-4 with its parameters."""
    learner = build_learner(ModelConfig("conv4", filters=filters, **config), (1, size, size), n_way, seed)
    return learner, {name: value.to(dtype) for name, value in learner.initial_params().items()}


def sequential(**layers) -> nn.Sequential:
    """A module of named layers, each made by a function; torch's own first values leave no trace in the generator."""
    with torch.random.fork_rng(devices=[]):
        return nn.Sequential(OrderedDict((name, make()) for name, make in layers.items()))


def smooth_learner(inputs=6, hidden=5, n_way=3, seed=0):
    """A small network without kinks, for finite differences."""
    rng = generator(seed, "smooth")
    module = sequential(
        flatten=nn.Flatten, body=lambda: nn.Linear(inputs, hidden), bend=nn.Tanh, head=lambda: nn.Linear(hidden, n_way)
    ).double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=rng, dtype=torch.float64) * 0.6)
    learner = Learner(module)
    return learner, learner.initial_params()


def normed_learner(inputs=6, hidden=5, n_way=3, seed=0):
    """A small network without kinks but with BatchNorm, for finite differences."""
    module = sequential(
        flatten=nn.Flatten,
        body=lambda: nn.Linear(inputs, hidden),
        norm=lambda: nn.BatchNorm1d(hidden),
        bend=nn.Tanh,
        head=lambda: nn.Linear(hidden, n_way),
    ).double()
    rng = generator(seed, "normed")
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=rng, dtype=torch.float64) * 0.6)
    learner = Learner(module)
    return learner, learner.initial_params()


def vector_episode(inputs=6, n_way=3, k_shot=2, n_queries=4, seed=0) -> Episode:
    """Vectors around class centres."""
    rng = generator(seed, "vectors")
    centres = torch.randn(n_way, 1, inputs, generator=rng, dtype=torch.float64)

    def examples(per_way: int) -> Examples:
        noise = torch.randn(n_way, per_way, inputs, generator=rng, dtype=torch.float64)
        return Examples((centres + noise).flatten(0, 1), torch.arange(n_way).repeat_interleave(per_way))

    return Episode(examples(k_shot), examples(n_queries))


def algorithm_of(name, learner, order=None, axes=None, **inner):
    return build(AlgorithmConfig(name, order=order, **(axes or {})), learner, InnerLoop(**inner))


def made_up_data(n_classes=12, per_class=8, size=16, name="made-up", sides=("train", "validation", "test")) -> DataSet:
    """A data set of random images, for what has nothing to do with what is on them."""
    images = np.random.default_rng(0).integers(0, 256, (n_classes * per_class, 1, size, size), dtype=np.uint8)
    class_of = [f"class {index // per_class}" for index in range(len(images))]
    names = list(dict.fromkeys(class_of))
    share = n_classes // len(sides)
    return DataSet(
        name,
        {
            side: split_by_class(name, side, images, class_of, names[i * share : (i + 1) * share])
            for i, side in enumerate(sides)
        },
    )


SMALL = EpisodeShape(3, 2, 3)


def probes_of(episodes):
    """Return what a Subject asks for: its probe episodes, from the first at every call."""

    def probes():
        for number, episode in enumerate(episodes):
            slots = int(episode.support.targets.max()) + 1
            yield Probe(number, episode, tuple(f"class {slot}" for slot in range(slots)))

    return probes


def raced_world(shape=SMALL, algorithm="maml") -> World:
    """Three made-up episodes for contenders to race over, with a Conv-4 of two filters."""
    recipe = Recipe(model=ModelConfig("conv4", filters=2), algorithm=AlgorithmConfig(algorithm), episode=shape)
    batch = draw_batch(made_up_data().split("train"), shape, 0, range(3))
    return to_world(recipe, built(recipe, (1, 16, 16), shape.ways), batch)


# What an inner loop and its outer loss can be beside MAML's, a setting each; all have a second-order gradient.
CROSSINGS = {
    "momentum": {"rule": "momentum"},
    "adam": {"rule": "adam"},
    "one learned rate": {"learned_rates": "one"},
    "a rate a layer": {"learned_rates": "layer"},
    "a rate a layer and step": {"learned_rates": "layer_step"},
    "a rate a weight": {"learned_rates": "weight"},
    "every step": {"outer_loss": "every_step"},
    "narrowing to the last": {"outer_loss": "every_step", "last_from": 10},
    "norms by step": {"per_step_norms": True},
    "prototypes": {"head": "prototypes"},
    "ridge": {"head": "ridge"},
    "proximal": {"proximal": 0.7},
    "body": {"adapts": "body"},
    "a layer by name": {"adapts": "body.*,head.bias"},
}
