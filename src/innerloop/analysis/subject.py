"""What an analysis looks at: a learner as it stands, and the episodes it is looked at on."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple, TypeVar

from innerloop.algorithms import Algorithm
from innerloop.data.episode import Episode, EpisodeShape
from innerloop.data.family import Family
from innerloop.data.sampler import check, choose, draw, gather
from innerloop.data.split import Split
from innerloop.data.storage import Watch, unwatched
from innerloop.errors import ConfigError
from innerloop.runs import OpenedRun
from innerloop.seeds import derived_seed
from innerloop.shapes import Params
from innerloop.training import TOGETHER, State

Item = TypeVar("Item")


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
        home: Maps the name of a side to that side of the data the learner was trained on; None for a learner without.
        split: The side the probes come from; None where nobody says.
        shape: Ways, shots and queries of the probes; None where nobody says.
        watch: Shows how far work beside the probes has come.
    """

    trained: Algorithm
    tested: Algorithm
    params: Params
    probes: Callable[[], Iterable[Probe]]
    run: OpenedRun | None = None
    state: State | None = None
    home: Callable[[str], Split | Family] | None = None
    split: Split | Family | None = None
    shape: EpisodeShape | None = None
    watch: Watch = unwatched

    def some_at_a_time(self) -> Iterator[list[Probe]]:
        """Yield the episodes in groups, each for all cores at once."""
        return together(self.probes())

    def own(self, side: str) -> Split | Family:
        """Return one side of the data the learner was trained on.

        Raises:
            ConfigError: It is not known.
        """
        if self.home is None:
            raise ConfigError(
                "expected a run, whose own data other tasks are drawn from, got a learner alone; explain a run, or "
                "give the Subject a home"
            )
        return self.home(side)

    def at_home(self, side: str, stream: str, indices: Iterable[int]) -> Iterable[Probe]:
        """Yield other episodes of the learner's own data, shaped like the probes.

        Args:
            side: Of the data.
            stream: Names the stream they are of, which no seed's probes are of.
            indices: Which of the stream's.

        Raises:
            ConfigError: It is not known what the learner was trained on, or what the probes are shaped like.
            DataError: That side cannot fill such episodes.
        """
        split = self.own(side)
        if self.shape is None:
            raise ConfigError(
                "expected the shape of the probes, to draw other tasks alike, got none; give the Subject a shape"
            )
        return probes(split, self.shape, derived_seed(0, stream), indices)


def together(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Yield items in groups of as many as are drawn and computed at once."""
    remaining = iter(items)
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
