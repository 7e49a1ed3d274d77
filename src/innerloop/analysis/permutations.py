"""How much does accuracy depend on which class of an episode sits in which slot of the head?

For every assignment of an episode's classes to slots, the same in support and query: adapt, test, and bring the logits
back to their classes. A head whose rows are all alike, zeros among them, cannot tell assignments apart. Moving classes
between slots is moving rows of the initial head between classes, so that the features stay where the encoder does.

Source: ye2022 (UNICORN-MAML), section 4 (all permutations, their ensemble) and its one row for all classes; THEORY C3.
Beyond what can be tried, assignments are sampled; the intervals are ours.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from math import factorial
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from innerloop.algorithms import Algorithm
from innerloop.analysis.centroids import slots_of
from innerloop.analysis.subject import Subject
from innerloop.data.episode import Episode, Examples, require_classes, stacked, with_slots
from innerloop.engine import Chosen, Engine, EngineConfig, Loop
from innerloop.errors import ConfigError, DataError, DivergedError
from innerloop.seeds import generator
from innerloop.shapes import Params
from innerloop.statistics import Interval, mean_interval, paired_difference
from innerloop.training import TOGETHER

HeadKind = Literal["zero", "equal", "own", "made"]
LARGEST = factorial(8)  # beyond 8 classes assignments are always sampled
PARTS = 20  # of the sorted accuracies that are kept

Assignments = Int[Tensor, "assignment slot"]
Outputs = Float[Tensor, "assignment query way"]


@dataclass(frozen=True)
class PermutationsSettings:
    """How many assignments are tried.

    Attributes:
        most: Of one episode, at most; where there are more (120 for 5 classes, 720 for 6), as many are sampled.
    """

    most: int = 120

    def __post_init__(self) -> None:
        if self.most < 2:
            raise ConfigError(f"expected at least 2 assignments to compare, got most={self.most}; 120 are usual")


@dataclass(frozen=True)
class Ensemble:
    """Accuracy of the mean over all assignments of an episode.

    Attributes:
        accuracy: In [0, 1].
        gain: The same less the accuracy of a single assignment, mean over them, in pairs.
    """

    accuracy: Interval
    gain: Interval


@dataclass(frozen=True)
class Permutations:
    """Accuracy over assignments of classes to slots; every number is of an episode first, then over episodes.

    Attributes:
        adapts: What moves in the inner loop.
        inner_lr: Rate at test.
        inner_steps: Steps at test.
        head: What the head is before adaptation: `zero`, rows all `equal`, rows of their `own`, or `made` of the
            support set.
        ways: The most classes an episode had.
        tried: The most assignments of an episode that were tried.
        is_all: Whether these are all there are, in every episode.
        is_one: Whether all assignments name the same classes, on every query of every episode.
        chance: Accuracy of guessing, mean over episodes.
        as_drawn: Accuracy with the classes in the slots they came in.
        mean: Over assignments.
        best: Of all assignments.
        worst: Of all assignments.
        breadth: Best less worst.
        spread: Standard deviation over assignments.
        disputed: Share of queries that not all assignments put into the same class.
        differ: Share of queries that two assignments put into different classes, mean over pairs of them.
        by_share: Accuracy of the assignment that is better than 0%, 5%, ..., 100% of all, by linear interpolation.
        logits: The ensemble by the mean of their logits.
        probabilities: That by the mean of their probabilities; None where outputs are no logits.
    """

    adapts: str
    inner_lr: float
    inner_steps: int
    head: HeadKind
    ways: int
    tried: int
    is_all: bool
    is_one: bool
    chance: float
    as_drawn: Interval
    mean: Interval
    best: Interval
    worst: Interval
    breadth: Interval
    spread: Interval
    disputed: Interval
    differ: Interval
    by_share: tuple[Interval, ...]
    logits: Ensemble
    probabilities: Ensemble | None


class Found(NamedTuple):
    """One episode's measures.

    Attributes:
        hits: How many queries are right, by assignment, as drawn first.
        queries: How many there are.
        disputed: As in `Permutations`.
        differ: As in `Permutations`.
        logits: Accuracy of the mean of the logits.
        probabilities: Accuracy of the mean of the probabilities.
        ways: Its classes.
    """

    hits: NDArray[np.int64]
    queries: int
    disputed: float
    differ: float
    logits: float
    probabilities: float
    ways: int


def measure(subject: Subject, settings: PermutationsSettings | None = None) -> Permutations:
    """Test a learner under assignments of classes to slots, with the inner loop of the test.

    Raises:
        DataError: There is no episode.
        DivergedError: Predictions that are not finite.
    """
    most = (settings or PermutationsSettings()).most
    algorithm, params = subject.tested, subject.params
    engine = Chosen(EngineConfig().of_tests, algorithm)
    found: list[Found] = []
    head: HeadKind = "own"
    for probe in subject.probes():
        require_classes(probe.episode.support, "to assign to slots")
        orders = assignments(probe.episode, most, probe.number)
        if not found:
            head = head_kind(algorithm, algorithm.adapt(params, probe.episode.support).params[0])
            # Where assignments cannot differ, what float32 rounds away and inner steps amplify would make them differ.
            params = params if head == "own" else {name: value.double() for name, value in params.items()}
        said = outputs(algorithm, params, probe.episode, orders, engine)
        if not bool(torch.isfinite(said).all()):
            raise DivergedError(
                f"expected finite predictions, got NaN or infinity with an inner loop of {algorithm.inner.steps} steps "
                f"at rate {algorithm.inner.lr:g} (episode {probe.number}); try a smaller rate"
            )
        found.append(of_episode(said, probe.episode))
    if not found:
        raise DataError("expected at least one episode to assign, got none; ask for more episodes")
    return _result(algorithm, head, found)


def assignments(episode: Episode, most: int, number: int) -> Assignments:
    """Return tables that give each slot's class another slot; the first leaves all in place.

    Args:
        episode: Targets are class slots.
        most: All assignments, if they are no more than this and no more than 8!; else as many different ones, drawn.
        number: The probe's; what is drawn is a function of it.
    """
    slots = slots_of(episode.support.targets).cpu()
    count, most = len(slots), min(most, LARGEST)
    if factorial(count) <= most:
        drawn = list(permutations(range(count)))
    else:
        rng = generator(number, "permutations")
        different = {tuple(range(count)): None}
        while len(different) < most:
            different[tuple(torch.randperm(count, generator=rng).tolist())] = None
        drawn = list(different)
    table = torch.arange(int(max(side.targets.max() for side in episode)) + 1).repeat(len(drawn), 1)
    table[:, slots] = slots[torch.tensor(drawn)]
    return table


def outputs(
    algorithm: Algorithm, params: Params, episode: Episode, orders: Assignments, engine: Engine | None = None
) -> Outputs:
    """Return the adapted network's outputs under every assignment, each with its columns back at their classes.

    Args:
        algorithm: As at test.
        params: The meta-parameters.
        episode: One task.
        orders: As `assignments` gives them.
        engine: Maps the algorithm over episodes; by default one after another.
    """
    mapped = engine or Loop(algorithm)
    alone = on_features(algorithm, head_kind(algorithm, algorithm.adapt(params, episode.support).params[0]))
    if alone is not None:
        episode, mapped = _features(algorithm, params, episode), Loop(alone)
    parts = []
    for several in torch.split(orders.to(episode.query.targets.device), TOGETHER):
        batch = stacked([with_slots(episode, order) for order in several])
        said = mapped.each(_adapted_outputs, params, batch)
        parts.append(said.gather(2, _columns(several, said.shape[2])[:, None].expand_as(said)))
    return torch.cat(parts)


def on_features(algorithm: Algorithm, head: HeadKind) -> Algorithm | None:
    """Return the algorithm for an episode of features, where these stand still in the inner loop; else None.

    They do where the head alone adapts, and in the first step from a zero head (THEORY D1).
    """
    inner, own = algorithm.inner, algorithm.names & algorithm.learner.head_names
    waits = algorithm.names == own or (head == "zero" and inner.steps == 1)
    if inner.steps and (not waits or inner.per_step_norms):
        return None
    alone = replace(algorithm, learner=algorithm.learner.head_alone(), names=own)
    return alone if own else alone.with_inner(steps=0)


def of_episode(said: Outputs, episode: Episode) -> Found:
    """Measure one episode by its outputs under every assignment."""
    targets = episode.query.targets
    named = said.argmax(2)
    shares = torch.nn.functional.one_hot(named, said.shape[2]).double()
    pairs = len(named) * (len(named) - 1)
    same = (shares.sum(0) * (shares.sum(0) - 1)).sum(1) / pairs if pairs else torch.ones(1)
    return Found(
        (named == targets).sum(1).cpu().numpy(),
        len(targets),
        (named != named[0]).any(0).double().mean().item(),
        1 - same.mean().item(),
        _right(said.double().mean(0), targets),
        _right(said.double().softmax(2).mean(0), targets),
        len(slots_of(episode.support.targets)),
    )


def head_kind(algorithm: Algorithm, start: Params) -> HeadKind:
    """Return what a head is that the inner loop starts from."""
    if algorithm.inner.start not in ("params", "zero"):
        return "made"
    values = algorithm.learner.head_params(start).values()
    if not any(bool(value.any()) for value in values):
        return "zero"
    return "equal" if all(torch.equal(value, value[:1].expand_as(value)) for value in values) else "own"


def _adapted_outputs(algorithm: Algorithm, params: Params, episode: Episode) -> Tensor:
    adapted = algorithm.adapted(params, episode.support)
    with torch.no_grad():
        return algorithm.query_loss(adapted, episode)[1]


def _features(algorithm: Algorithm, params: Params, episode: Episode) -> Episode:
    """Return the episode with features for inputs."""
    learner, (support, query) = algorithm.learner, episode
    with torch.no_grad():
        return Episode(
            Examples(learner.features(params, support.inputs), support.targets),
            Examples(learner.features(params, query.inputs, reference=support.inputs), query.targets),
        )


def _columns(orders: Tensor, rows: int) -> Tensor:
    """Return for every class the column it sits in; rows of the head that no class sits in stay where they are."""
    columns = torch.arange(rows, device=orders.device).repeat(len(orders), 1)
    columns[:, : orders.shape[1]] = orders
    return columns


def _right(said: Float[Tensor, "query way"], targets: Tensor) -> float:
    return (said.argmax(1) == targets).double().mean().item()


def _result(algorithm: Algorithm, head: HeadKind, found: Sequence[Found]) -> Permutations:
    # Counts, not shares, so that assignments that are all as good have no spread left over by rounding.
    single = [each.hits.sum() / (each.hits.size * each.queries) for each in found]
    shares = [np.quantile(each.hits, np.linspace(0, 1, PARTS + 1)) / each.queries for each in found]

    def over(of_hits: Callable[[NDArray[np.int64]], float]) -> Interval:
        return mean_interval([float(of_hits(each.hits)) / each.queries for each in found])

    def ensemble(accuracies: Sequence[float]) -> Ensemble:
        return Ensemble(mean_interval(accuracies), paired_difference(accuracies, single))

    return Permutations(
        algorithm.adapts,
        algorithm.inner.lr,
        algorithm.inner.steps,
        head,
        max(each.ways for each in found),
        max(len(each.hits) for each in found),
        all(len(each.hits) == factorial(each.ways) for each in found),
        not any(each.disputed for each in found),
        sum(1 / each.ways for each in found) / len(found),
        over(lambda hits: hits[0]),
        mean_interval(single),
        over(np.max),
        over(np.min),
        over(np.ptp),
        over(np.std),
        mean_interval([each.disputed for each in found]),
        mean_interval([each.differ for each in found]),
        tuple(mean_interval(column) for column in np.array(shares).T),
        ensemble([each.logits for each in found]),
        ensemble([each.probabilities for each in found]) if algorithm.inner.loss == "cross_entropy" else None,
    )
