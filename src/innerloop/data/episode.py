"""What a learner sees of one task: labelled examples to adapt on, and others to be judged on."""

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from innerloop.errors import ConfigError


class Examples(NamedTuple):
    """Inputs with their targets, one row an example: class slots `0..n_way-1` (integer) or real values."""

    inputs: Tensor
    targets: Tensor


class Episode(NamedTuple):
    """One task with its drawn support and query; a batch of episodes has one leading task axis on every tensor."""

    support: Examples
    query: Examples


@dataclass(frozen=True)
class EpisodeShape:
    """How large an episode is.

    Attributes:
        n_way: Classes in an episode.
        k_shot: Support examples of each class.
        n_queries: Query examples of each class.
    """

    n_way: int = 5
    k_shot: int = 1
    n_queries: int = 15

    def __post_init__(self) -> None:
        for field, least in (("n_way", 2), ("k_shot", 1), ("n_queries", 1)):
            value = getattr(self, field)
            if value < least:
                raise ConfigError(f"expected episode.{field} of at least {least}, got {value}; ask for {least} or more")

    def __str__(self) -> str:
        return f"{self.n_way}-way {self.k_shot}-shot"


def task(batch: Episode, index: int) -> Episode:
    """Return one episode of a stacked batch."""
    return Episode(*(Examples(part.inputs[index], part.targets[index]) for part in batch))


def n_tasks(batch: Episode) -> int:
    """Return how many episodes a stacked batch holds."""
    return len(batch.query.targets)
