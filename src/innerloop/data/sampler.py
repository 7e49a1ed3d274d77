"""Drawing episodes: a pure function of (split, shape, seed, index).

No state is carried from one episode to the next, so episode 7 is the same whether or not episode 6 was drawn, on
any machine and in any process.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from innerloop.data.episode import Episode, EpisodeShape, Examples
from innerloop.data.split import Split
from innerloop.errors import DataError
from innerloop.seeds import generator


class Choice(NamedTuple):
    """Which classes and images an episode is made of; slot `i` of the episode is class `classes[i]`."""

    classes: tuple[int, ...]
    support: NDArray[np.int64]
    query: NDArray[np.int64]


def check(split: Split, shape: EpisodeShape) -> None:
    """Refuse a split that cannot fill episodes of this shape.

    Raises:
        DataError: Too few classes, or a class with too few images.
    """
    where = f"'{split.data_set}' {split.name}"
    if len(split) < shape.n_way:
        raise DataError(
            f"expected at least {shape.n_way} classes in {where} for {shape.n_way}-way episodes, got {len(split)}; "
            "ask for fewer ways"
        )
    needed = shape.k_shot + shape.n_queries
    fewest = min(range(len(split)), key=lambda index: len(split.members[index]))
    if len(split.members[fewest]) < needed:
        raise DataError(
            f"expected at least {needed} images of every class in {where} ({shape.k_shot} support + {shape.n_queries} "
            f"query), got {len(split.members[fewest])} of '{split.class_names[fewest]}'; ask for fewer shots or queries"
        )


def choose(split: Split, shape: EpisodeShape, seed: int, index: int) -> Choice:
    """Choose classes, and their images without replacement, uniformly.

    Slots are as random as the classes: a class has no slot of its own.
    """
    rng = generator(seed, "episodes", split.data_set, split.name, index)
    classes = torch.randperm(len(split), generator=rng)[: shape.n_way].tolist()
    support, query = [], []
    for each in classes:
        members = split.members[each]
        order = torch.randperm(len(members), generator=rng)[: shape.k_shot + shape.n_queries].numpy()
        support.append(members[order[: shape.k_shot]])
        query.append(members[order[shape.k_shot :]])
    return Choice(tuple(classes), np.concatenate(support), np.concatenate(query))


def draw(split: Split, shape: EpisodeShape, seed: int, index: int) -> Episode:
    """Draw one episode; examples are ordered by slot.

    Returns:
        Inputs in [0, 1] as float32 [example channel height width], targets int64 [example].
    """
    batch = draw_batch(split, shape, seed, [index])
    return Episode(*(Examples(part.inputs[0], part.targets[0]) for part in batch))


def draw_batch(split: Split, shape: EpisodeShape, seed: int, indices: Iterable[int]) -> Episode:
    """Draw the episodes of these indices and stack them along a leading task axis."""
    choices = [choose(split, shape, seed, index) for index in indices]
    return Episode(
        _gather(split, shape.n_way, shape.k_shot, [choice.support for choice in choices]),
        _gather(split, shape.n_way, shape.n_queries, [choice.query for choice in choices]),
    )


def _gather(split: Split, n_way: int, per_way: int, rows: list[NDArray[np.int64]]) -> Examples:
    pixels = torch.from_numpy(split.images[np.stack(rows)])
    slots: Tensor = torch.arange(n_way).repeat_interleave(per_way).expand(len(rows), -1)
    return Examples(pixels.float().div_(255), slots.contiguous())
