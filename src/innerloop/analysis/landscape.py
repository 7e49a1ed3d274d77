"""What does the loss look like around a learner, before adaptation and after, and on the paths that lead there?

Lines and planes are cut through the parameters where the inner loop starts and where it ends; on them the loss of the
support and of the query set is computed as it is, without adapting again. The plane of the outer path alone shows the
query loss *after* adapting from every point of it, which is what the outer loop descends. Beside the pictures stand
numbers that no choice of plane decides: the Hessian's largest eigenvalues and trace, and what each layer does to the
loss.

Source: li2018 (filter-normalised directions, path planes); guiroy2019 for flatness after adaptation; planes through two
tasks' adaptations, and sensitivity by layer, are ours.
"""

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from innerloop.algorithms import Algorithm
from innerloop.analysis.planes import Plane, Point, filter_normalised, path_plane, random_plane, spanned
from innerloop.analysis.products import Matrix
from innerloop.analysis.sensitivity import LayerSensitivity, sensitivity
from innerloop.analysis.spectrum import Spectrum, spectrum
from innerloop.analysis.subject import Probe, Subject
from innerloop.analysis.surfaces import LossAt, losses_at, over_line, over_plane, rounded, spaced
from innerloop.analysis.values import over
from innerloop.data.episode import Episode
from innerloop.engine.choice import cores
from innerloop.engine.workers import Workers, of_slopes_and_bends
from innerloop.errors import ConfigError, DataError, DivergedError
from innerloop.params import first_nonfinite, select
from innerloop.seeds import generator
from innerloop.shapes import Params
from innerloop.statistics import Interval

Place = Literal["start", "adapted"]
Set = Literal["support", "query"]
PLACES: tuple[Place, ...] = ("start", "adapted")
SETS: tuple[Set, ...] = ("support", "query")
MARGIN = 0.35  # of the points' extent, around them
FEWEST = 3  # points of a path that a plane is laid through


@dataclass(frozen=True)
class LandscapeSettings:
    """How much is computed.

    Attributes:
        points: Along each side of a plane, and along a line; odd, so that the middle is one of them.
        reach: How far random directions are followed, in the length of the network's own filters.
        steps: Inner steps of the path that is drawn; at least those of the test.
        eigenvalues: How many of the Hessian's largest are looked for.
        probes: Vectors of random signs that its trace is estimated from.
    """

    points: int = 25
    reach: float = 1.0
    steps: int = 10
    eigenvalues: int = 5
    probes: int = 16

    def __post_init__(self) -> None:
        for name, value, least, usual in (
            ("points", self.points, 3, 25),
            ("steps", self.steps, FEWEST - 1, 10),
            ("eigenvalues", self.eigenvalues, 1, 5),
            ("probes", self.probes, 2, 16),
        ):
            if value < least:
                raise ConfigError(f"expected landscape.{name} of at least {least}, got {value}; {usual} are usual")
        if self.points % 2 == 0:
            raise ConfigError(
                f"expected an odd landscape.points, so that the middle is one, got {self.points}; "
                f"take {self.points + 1}"
            )
        if not (self.reach > 0 and math.isfinite(self.reach)):
            raise ConfigError(f"expected a landscape.reach above 0, got {self.reach:g}; 1 is usual")


@dataclass(frozen=True)
class Line:
    """Losses along a line, over episodes; None where no episode's is finite.

    Attributes:
        name: `start` or `adapted`, for a random direction through it; `between`, from the one to the other.
        places: Where on the line: in the direction's lengths, or 0 at the start and 1 at the adapted parameters.
        support: Loss of the support set.
        query: Loss of the query set.
    """

    name: str
    places: tuple[float, ...]
    support: tuple[Interval | None, ...]
    query: tuple[Interval | None, ...]


@dataclass(frozen=True)
class Surface:
    """One loss over a plane.

    Attributes:
        of: Which loss, in words.
        losses: A row for each coordinate up, a column for each across; None where it is not finite.
        at_marks: At the parameters of each mark themselves, which lie off the plane of a path; None likewise.
    """

    of: str
    losses: Matrix
    at_marks: tuple[float | None, ...]


@dataclass(frozen=True)
class Mark:
    """A point of a plane.

    Attributes:
        name: What it is: on a path, after how many steps.
        at: Its coordinates; of what lies off the plane, those of the nearest point.
    """

    name: str
    at: Point


@dataclass(frozen=True)
class Slice:
    """A plane with the losses over it.

    Attributes:
        name: `start`, `adapted`, `tasks`, `inner path` or `outer path`.
        across: Coordinates along the first axis: in filters' lengths for random ones, else in units of parameters.
        up: Along the second.
        surfaces: The losses.
        marks: Points on it; those of a path in its order.
        explained: Share of a path's variance along each axis; None for what is no path.
    """

    name: str
    across: tuple[float, ...]
    up: tuple[float, ...]
    surfaces: tuple[Surface, ...]
    marks: tuple[Mark, ...]
    explained: Point | None


@dataclass(frozen=True)
class Bend:
    """How a loss bends at a point, for one episode.

    Attributes:
        episode: Its number.
        place: `start` or `adapted`.
        of: `support` or `query`.
        spectrum: What was found.
    """

    episode: int
    place: str
    of: str
    spectrum: Spectrum


@dataclass(frozen=True)
class Layer:
    """How the query loss depends on one layer, over episodes; None where it is not defined.

    Attributes:
        name: Of the parameter tensor.
        part: `head` or `body`.
        gradient_start: Norm of the gradient where the inner loop starts: loss a unit of the parameter.
        gradient_adapted: After adaptation.
        change_start: Change of the loss by random steps, a relative unit of the layer's norm; None for a layer of
            zeros.
        change_adapted: After adaptation.
    """

    name: str
    part: str
    gradient_start: Interval | None
    gradient_adapted: Interval | None
    change_start: Interval | None
    change_adapted: Interval | None


@dataclass(frozen=True)
class Landscape:
    """What was found.

    Attributes:
        inner_steps: Of the adaptation.
        path_steps: Inner steps of the path.
        outer_steps: The outer steps of the outer path; empty where there is none.
        episodes: How many were looked at; planes are of the first, that of tasks of the first two.
        lines: Over episodes.
        slices: Planes, of the first episode.
        bends: Hessians, an entry for each episode, place and loss.
        layers: In the network's order.
        left_out: What could not be shown and why, a line each.
    """

    inner_steps: int
    path_steps: int
    outer_steps: tuple[int, ...]
    episodes: int
    lines: tuple[Line, ...]
    slices: tuple[Slice, ...]
    bends: tuple[Bend, ...]
    layers: tuple[Layer, ...]
    left_out: tuple[str, ...]

    def values(self, place: Place, of: Set) -> list[Spectrum]:
        """Return the spectra of one loss at one place, an episode each."""
        return [each.spectrum for each in self.bends if (each.place, each.of) == (place, of)]


class Placed(NamedTuple):
    """An episode with the parameters where its inner loop starts and ends."""

    number: int
    episode: Episode
    start: Params
    adapted: Params

    @property
    def losses(self) -> dict[str, LossAt]:
        """The losses of its two sets, at any parameters."""
        return {each: partial(_loss, each, self.episode) for each in SETS}

    def at(self, place: Place) -> Params:
        """Return the parameters at a place."""
        return self.start if place == "start" else self.adapted


@dataclass(frozen=True, eq=False)
class _Around:
    """What every piece of the landscape is made with."""

    subject: Subject
    settings: LandscapeSettings
    algorithm: Algorithm
    quick: Workers
    bending: Workers

    @property
    def names(self) -> list[str]:
        """The network's parameters, in its order."""
        return [name for name in self.subject.params if name in self.algorithm.learner.names]

    def own(self, params: Params) -> Params:
        """Return the network's parameters among all that is meta-learned."""
        return select(params, self.names)


def measure(subject: Subject, settings: LandscapeSettings | None = None) -> Landscape:
    """Look at a learner's losses around the start and the end of its inner loop, as it is tested.

    Raises:
        DataError: There is no episode to look at.
        DivergedError: Adaptation, or a slope, is not finite.
    """
    around = _around(subject, settings or LandscapeSettings())
    seen: list[Placed] = []
    along: list[dict[str, dict[str, list[float | None]]]] = []
    bends: list[Bend] = []
    layers: list[dict[Place, dict[str, LayerSensitivity]]] = []
    slices: list[Slice] = []
    left_out: list[str] = []
    for probe in subject.probes():
        here = _placed(around, probe)
        seen.append(here)
        along.append(_along(around, here))
        bends += _bends(around, here)
        layers.append(dict(zip(PLACES, around.quick.over(PLACES, partial(_by_layer, around, here)), strict=True)))
        for name, make in _planes(around, seen):
            try:
                slices.append(make())
            except ConfigError as error:
                left_out.append(f"{name}: {error}")
    if not seen:
        raise DataError("expected at least one episode to look at, got none; ask for more episodes")
    if len(seen) == 1:
        left_out.append("tasks: expected two episodes to lay a plane through, got one; ask for more episodes")
    names = {name for each in along for name in each}
    return Landscape(
        around.algorithm.inner.steps,
        max(around.settings.steps, around.algorithm.inner.steps),
        subject.run.snapshots() if subject.run and any(each.name == "outer path" for each in slices) else (),
        len(seen),
        tuple(_line(name, around, [each[name] for each in along if name in each]) for name in LINES if name in names),
        tuple(slices),
        tuple(bends),
        tuple(_layer(name, around, layers) for name in around.names),
        tuple(left_out),
    )


LINES = ("start", "adapted", "between")
BETWEEN = (-0.5, 1.5)


def _around(subject: Subject, settings: LandscapeSettings) -> _Around:
    algorithm = replace(subject.tested, learner=subject.tested.learner.tested())
    return _Around(subject, settings, algorithm, *of_slopes_and_bends(algorithm, cores()))


def _loss(of: Set, episode: Episode, own: Algorithm, here: Params) -> Tensor:
    return own.support_loss(here, episode.support)[0] if of == "support" else own.query_loss(here, episode)[0]


def _placed(around: _Around, probe: Probe) -> Placed:
    path = around.algorithm.adapt(around.subject.params, probe.episode.support)
    start, adapted = path.params[0], path.adapted
    if strayed := first_nonfinite(adapted):
        raise DivergedError(
            f"expected finite parameters after adaptation, got others in '{strayed}' (episode {probe.number}); try a "
            "smaller inner_lr"
        )
    return Placed(probe.number, probe.episode, start, adapted)


def _moves(around: _Around, here: Placed) -> bool:
    return any(not torch.equal(here.start[name], here.adapted[name]) for name in around.names)


def _along(around: _Around, here: Placed) -> dict[str, dict[str, list[float | None]]]:
    """Return each loss along each line, by the line's name."""
    lines: list[tuple[str, Params, Params]] = []
    moves = _moves(around, here)
    for place in PLACES if moves else PLACES[:1]:
        try:
            direction = filter_normalised(around.own(here.at(place)), generator(0, "landscape", "line"))
        except ConfigError:
            continue  # said of the plane
        lines.append((place, here.at(place), direction))
    if moves:
        way = {name: here.adapted[name] - here.start[name] for name in around.names}
        lines.append(("between", here.start, way))

    def work(own: Algorithm, line: tuple[str, Params, Params]) -> dict[str, list[float | None]]:
        name, start, direction = line
        return over_line(own, start, direction, _places(name, around.settings), here.losses)

    found = around.quick.over(lines, work)
    return {name: losses for (name, _, _), losses in zip(lines, found, strict=True)}


def _places(name: str, settings: LandscapeSettings) -> tuple[float, ...]:
    low, high = BETWEEN if name == "between" else (-settings.reach, settings.reach)
    return spaced(low, high, settings.points)


def _line(name: str, around: _Around, along: Sequence[Mapping[str, list[float | None]]]) -> Line:
    support, query = (
        tuple(
            over([math.nan if value is None else value for value in values])
            for values in zip(*(each[of] for each in along), strict=True)
        )
        for of in SETS
    )
    return Line(name, _places(name, around.settings), support, query)


def _bends(around: _Around, here: Placed) -> list[Bend]:
    """Return how both losses bend at the start and, where adaptation moves anything, at the end."""
    places = PLACES if _moves(around, here) else PLACES[:1]
    jobs = [(place, of) for place in places for of in SETS]

    def work(own: Algorithm, job: tuple[Place, Set]) -> Spectrum:
        place, of = job
        others = {name: value.double() for name, value in here.at(place).items()}
        return spectrum(
            lambda moved: _loss(of, here.episode, own, {**others, **moved}),
            around.own(others),
            around.settings.eigenvalues,
            around.settings.probes,
        )

    found = around.bending.over(jobs, work)
    return [Bend(here.number, place, of, each) for (place, of), each in zip(jobs, found, strict=True)]


def _by_layer(around: _Around, here: Placed, own: Algorithm, place: Place) -> dict[str, LayerSensitivity]:
    others = {name: value.double() for name, value in here.at(place).items()}
    return sensitivity(
        lambda moved: _loss("query", here.episode, own, {**others, **moved}), around.own(others), here.number
    )


def _layer(name: str, around: _Around, found: Sequence[Mapping[Place, Mapping[str, LayerSensitivity]]]) -> Layer:
    numbers = [
        over(getattr(each[place][name], what) for each in found) for what in ("gradient", "change") for place in PLACES
    ]
    return Layer(name, "head" if name in around.algorithm.learner.head_names else "body", *numbers)


def _planes(around: _Around, seen: Sequence[Placed]) -> Iterator[tuple[str, Callable[[], Slice]]]:
    """Yield the planes that the newest episode is the first to allow."""
    if len(seen) == 1:
        for place in PLACES:
            yield place, partial(_random, around, seen[0], place)
        yield "inner path", partial(_inner_path, around, seen[0])
        yield "outer path", partial(_outer_path, around, seen[0])
    elif len(seen) == 2:
        yield "tasks", partial(_tasks, around, *seen)


def _random(around: _Around, here: Placed, place: Place) -> Slice:
    if place == "adapted":
        _refuse_rest(around, here)
    params = here.at(place)
    rng = generator(0, "landscape", "plane")
    plane = random_plane(params, around.own(params), rng)
    side = spaced(-around.settings.reach, around.settings.reach, around.settings.points)
    return _slice(around, place, plane, side, side, here.losses, {place: params}, [(0.0, 0.0)])


def _tasks(around: _Around, here: Placed, other: Placed) -> Slice:
    _refuse_rest(around, here)
    if any(not torch.equal(here.start[name], other.start[name]) for name in around.names):
        raise ConfigError(
            "expected tasks whose inner loops start at one point, got a head made of each support set; look at a "
            "learner that starts from its own head"
        )
    plane = spanned(here.start, here.adapted, other.adapted, around.names)
    losses = {
        f"query loss of task {letter}": partial(_loss, "query", each.episode)
        for letter, each in zip("AB", (here, other), strict=True)
    }
    points = {"start": here.start, "adapted to A": here.adapted, "adapted to B": other.adapted}
    return _spanned_slice(around, "tasks", plane, losses, points)


def _inner_path(around: _Around, here: Placed) -> Slice:
    _refuse_rest(around, here)
    steps = max(around.settings.steps, around.algorithm.inner.steps)
    path = around.algorithm.with_inner(steps=steps).adapt(around.subject.params, here.episode.support).params
    if any(first_nonfinite(each) for each in path):
        raise ConfigError(
            f"expected a path of finite parameters, got others within {steps} inner steps; take fewer by "
            "landscape.steps, or a smaller inner_lr"
        )
    return _path_slice(around, "inner path", {str(step): each for step, each in enumerate(path)}, here.losses)


def _outer_path(around: _Around, here: Placed) -> Slice:
    run = around.subject.run
    if run is None:
        raise ConfigError("expected a run with snapshots, got a learner without a run; train one")
    kept = run.snapshots()
    if len(kept) < FEWEST:
        raise ConfigError(
            f"expected a run with at least {FEWEST} snapshots, got {len(kept)}; train it again, keeping some "
            "(record.snapshots)"
        )

    def after(own: Algorithm, params: Params) -> Tensor:
        return own.query_loss(own.adapted(params, here.episode.support), here.episode)[0]

    path = {str(step): run.snapshot(step) for step in kept}
    return _path_slice(around, "outer path", path, {"query loss after adapting": after})


def _refuse_rest(around: _Around, here: Placed) -> None:
    if not _moves(around, here):
        raise ConfigError(
            "expected an adaptation that moves, got one that leaves all parameters where they are; take inner steps "
            "at a rate other than 0"
        )


def _path_slice(around: _Around, name: str, path: Mapping[str, Params], losses: Mapping[str, LossAt]) -> Slice:
    found = path_plane(list(path.values()), around.names)
    return _spanned_slice(around, name, found.plane, losses, path, found.explained)


def _spanned_slice(
    around: _Around,
    name: str,
    plane: Plane,
    losses: Mapping[str, LossAt],
    points: Mapping[str, Params],
    explained: Point | None = None,
) -> Slice:
    """Compute a plane as far as its points reach, and somewhat beyond."""
    marked = [plane.coordinates(each) for each in points.values()]
    across, up = (
        spaced(low - margin, high + margin, around.settings.points)
        for low, high, margin in map(_extent, zip(*marked, strict=True))
    )
    return _slice(around, name, plane, across, up, losses, points, marked, explained)


def _extent(values: Collection[float]) -> tuple[float, float, float]:
    low, high = min(values), max(values)
    return low, high, MARGIN * (high - low)


def _slice(
    around: _Around,
    name: str,
    plane: Plane,
    across: Sequence[float],
    up: Sequence[float],
    losses: Mapping[str, LossAt],
    points: Mapping[str, Params],
    marked: Sequence[Point],
    explained: Point | None = None,
) -> Slice:
    found = over_plane(around.quick, plane, across, up, losses)
    at_marks = around.quick.over(points.values(), partial(losses_at, losses))
    return Slice(
        name,
        tuple(across),
        tuple(up),
        tuple(
            Surface(f"{of} loss" if of in SETS else of, matrix, tuple(each[of] for each in at_marks))
            for of, matrix in found.items()
        ),
        tuple(Mark(own, (rounded(x), rounded(y))) for own, (x, y) in zip(points, marked, strict=True)),
        explained,
    )
