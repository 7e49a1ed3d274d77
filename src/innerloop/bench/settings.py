"""The settings everybody is measured in, with made-up images, and a world made of a recipe."""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import torch

from innerloop.algorithms import Algorithm, AlgorithmConfig
from innerloop.algorithms import build as build_algorithm
from innerloop.bench.world import Told, World
from innerloop.data.episode import Batch, Episode, EpisodeShape, Examples, ends, stacked
from innerloop.models import ModelConfig
from innerloop.models import build as build_learner
from innerloop.runs import InnerConfig, Recipe
from innerloop.runs.recipe import from_yaml, to_yaml
from innerloop.seeds import generator
from innerloop.training import TrainingConfig


class Setting(NamedTuple):
    """A recipe, and the shape of its images [channel height width]."""

    recipe: Recipe
    image: tuple[int, int, int]


SETTINGS: Mapping[str, Setting] = {
    "omni": Setting(
        Recipe(
            model=ModelConfig("conv4", filters=64),
            inner=InnerConfig(lr=0.4, steps=1),
            training=TrainingConfig(tasks=32),
        ),
        (1, 28, 28),
    ),
    "mini": Setting(
        Recipe(
            model=ModelConfig("conv4", filters=32),
            inner=InnerConfig(lr=0.01, steps=5),
            training=TrainingConfig(tasks=4),
        ),
        (3, 84, 84),
    ),
}

ORDERS: Mapping[str, AlgorithmConfig] = {
    "second": AlgorithmConfig("maml"),
    "first": AlgorithmConfig("fomaml"),
    "zeroing": AlgorithmConfig("zeroing"),
    "zeroing-first": AlgorithmConfig("zeroing", order="first"),
}


def world_of(setting: str, order: str) -> World:
    """Return what the contenders of a setting are given, with the algorithm of this order."""
    recipe, image = SETTINGS[setting]
    recipe = replace(recipe, algorithm=ORDERS[order])
    batch = made_up(recipe.episode, image, recipe.training.tasks, recipe.seed)
    return to_world(recipe, built(recipe, image, recipe.episode.ways), batch)


def made_up(shape: EpisodeShape, image: tuple[int, ...], tasks: int, seed: int) -> Batch:
    """Return episodes of noise, as large as the largest of this shape."""
    rng = generator(seed, "made up")
    ways, shots, queries = (ends(count)[1] for count in (shape.n_way, shape.k_shot, shape.n_queries))

    def examples(each: int) -> Examples:
        inputs = torch.rand(ways * each, *image, generator=rng)
        return Examples(inputs, torch.arange(ways).repeat_interleave(each))

    return stacked([Episode(examples(shots), examples(queries)) for _ in range(tasks)])


def to_world(recipe: Recipe, algorithm: Algorithm, batch: Batch) -> World:
    """Return what the contenders of this recipe are given."""
    learner, params = algorithm.learner, algorithm.initial_params()
    inner = recipe.inner_loop
    told = Told(
        names=list(params),
        head=sorted(learner.head_names),
        lr=inner.lr,
        steps=inner.steps,
        first_order=algorithm.order == "first",
        outputs=len(learner.linear_head(learner.initial_params())[0]),
        recipe=to_yaml(recipe),
    )
    return World(params, batch, told)


def algorithm_of(world: World) -> Algorithm:
    """Return the algorithm of a world's recipe, for its inputs and its head."""
    recipe = from_yaml(world.told.recipe, "the world of this race")
    return built(recipe, tuple(world.episodes[0].query.inputs.shape[1:]), world.told.outputs)


def built(recipe: Recipe, image: tuple[int, ...], outputs: int) -> Algorithm:
    """Return the recipe's algorithm for inputs of this shape and a head of so many rows."""
    return build_algorithm(
        recipe.algorithm, build_learner(recipe.model, image, outputs, recipe.seed), recipe.inner_loop
    )
