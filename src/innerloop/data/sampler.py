"""Drawing episodes: a pure function of (split, shape, seed, index).

No state is carried from one episode to the next, so episode 7 is the same whether or not episode 6 was drawn, on
any machine and in any process.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from innerloop.data.augment import NONE, Augmentation
from innerloop.data.episode import Batch, Episode, EpisodeShape, Examples, drawn, ends, on, stacked, with_slots
from innerloop.data.family import Family
from innerloop.data.split import Split
from innerloop.errors import ConfigError, DataError
from innerloop.seeds import generator

Ids = tuple[NDArray[np.int64], ...]


class Choice(NamedTuple):
    """Which classes and examples an episode is made of: slot `i` is class `classes[i]`, its examples by index."""

    classes: tuple[int, ...]
    support: Ids
    query: Ids


def check(split: Split | Family, shape: EpisodeShape) -> None:
    """Refuse a split that cannot fill episodes of this shape.

    Raises:
        DataError: Too few classes, or a class with too few examples.
        ConfigError: Fixed slots for tasks by formula, which have no classes that come back.
    """
    if isinstance(split, Family):
        if shape.labels == "fixed":
            raise ConfigError(
                f"expected classes that come back for episode.labels=fixed, got '{split.data_set}', whose tasks are "
                "given by a formula; leave it out"
            )
        return  # a formula never runs out of examples
    where = f"'{split.data_set}' {split.name}"
    if len(split) < shape.ways:
        raise DataError(
            f"expected at least {shape.ways} classes in {where} for {shape.ways}-way episodes, got {len(split)}; "
            "ask for fewer ways"
        )
    shots, queries = ends(shape.k_shot)[1], ends(shape.n_queries)[1]
    fewest = min(range(len(split)), key=lambda index: len(split.members[index]))
    if len(split.members[fewest]) < shots + queries:
        raise DataError(
            f"expected at least {shots + queries} images of every class in {where} ({shots} support + {queries} "
            f"query), got {len(split.members[fewest])} of '{split.class_names[fewest]}'; ask for fewer shots or queries"
        )


def choose(split: Split, shape: EpisodeShape, seed: int, index: int) -> Choice:
    """Choose classes, and their examples without replacement, uniformly."""
    return _choose(split, shape, _stream(split, seed, index))


def _stream(split: Split | Family, seed: int, index: int) -> torch.Generator:
    return generator(seed, "episodes", split.data_set, split.name, index)


def _choose(split: Split, shape: EpisodeShape, rng: torch.Generator) -> Choice:
    n_way, n_queries = drawn(shape.n_way, rng), drawn(shape.n_queries, rng)
    k_shot = drawn(shape.k_shot, rng) if shape.is_balanced else 0
    classes = _classes(len(split), n_way, shape, rng)
    support, query = [], []
    for each in classes:
        shots = k_shot or drawn(shape.k_shot, rng)
        members = split.members[each]
        order = torch.randperm(len(members), generator=rng)[: shots + n_queries].numpy()
        support.append(members[order[:shots]])
        query.append(members[order[shots:]])
    return Choice(tuple(classes), tuple(support), tuple(query))


def _classes(available: int, n_way: int, shape: EpisodeShape, rng: torch.Generator) -> list[int]:
    if shape.labels == "shuffled":
        chosen: list[int] = torch.randperm(available, generator=rng)[:n_way].tolist()
        return chosen
    # Fixed slots: class c always sits in slot c modulo the ways, so each slot draws from classes of its own.
    return [
        slot + shape.ways * int(torch.randint((available - slot - 1) // shape.ways + 1, (), generator=rng))
        for slot in range(n_way)
    ]


def draw(
    split: Split | Family,
    shape: EpisodeShape,
    seed: int,
    index: int,
    augmentation: Augmentation = NONE,
    numbered: bool = False,
) -> Episode:
    """Draw one episode; examples are ordered by slot.

    Args:
        split: Where it comes from.
        shape: Ways, shots, queries.
        seed: Whose episodes.
        index: Which of them.
        augmentation: What is done to the images.
        numbered: Whether targets are the classes' numbers within the split, instead of slots.

    Returns:
        Inputs as float32 [example *dims], images in [0, 1]; targets int64 [example], or float32 [example outputs].
    """
    rng = _stream(split, seed, index)
    if isinstance(split, Family):
        return split.sample(shape, rng)
    choice = _choose(split, shape, rng)
    episode = gather(split, choice, augmentation, rng=rng)
    return with_slots(episode, torch.tensor(choice.classes)) if numbered else episode


def draw_batch(
    split: Split | Family,
    shape: EpisodeShape,
    seed: int,
    indices: Iterable[int],
    augmentation: Augmentation = NONE,
    device: torch.device | str = "cpu",
    numbered: bool = False,
) -> Batch:
    """Draw the episodes of these indices, stacked along a leading task axis where the shape is fixed, on a device."""
    return on(stacked([draw(split, shape, seed, index, augmentation, numbered) for index in indices]), device)


def gather(
    split: Split, choice: Choice, augmentation: Augmentation = NONE, *, rng: torch.Generator | None = None
) -> Episode:
    """Return the examples of a choice; `rng` is what augmentation draws from."""
    sides = []
    for ids in (choice.support, choice.query):
        inputs = inputs_of(split, choice.classes, ids)
        if augmentation != NONE and rng is not None:
            inputs = augmentation(inputs, rng=rng)
        counts = torch.tensor([len(each) for each in ids])
        sides.append(Examples(inputs, torch.arange(len(ids)).repeat_interleave(counts)))
    return Episode(*sides)


def inputs_of(split: Split, classes: Sequence[int], ids: Ids) -> Tensor:
    """Return the examples of these classes, class by class, as `draw` gives them.

    Args:
        split: Where they come from.
        classes: Which classes.
        ids: For each of them, which of the split's examples.
    """
    rows = split.inputs[np.concatenate(ids)]
    if split.turns:
        start = 0
        for each, members in zip(classes, ids, strict=True):
            part = slice(start, start + len(members))
            rows[part] = np.rot90(rows[part], split.turns[each], axes=(2, 3))
            start = part.stop
    values = torch.from_numpy(rows).float()
    return values.div_(255) if split.inputs.dtype == np.uint8 else values
