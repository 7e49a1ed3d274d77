"""What a learner sees of one task: labelled examples to adapt on, and others to be judged on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from innerloop.errors import ConfigError, DataError

Count = int | tuple[int, int]
Labels = Literal["shuffled", "fixed"]


class Examples(NamedTuple):
    """Inputs with their targets, one row an example: class slots `0..n_way-1` (integer) or real values."""

    inputs: Tensor
    targets: Tensor


def require_classes(examples: Examples, what: str) -> None:
    """Refuse real targets; `what` says what classes are needed for: `to make prototypes of`.

    Raises:
        DataError: They are.
    """
    if examples.targets.is_floating_point():
        raise DataError(f"expected classes {what}, got real targets; choose another algorithm or head")


class Episode(NamedTuple):
    """One task with its drawn support and query; stacked episodes have one leading task axis on every tensor."""

    support: Examples
    query: Examples


Batch = Episode | tuple[Episode, ...]
"""The episodes of one outer step: stacked where all have one shape, else one after another."""


@dataclass(frozen=True)
class EpisodeShape:
    """How large an episode is; each number may be a range `[least, most]`, drawn anew for every episode.

    Attributes:
        n_way: Classes in an episode.
        k_shot: Support examples of each class.
        n_queries: Query examples of each class.
        is_balanced: Whether all classes of an episode get as many support examples; matters for a range of shots.
        labels: `shuffled`: slots are as random as the classes. `fixed`: each class always gets the same slot, the
            setting in which a learner can memorise (kao2022, appendix).
    """

    n_way: Count = 5
    k_shot: Count = 1
    n_queries: Count = 15
    is_balanced: bool = True
    labels: Labels = "shuffled"

    def __post_init__(self) -> None:
        for field, lowest in (("n_way", 2), ("k_shot", 1), ("n_queries", 1)):
            least, most = ends(getattr(self, field))
            if least < lowest:
                raise ConfigError(
                    f"expected episode.{field} of at least {lowest}, got {least}; ask for {lowest} or more"
                )
            if most < least:
                raise ConfigError(f"expected episode.{field} as [least, most], got [{least}, {most}]; turn them round")

    @property
    def ways(self) -> int:
        """The most classes an episode can have: the rows a head needs."""
        return ends(self.n_way)[1]

    @property
    def is_fixed(self) -> bool:
        """Whether all episodes have one shape, so that they can be stacked."""
        return all(least == most for least, most in map(ends, (self.n_way, self.k_shot, self.n_queries)))

    def described(self, classes: bool = True) -> str:
        """Return `5-way 1-shot`, or `1-shot` of tasks that have no classes."""
        ways = f"{spelled(self.n_way)}-way " if classes else ""
        return f"{ways}{spelled(self.k_shot)}-shot" + (", fixed slots" if self.labels == "fixed" else "")

    def __str__(self) -> str:
        return self.described()


def joined(episode: Episode) -> Examples:
    """Return the examples of support and query together."""
    inputs, targets = (torch.cat(values) for values in zip(*episode, strict=True))
    return Examples(inputs, targets)


def united(episodes: Sequence[Episode]) -> Episode:
    """Return one episode of all examples of several, whose targets are numbers of classes and not slots."""
    sides = (
        Examples(*(torch.cat(values) for values in zip(*side, strict=True))) for side in zip(*episodes, strict=True)
    )
    return Episode(*sides)


def with_slots(episode: Episode, order: Tensor) -> Episode:
    """Return the episode with its classes in other slots, in support and query alike.

    Args:
        episode: Targets are class slots; real targets have none, and stay.
        order: A permutation, or numbers of classes; what was slot `i` becomes `order[i]`.
    """
    if episode.query.targets.is_floating_point():
        return episode
    return Episode(*(Examples(side.inputs, order[side.targets]) for side in episode))


def spelled(count: Count) -> str:
    """Return `5`, or `2-5` for a range."""
    return "-".join(map(str, dict.fromkeys(ends(count))))


def ends(count: Count) -> tuple[int, int]:
    """Return the least and the most a number may be."""
    return (count, count) if isinstance(count, int) else count


def drawn(count: Count, rng: torch.Generator) -> int:
    """Draw a number from its range; a fixed one draws nothing."""
    least, most = ends(count)
    return least if least == most else int(torch.randint(least, most + 1, (), generator=rng))


def task(batch: Episode, index: int) -> Episode:
    """Return one episode of stacked ones."""
    return Episode(*(Examples(part.inputs[index], part.targets[index]) for part in batch))


def tasks(batch: Batch) -> Iterator[Episode]:
    """Yield the episodes of a batch one by one."""
    if isinstance(batch, Episode):
        yield from (task(batch, index) for index in range(len(batch.query.targets)))
    else:
        yield from batch


def part(batch: Batch, first: int, last: int) -> Batch:
    """Return the episodes from number `first` to the one before `last`."""
    if not isinstance(batch, Episode):
        return batch[first:last]
    return Episode(*(Examples(*(values[first:last] for values in side)) for side in batch))


def task_count(batch: Batch) -> int:
    """Return how many episodes a batch holds."""
    return len(batch.query.targets) if isinstance(batch, Episode) else len(batch)


def stacked(episodes: list[Episode]) -> Batch:
    """Return the episodes along a leading task axis where their shapes allow it."""
    first = episodes[0]
    if any(_shapes(each) != _shapes(first) for each in episodes):
        return tuple(episodes)
    sides = (
        Examples(*(torch.stack(values) for values in zip(*side, strict=True))) for side in zip(*episodes, strict=True)
    )
    return Episode(*sides)


def on(batch: Batch, device: torch.device | str) -> Batch:
    """Return the batch with its tensors on a device."""
    if not isinstance(batch, Episode):
        return tuple(_moved(each, device) for each in batch)
    return _moved(batch, device)


def _moved(episode: Episode, device: torch.device | str) -> Episode:
    return Episode(*(Examples(*(values.to(device) for values in side)) for side in episode))


def _shapes(episode: Episode) -> list[torch.Size]:
    return [values.shape for side in episode for values in side]
