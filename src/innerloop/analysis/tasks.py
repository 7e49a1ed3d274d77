"""How do tasks relate, and is a new one a combination of those trained on?

Every task is a vector (`embedding`); a bank holds those of training classes. A new task's nearest neighbours in the
bank are combined to fit it, and what they leave is held against four things for which no good fit is expected:

    others      the same task, by as many random tasks of the bank in the place of its neighbours
    shuffled    a task of the same examples whose labels are dealt at random, by its own neighbours
    direction   a random direction, by its own neighbours
    and the dimensions themselves: so many random vectors leave sqrt(1 - neighbours / dimensions)

Source: achille2019 (tasks as vectors), lawson1974 (non-negative least squares); the controls are ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from innerloop.analysis.bank import Bank, Embedder, bank, embedder, member
from innerloop.analysis.combination import Combination, nonnegative, ridge
from innerloop.analysis.embedding import Kind, steps_of
from innerloop.analysis.flat import Point, scattered
from innerloop.analysis.subject import Probe, Subject
from innerloop.data.episode import Episode, Examples, joined, stacked
from innerloop.data.pictures import to_text
from innerloop.data.split import TRAIN
from innerloop.errors import ConfigError, DataError, DivergedError, one_of
from innerloop.seeds import generator
from innerloop.statistics import Correlation, Interval, mean_interval, paired_difference, rank_correlation
from innerloop.training.evaluate import scores

NAMED = 3  # neighbours of a task that are named and drawn
SHOWN = 10  # tasks whose pictures stand on the map


@dataclass(frozen=True)
class TasksSettings:
    """How tasks become vectors, and what they are held against.

    Attributes:
        embedding: `direction` of adaptation, support `gradient`, or diagonal `fisher` (slow: a backward pass an example
            and class).
        dimensions: Numbers a vector is projected to.
        bank: Tasks of the training classes to hold new ones against; up to 10000 are quick to search.
        bank_from: A bank that was kept by another run of this command, to use instead of one's own.
        neighbours: Nearest tasks of the bank that a new one is combined of; fewer than dimensions.
        penalty: Of the ridge regression, for vectors of length 1.
        mapped: Tasks of the bank that are drawn on the map beside the new ones, from the first.
        drawn: New tasks that are shown with their neighbours, from the first.
    """

    embedding: Kind = "direction"
    dimensions: int = 2048
    bank: int = 1000
    bank_from: str | None = None
    neighbours: int = 32
    penalty: float = 0.1
    mapped: int = 300
    drawn: int = 3

    def __post_init__(self) -> None:
        one_of("embedding", self.embedding, get_args(Kind))
        if self.neighbours < 1:
            raise ConfigError(f"expected at least 1 of neighbours, got {self.neighbours}; 32 are usual")
        if self.neighbours >= self.dimensions:
            raise ConfigError(
                f"expected fewer neighbours than dimensions, got {self.neighbours} in {self.dimensions}; as many fit "
                "anything, so ask for fewer"
            )
        if self.neighbours > self.bank:
            raise ConfigError(
                f"expected a bank of at least {self.neighbours} tasks, one for each of the neighbours, got "
                f"{self.bank}; ask for a larger bank"
            )
        if not self.penalty > 0:
            raise ConfigError(f"expected a penalty above 0, got {self.penalty:g}; 0.1 is usual")
        for name in ("mapped", "drawn"):
            if getattr(self, name) < 0:
                raise ConfigError(f"expected {name} of at least 0, got {getattr(self, name)}; 0 leaves it out")


@dataclass(frozen=True)
class Residuals:
    """What combinations leave, as a share of a vector's length, in [0, 1].

    Attributes:
        task: Of new tasks, by their neighbours.
        others: Of the same tasks, by random tasks of the bank.
        shuffled: Of tasks whose labels mean nothing, by their own neighbours.
        direction: Of random directions, by their own neighbours.
        below_others: `others` less `task`, in pairs: what being near is worth.
        below_shuffled: `shuffled` less `task`, in pairs: what the labels are worth.
        with_accuracy: Rank correlation of a new task's with its query accuracy; None where there is none to measure.
    """

    task: Interval
    others: Interval
    shuffled: Interval
    direction: Interval
    below_others: Interval
    below_shuffled: Interval
    with_accuracy: Correlation | None


@dataclass(frozen=True)
class Shown:
    """A task to look at.

    Attributes:
        number: Its index, of the probes or of the bank.
        classes: The class of each slot.
        pictures: A support example of each, as base64 PNG; none where examples are no pictures.
    """

    number: int
    classes: tuple[str, ...]
    pictures: tuple[str, ...]


@dataclass(frozen=True)
class Neighbour:
    """A task of the bank, its non-negative weight in a new one, and the cosine of both."""

    task: Shown
    weight: float
    cosine: float


@dataclass(frozen=True)
class Related:
    """A new task with those that weigh most in it.

    Attributes:
        task: The new one.
        residual: What all its neighbours leave of it.
        accuracy: Of its queries, in [0, 1].
        neighbours: The heaviest first.
    """

    task: Shown
    residual: float
    accuracy: float
    neighbours: tuple[Neighbour, ...]


@dataclass(frozen=True)
class TaskMap:
    """Tasks in two dimensions, by t-SNE on cosines.

    Attributes:
        bank: Tasks of the bank.
        tasks: New ones.
        accuracies: Of the new ones.
        shown: Of both, those that are shown as pictures, each with its place.
    """

    bank: tuple[Point, ...]
    tasks: tuple[Point, ...]
    accuracies: tuple[float, ...]
    shown: tuple["Placed", ...]


@dataclass(frozen=True)
class Placed:
    """A task on the map, and whether it is a new one."""

    task: Shown
    place: Point
    is_new: bool


@dataclass(frozen=True)
class Tasks:
    """How new tasks relate to those trained on.

    Attributes:
        embedding: What tasks are embedded by; a `direction` becomes a `gradient` where the encoder stays.
        asked: What was asked for.
        steps: Inner steps from a zero head that it stands on.
        parameters: Numbers of the encoder.
        dimensions: Numbers of an embedding.
        bank: How many tasks there are in the bank.
        source: Whose they are: `omniglot (train)`.
        neighbours: How many of them a new task is combined of.
        accuracy: Of the new tasks' queries.
        nonnegative: What non-negative combinations leave.
        ridge: What ridge regressions leave.
        random: What so many random vectors would leave in so many dimensions, by least squares.
        used: Neighbours with a weight above 0.
        nearest: Cosine of a task with the nearest of the bank.
        nearest_shuffled: The same of tasks whose labels mean nothing.
        points: The residual by non-negative weights and the accuracy of every new task.
        related: New tasks with their neighbours.
        map: All in two dimensions; None where there is too little.
    """

    embedding: str
    asked: str
    steps: int
    parameters: int
    dimensions: int
    bank: int
    source: str
    neighbours: int
    accuracy: Interval
    nonnegative: Residuals
    ridge: Residuals
    random: float
    used: Interval
    nearest: Interval
    nearest_shuffled: Interval
    points: tuple[Point, ...]
    related: tuple[Related, ...]
    map: TaskMap | None


class Found(NamedTuple):
    """One new task's measures.

    Attributes:
        vector: Its embedding.
        accuracy: Of its queries.
        near: The bank's nearest, by number.
        weights: Their non-negative weights.
        cosines: Of the nearest with the task, and with the one of shuffled labels.
        nonnegative: Residuals, in the order of `Residuals`.
        ridge: The same by ridge regression.
    """

    vector: NDArray[np.float64]
    accuracy: float
    near: NDArray[np.int64]
    weights: NDArray[np.float64]
    cosines: tuple[float, float]
    nonnegative: tuple[float, ...]
    ridge: tuple[float, ...]


def measure(subject: Subject, settings: TasksSettings | None = None) -> Tasks:
    """Hold new tasks against a bank of those of the training classes.

    Raises:
        ConfigError: Tasks cannot be embedded, or it is not known what the learner was trained on.
        DataError: There is no episode.
        DivergedError: Embeddings or predictions that are not finite.
        RunError: The bank is another model's.
    """
    chosen = settings or TasksSettings()
    made = embedder(subject, chosen.embedding, chosen.dimensions)
    if chosen.neighbours >= made.dimensions:
        raise ConfigError(
            f"expected fewer neighbours than the encoder's {made.parameters} parameters, got {chosen.neighbours}; as "
            "many fit anything, so ask for fewer"
        )
    held = bank(subject, made, chosen.bank, chosen.bank_from)
    found: list[Found] = []
    shown: list[Shown] = []
    for several in subject.some_at_a_time():
        found += of_group(made, held, several, chosen)
        shown += [_shown(probe) for probe in several]  # small pictures; no episode stays in memory
    if not found:
        raise DataError("expected at least one episode to relate to others, got none; ask for more episodes")
    home = subject.own(TRAIN)
    accuracies = [each.accuracy for each in found]
    return Tasks(
        made.kind,
        chosen.embedding,
        steps_of(subject.tested, made.kind),
        made.parameters,
        made.dimensions,
        chosen.bank,
        f"{home.data_set} ({home.name})",
        chosen.neighbours,
        mean_interval(accuracies),
        _residuals([each.nonnegative for each in found], accuracies),
        _residuals([each.ridge for each in found], accuracies),
        (1 - chosen.neighbours / made.dimensions) ** 0.5,
        mean_interval([float((each.weights > 0).sum()) for each in found]),
        mean_interval([each.cosines[0] for each in found]),
        mean_interval([each.cosines[1] for each in found]),
        tuple((each.nonnegative[0], each.accuracy) for each in found),
        tuple(
            _related(subject, held, task, each)
            for task, each in zip(shown[: chosen.drawn], found[: chosen.drawn], strict=True)
        ),
        _mapped(subject, held.some(np.arange(min(chosen.mapped, chosen.bank))), shown, found),
    )


def of_group(made: Embedder, held: Bank, probes: Sequence[Probe], settings: TasksSettings) -> list[Found]:
    """Measure several new tasks.

    Args:
        made: Embeds them.
        held: What they are held against.
        probes: The tasks.
        settings: How many neighbours, and the penalty.
    """
    episodes = [probe.episode for probe in probes]
    right = made.engine.each(scores, made.params, stacked(episodes))[:, -1].double()
    if bool(torch.isnan(right).any()):
        raise DivergedError(
            f"expected finite predictions, got NaN or infinity at rate {made.engine.algorithm.inner.lr:g}; try a "
            "smaller one"
        )
    vectors = made(episodes).double().numpy()
    meaningless = made([shuffled(probe) for probe in probes]).double().numpy()
    found = []
    for row, probe in enumerate(probes):
        rng = generator(0, "tasks", probe.number)
        direction = torch.randn(made.dimensions, generator=rng, dtype=torch.float64).numpy()
        others = torch.randperm(len(held.vectors), generator=rng)[: settings.neighbours].numpy()
        targets = np.stack([vectors[row], meaningless[row], direction])
        near = held.nearest(targets, settings.neighbours)
        pairs = [(0, near[0]), (0, others), (1, near[1]), (2, near[2])]
        by_weights = [nonnegative(targets[which], held.some(numbers)) for which, numbers in pairs]
        by_ridge = [ridge(targets[which], held.some(numbers), settings.penalty) for which, numbers in pairs]
        found.append(
            Found(
                vectors[row],
                float(right[row]),
                near[0],
                by_weights[0].weights,
                (_cosine(held, near[0], targets[0]), _cosine(held, near[1], targets[1])),
                _left(by_weights),
                _left(by_ridge),
            )
        )
    return found


def shuffled(probe: Probe) -> Episode:
    """Return the task with examples drawn from all of its own, whatever their class, under the support's labels."""
    pool, labels = joined(probe.episode), probe.episode.support.targets
    order = torch.randperm(len(pool.inputs), generator=generator(0, "shuffled", probe.number))
    return Episode(Examples(pool.inputs[order[: len(labels)]], labels), probe.episode.query)


def _cosine(held: Bank, near: NDArray[np.int64], target: NDArray[np.float64]) -> float:
    return float(held.vectors[near[0]] @ target / np.linalg.norm(target))


def _left(fits: Sequence[Combination]) -> tuple[float, ...]:
    return tuple(fit.residual for fit in fits)


def _residuals(rows: Sequence[tuple[float, ...]], accuracies: Sequence[float]) -> Residuals:
    task, others, meaningless, direction = zip(*rows, strict=True)
    return Residuals(
        mean_interval(task),
        mean_interval(others),
        mean_interval(meaningless),
        mean_interval(direction),
        paired_difference(others, task),
        paired_difference(meaningless, task),
        rank_correlation(task, accuracies),
    )


def _related(subject: Subject, held: Bank, task: Shown, found: Found) -> Related:
    heaviest = np.argsort(-found.weights, kind="stable")[:NAMED]
    return Related(
        task,
        found.nonnegative[0],
        found.accuracy,
        tuple(
            Neighbour(
                _shown(member(subject, int(found.near[each]))),
                float(found.weights[each]),
                float(held.vectors[found.near[each]] @ found.vector),
            )
            for each in heaviest
            if found.weights[each] > 0
        ),
    )


def _shown(probe: Probe) -> Shown:
    inputs, labels = probe.episode.support
    first = [int((labels == slot).nonzero()[0]) for slot in sorted(set(labels.tolist()))]
    pictures = [to_text(inputs[each].numpy()) for each in first]
    return Shown(probe.number, probe.classes, tuple(pictures) if all(pictures) else ())


def _mapped(
    subject: Subject, members: NDArray[np.float64], shown: Sequence[Shown], found: Sequence[Found]
) -> TaskMap | None:
    """Place tasks on the plane, and choose a few that lie far apart to be shown."""
    places = scattered(np.concatenate([members, np.stack([each.vector for each in found])]))
    if places is None:
        return None
    known, new = places[: len(members)], places[len(members) :]
    chosen = apart(known + new, SHOWN)
    placed = [
        Placed(shown[each - len(known)], places[each], True)
        if each >= len(known)
        else Placed(_shown(member(subject, each)), places[each], False)
        for each in chosen
    ]
    pictured = tuple(each for each in placed if each.task.pictures)
    return TaskMap(known, new, tuple(each.accuracy for each in found), pictured)


def apart(places: Sequence[Point], count: int) -> list[int]:
    """Return which places to show so that none lie close: the last, then always the farthest from those chosen."""
    points = np.array(places)
    chosen = [len(points) - 1] if len(points) else []
    while 0 < len(chosen) < min(count, len(points)):
        distances = np.linalg.norm(points[:, None] - points[chosen][None], axis=2).min(1)
        chosen.append(int(distances.argmax()))
    return chosen
