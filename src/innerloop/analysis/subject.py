"""What an analysis looks at: a learner as it stands, and the episodes it is looked at on."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from innerloop.algorithms import Algorithm
from innerloop.data.episode import Episode, EpisodeShape
from innerloop.data.family import Family
from innerloop.data.sampler import check, choose, draw, gather
from innerloop.data.split import Split
from innerloop.errors import ConfigError
from innerloop.runs import OpenedRun
from innerloop.shapes import Params
from innerloop.training import TOGETHER, State


class Probe(NamedTuple):
    """One episode to look at, with what a reader knows it by.

    Attributes:
        number: Its index; (data set, split, seed, index) is the episode.
        episode: Its examples.
        classes: The class name of each slot.
    """

    number: int
    episode: Episode
    classes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Subject:
    """A learner and its probe episodes.

    Attributes:
        trained: The algorithm with the inner loop of training: what the meta-gradient is made by.
        tested: The same with the inner loop of the test: what predictions are made by.
        params: The meta-parameters looked at.
        probes: Returns the episodes, from the first, every time it is called; one at a time in memory.
        run: The run they come from, for what was recorded while it trained; None for a learner without one.
        state: The training state they stand in; None for a learner without one.
        seen: Returns the side of the data that was trained on; None for a learner without one.
    """

    trained: Algorithm
    tested: Algorithm
    params: Params
    probes: Callable[[], Iterable[Probe]]
    run: OpenedRun | None = None
    state: State | None = None
    seen: Callable[[], Split | Family] | None = None

    def some_at_a_time(self) -> Iterator[list[Probe]]:
        """Yield the episodes in groups, each for all cores at once."""
        remaining = iter(self.probes())
        while several := list(islice(remaining, TOGETHER)):
            yield several


def probes(split: Split | Family, shape: EpisodeShape, seed: int, indices: Iterable[int]) -> Iterable[Probe]:
    """Yield the episodes of these indices, the same that `evaluate` draws.

    Raises:
        ConfigError: Targets are real values, and there are no classes to tell apart.
        DataError: The split cannot fill such episodes.
    """
    refuse_real(split)
    check(split, shape)
    return (_probe(split, shape, seed, index) for index in indices)


def refuse_real(split: Split | Family) -> None:
    """Refuse tasks whose targets are real values: the prism's parts belong to classes.

    Raises:
        ConfigError: They are.
    """
    if isinstance(split, Family) and split.outputs is not None:
        raise ConfigError(
            f"expected classes to explain, got the real targets of '{split.data_set}'; explain a run on labelled data"
        )


def _probe(split: Split | Family, shape: EpisodeShape, seed: int, index: int) -> Probe:
    if isinstance(split, Family):
        episode = draw(split, shape, seed, index)
        count = int(episode.support.targets.max()) + 1
        return Probe(index, episode, tuple(f"slot {slot}" for slot in range(count)))
    choice = choose(split, shape, seed, index)
    return Probe(index, gather(split, choice), tuple(split.class_names[each] for each in choice.classes))
