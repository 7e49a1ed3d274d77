"""Task families by formula: sinusoid, linear_regression, gaussians. Sides differ in their random streams alone.

Real-valued tasks have no classes: `k_shot` and `n_queries` count the examples of the whole task, `n_way` says nothing.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from innerloop.data.episode import Episode, EpisodeShape, Examples, drawn
from innerloop.data.family import Family
from innerloop.data.split import SIDES, DataSet

AMPLITUDES, PHASES, RANGE = (0.1, 5.0), (0.0, math.pi), 5.0
DIMENSION, TASK_SPREAD, LABEL_NOISE = 60, 0.5, 1.0
FEATURES, SPREAD = 16, 0.7


def sinusoid() -> DataSet:
    """Return y = amplitude sin(x - phase): amplitude 0.1 to 5, phase 0 to pi, x in [-5, 5], no noise.

    Source: finn2017, section 5.1.
    """

    def sample(shape: EpisodeShape, rng: torch.Generator) -> Episode:
        amplitude, phase = (_uniform(rng, *bounds) for bounds in (AMPLITUDES, PHASES))

        def examples(count: int) -> Examples:
            x = _uniform(rng, -RANGE, RANGE, count, 1)
            return Examples(x, amplitude * torch.sin(x - phase))

        return _regression(shape, rng, examples)

    return _family("sinusoid", (1,), 1, sample)


def linear_regression() -> DataSet:
    """Return y = w x + noise with a weight of its own for each task, w ~ N(0, spread^2 / p), x ~ N(0, I), p = 60.

    Source: bernacchia2021, mixed linear regression, around w0 = 0; spread 0.5, noise 1.
    """

    def sample(shape: EpisodeShape, rng: torch.Generator) -> Episode:
        weight = torch.randn(DIMENSION, 1, generator=rng) * (TASK_SPREAD / math.sqrt(DIMENSION))

        def examples(count: int) -> Examples:
            x = torch.randn(count, DIMENSION, generator=rng)
            return Examples(x, x @ weight + LABEL_NOISE * torch.randn(count, 1, generator=rng))

        return _regression(shape, rng, examples)

    return _family("linear_regression", (DIMENSION,), 1, sample)


def gaussians() -> DataSet:
    """Return classes that are Gaussian clouds of spread 0.7 around centres from N(0, I) in 16 dimensions."""

    def sample(shape: EpisodeShape, rng: torch.Generator) -> Episode:
        n_way, k_shot, n_queries = (drawn(each, rng) for each in (shape.n_way, shape.k_shot, shape.n_queries))
        centres = torch.randn(n_way, 1, FEATURES, generator=rng)

        def examples(per_way: int) -> Examples:
            clouds = centres + SPREAD * torch.randn(n_way, per_way, FEATURES, generator=rng)
            return Examples(clouds.flatten(0, 1), torch.arange(n_way).repeat_interleave(per_way))

        return Episode(examples(k_shot), examples(n_queries))

    return _family("gaussians", (FEATURES,), None, sample)


def _family(
    name: str,
    input_shape: tuple[int, ...],
    outputs: int | None,
    sample: Callable[[EpisodeShape, torch.Generator], Episode],
) -> DataSet:
    return DataSet(name, {side: Family(name, side, input_shape, outputs, sample) for side in SIDES})


def _regression(shape: EpisodeShape, rng: torch.Generator, examples: Callable[[int], Examples]) -> Episode:
    return Episode(examples(drawn(shape.k_shot, rng)), examples(drawn(shape.n_queries, rng)))


def _uniform(rng: torch.Generator, low: float, high: float, *size: int) -> Tensor:
    return low + (high - low) * torch.rand(size, generator=rng)
