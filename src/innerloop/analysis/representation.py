"""Does adaptation change what a network says of its inputs, by layer, and is the change needed?

On the queries of every episode, before and after the inner loop of the test: how alike the activations of each block
are (linear CKA, mean CCA), how features gather by class, what accuracy is left where the first blocks are frozen in
the inner loop, and what it is with the head dropped for cosines to the support set (NIL).

Source: raghu2020, sections 3 and 5 (similarity, freezing, NIL); goldblum2020 and papyan2020 by `gathering`. The
equivalence tests are ours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from innerloop.algorithms import Algorithm
from innerloop.analysis.centroids import slots_of
from innerloop.analysis.gathering import Gathering, gathering
from innerloop.analysis.readings import nil
from innerloop.analysis.similarity import Alike, alike, is_by_place
from innerloop.analysis.subject import Subject
from innerloop.analysis.values import over
from innerloop.data.episode import Episode, require_classes
from innerloop.errors import ConfigError, DataError, DivergedError
from innerloop.seeds import generator
from innerloop.shapes import Features, Params
from innerloop.statistics import Equivalence, Interval, equivalence, mean_interval

LOGITS = "logits"
REST = "encoder"  # an encoder whose parameters belong to no block


@dataclass(frozen=True)
class RepresentationSettings:
    """What is held to be the same.

    Attributes:
        margin: A difference in accuracy that still counts as none; 0.02 is two points.
    """

    margin: float = 0.02

    def __post_init__(self) -> None:
        if not 0 < self.margin < 1:
            raise ConfigError(f"expected a margin between 0 and 1, got {self.margin:g}; 0.02 is two points")


@dataclass(frozen=True)
class Layer:
    """How alike the activations of a layer are before adaptation and after, over episodes.

    Attributes:
        name: The block's, or `logits`.
        adapts: Whether parameters of its own move in the inner loop.
        cka: Linear CKA; None where the layer says the same of all examples, before or after, in every episode.
        cka_shuffled: The same with the examples of one side shuffled: what unrelated activations show.
        cca: Mean CCA correlation of the directions compared; None likewise, or with too few examples for one of them.
        cca_shuffled: The same, shuffled.
        directions: How many directions CCA compares, mean over episodes; 0 for none.
        variance: Which share of the variance they hold.
        is_by_place: Whether CCA takes every place of an image for an example of its own.
    """

    name: str
    adapts: bool
    cka: Interval | None
    cka_shuffled: Interval | None
    cca: Interval | None
    cca_shuffled: Interval | None
    directions: float
    variance: float
    is_by_place: bool


@dataclass(frozen=True)
class Frozen:
    """Query accuracy where the first blocks stay as they are in the inner loop.

    Attributes:
        blocks: How many.
        last: The name of the last of them; empty for none, `logits` where the head is frozen too and nothing adapts.
        accuracy: In [0, 1].
        gap: The same less that of all adapting, in pairs.
    """

    blocks: int
    last: str
    accuracy: Interval
    gap: Equivalence


@dataclass(frozen=True)
class Measure:
    """One measure of `gathering` on query features; None where it is defined in no episode.

    Attributes:
        name: As in `Gathering`.
        before: Before adaptation.
        after: After it.
        change: After less before, in pairs.
    """

    name: str
    before: Interval | None
    after: Interval | None
    change: Interval | None


@dataclass(frozen=True)
class Representation:
    """What adaptation changes in a network, and what of it is needed.

    Attributes:
        adapts: What moves in the inner loop.
        inner_lr: Rate at test.
        inner_steps: Steps at test; 0: nothing adapts.
        chance: Accuracy of guessing, mean over episodes.
        queries: Query examples in an episode, the most there were.
        is_still: Whether adaptation leaves all features as they are, to the last digit.
        margin: Of the equivalence tests.
        accuracy: Of the adapted network.
        layers: Blocks in the order in which they run, and the logits.
        frozen: By number of frozen blocks, the first being none, the last everything; empty where nothing adapts.
        nil: Accuracy without a head, on features before adaptation.
        nil_gap: The same less that of the adapted network, in pairs.
        gathering: Every measure of how query features gather by class.
    """

    adapts: str
    inner_lr: float
    inner_steps: int
    chance: float
    queries: int
    is_still: bool
    margin: float
    accuracy: Interval
    layers: tuple[Layer, ...]
    frozen: tuple[Frozen, ...]
    nil: Interval
    nil_gap: Equivalence
    gathering: tuple[Measure, ...]


class View(NamedTuple):
    """What a network says of an episode's queries.

    Attributes:
        layers: Activations by block, and the logits.
        features: What the head is given.
        weight: The head's rows; None where it is not linear, or where there is none.
    """

    layers: Mapping[str, Tensor]
    features: Features
    weight: Tensor | None


class Stage(NamedTuple):
    """One number of frozen blocks, and the algorithm that is left; None where nothing adapts any more."""

    last: str
    left: Algorithm | None


class Found(NamedTuple):
    """One episode's measures.

    Attributes:
        alike: By layer.
        before: How features gather before adaptation.
        after: After it.
        is_still: Whether features stay.
        right: Accuracy by stage.
        nil: Accuracy without a head.
        chance: Of guessing.
        by_place: The layers whose activations are images.
    """

    alike: Mapping[str, Alike]
    before: Gathering
    after: Gathering
    is_still: bool
    right: Sequence[float]
    nil: float
    chance: float
    by_place: frozenset[str]


def measure(subject: Subject, settings: RepresentationSettings | None = None) -> Representation:
    """Measure what the inner loop of the test changes.

    Raises:
        DataError: There is no episode.
        DivergedError: Activations that are not finite.
    """
    margin = (settings or RepresentationSettings()).margin
    algorithm, params = subject.tested, subject.params
    tried = stages(algorithm)
    found: list[Found] = []
    queries = 0
    for probe in subject.probes():
        require_classes(probe.episode.support, "to tell apart")
        order = torch.randperm(len(probe.episode.query.targets), generator=generator(probe.number, "shuffled"))
        found.append(of_episode(algorithm, params, probe.episode, tried, order))
        queries = max(queries, len(order))
    if not found:
        raise DataError("expected at least one episode to look at, got none; ask for more episodes")
    all_adapt = [each.right[0] for each in found]
    without_head = [each.nil for each in found]
    return Representation(
        algorithm.adapts,
        algorithm.inner.lr,
        algorithm.inner.steps,
        sum(each.chance for each in found) / len(found),
        queries,
        all(each.is_still for each in found),
        margin,
        mean_interval(all_adapt),
        tuple(_layer(name, algorithm, found) for name in found[0].alike),
        tuple(_frozen(place, tried[place].last, found, margin) for place in range(len(tried) if tried[0].left else 0)),
        mean_interval(without_head),
        equivalence(without_head, all_adapt, margin),
        tuple(_measure(name, found) for name in Gathering._fields),
    )


def stages(algorithm: Algorithm) -> tuple[Stage, ...]:
    """Return what is left to adapt with no block frozen, with the first, and so on, and with everything frozen.

    Parameters of the encoder outside all blocks (a position code, say) come before them, and freeze with the first.
    """
    learner = algorithm.learner
    held = learner.block_names()
    rest = (learner.names - learner.head_names).difference(*held.values())
    if rest:
        first = next(iter(held), REST)
        held = {**held, first: held.get(first, frozenset()) | rest}
    found, names = [Stage("", algorithm)], algorithm.names
    for name, own in held.items():
        names -= own
        found.append(Stage(name, replace(algorithm, names=names) if names else None))
    found.append(Stage(LOGITS, None))
    return tuple(found) if algorithm.inner.steps else tuple(each._replace(left=None) for each in found)


def of_episode(algorithm: Algorithm, params: Params, episode: Episode, tried: Sequence[Stage], order: Tensor) -> Found:
    """Measure one episode.

    Args:
        algorithm: As at test.
        params: The meta-parameters.
        episode: One task.
        tried: The stages of freezing, as `stages` gives them.
        order: A permutation of the queries, to shuffle them by.
    """
    support, query = episode
    path = algorithm.adapt(params, support).params
    before, after = (view(algorithm, here, episode) for here in (path[0], path[-1]))
    for side in (before, after):
        if not all(bool(torch.isfinite(value).all()) for value in side.layers.values()):
            raise DivergedError(
                f"expected finite activations, got NaN or infinity with an inner loop of {algorithm.inner.steps} steps "
                f"at rate {algorithm.inner.lr:g}; try a smaller rate"
            )
    with torch.no_grad():
        slots, memories = slots_of(support.targets), algorithm.learner.features(path[0], support.inputs)
        named = slots[nil(memories, support.targets, before.features).argmax(1)]
    logits = {algorithm.names: after.layers[LOGITS]}
    for stage in tried:
        if stage.left is not None and stage.left.names not in logits:
            left = stage.left.adapt(params, support).adapted
            with torch.no_grad():
                logits[stage.left.names] = algorithm.query_loss(left, episode)[1]
    said = [before.layers[LOGITS] if each.left is None else logits[each.left.names] for each in tried]
    return Found(
        {name: alike(value, after.layers[name], order) for name, value in before.layers.items()},
        _gathered(before, query.targets),
        _gathered(after, query.targets),
        torch.equal(before.features, after.features),
        [_right(each.argmax(1), query.targets) for each in said],
        _right(named, query.targets),
        1 / len(slots),
        frozenset(name for name, value in before.layers.items() if is_by_place(value)),
    )


def view(algorithm: Algorithm, params: Params, episode: Episode) -> View:
    """Return what a network with these parameters says of an episode's queries."""
    learner, (support, query) = algorithm.learner, episode
    with torch.no_grad():
        blocks = learner.activations(params, query.inputs, reference=support.inputs)
        features = learner.features(params, query.inputs, reference=support.inputs)
        logits = algorithm.query_loss(params, episode)[1]
    return View({**blocks, LOGITS: logits}, features.flatten(1), _rows(algorithm, params))


def _rows(algorithm: Algorithm, params: Params) -> Tensor | None:
    """Return the head's rows; None where there is nothing like it."""
    if algorithm.inner.start == "attention":
        return None
    try:
        return algorithm.learner.linear_head(params)[0]
    except ConfigError:
        return None


def _gathered(side: View, labels: Tensor) -> Gathering:
    return gathering(side.features, labels, side.layers[LOGITS].argmax(1), side.weight)


def _right(named: Tensor, targets: Tensor) -> float:
    return (named == targets).double().mean().item()


def _layer(name: str, algorithm: Algorithm, found: Sequence[Found]) -> Layer:
    each = [one.alike[name] for one in found]
    own = algorithm.learner.head_names if name == LOGITS else algorithm.learner.block_names()[name]
    return Layer(
        name,
        bool(algorithm.inner.steps and own & algorithm.names),
        over(one.cka for one in each),
        over(one.cka_shuffled for one in each),
        over(one.cca for one in each),
        over(one.cca_shuffled for one in each),
        sum(one.directions for one in each) / len(each),
        sum(one.variance for one in each) / len(each),
        all(name in one.by_place for one in found),
    )


def _frozen(place: int, last: str, found: Sequence[Found], margin: float) -> Frozen:
    right, all_adapt = [each.right[place] for each in found], [each.right[0] for each in found]
    return Frozen(place, last, mean_interval(right), equivalence(right, all_adapt, margin))


def _measure(name: str, found: Sequence[Found]) -> Measure:
    before, after = (
        [getattr(side, name) for side in sides]
        for sides in ([each.before for each in found], [each.after for each in found])
    )
    return Measure(
        name, over(before), over(after), over(right - left for left, right in zip(before, after, strict=True))
    )
