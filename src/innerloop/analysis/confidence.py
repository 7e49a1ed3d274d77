"""How sure can one be of a learner on a new task, from the task's support set alone?

    predicted = ridge regression of query accuracy on support scores       fitted on validation episodes
    bound     = predicted - slack                                          calibrated on others of them (conformal)

The bound holds as often as it says for tasks exchangeable with the validation ones. Held-out validation episodes are:
given the classes of that side, all its episodes are drawn alike. Tasks of other classes are not, and those of other
data less so; how often it holds there is measured, not promised. Episodes share classes, so that intervals tell of
tasks made of these classes and not of other classes.

Beside it stands what can be guaranteed of the representation itself (`guarantee`).

Source: vovk2005, papadopoulos2002 (conformal); galanti2022 (the guarantee); the scores are ours.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from innerloop.analysis import guarantee
from innerloop.analysis.bank import Bank, Embedder, bank, embedder
from innerloop.analysis.centroids import slots_of
from innerloop.analysis.combination import nonnegative
from innerloop.analysis.conformal import Values, fewest, lower, slack
from innerloop.analysis.embedding import Kind
from innerloop.analysis.global_centres import class_features
from innerloop.analysis.subject import Probe, Subject, together
from innerloop.analysis.support_scores import SCORES, facts
from innerloop.analysis.tasks import TasksSettings
from innerloop.data.episode import Episode, ends, joined, stacked
from innerloop.data.family import Family
from innerloop.data.split import VALIDATION, Split
from innerloop.engine import Chosen, EngineConfig
from innerloop.errors import ConfigError, DataError, DivergedError
from innerloop.seeds import generator
from innerloop.statistics import Correlation, Interval, Share, mean_interval, paired_difference, rank_correlation, share

STREAM = "calibration"
RESIDUAL = "residual"
SIMULATED = 200  # episodes that are drawn from the features of all classes
PENALTIES = (0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)


@dataclass(frozen=True)
class ConfidenceSettings:
    """What the prediction learns from, and how sure it is to be.

    Attributes:
        fitted: Validation episodes that the prediction is fitted on.
        calibrated: Others that the bounds are calibrated on.
        held_out: Others that they are tried on, as exchangeable a case as there is.
        levels: How often a bound is to hold.
        bank: Tasks of the training classes for the score `residual`; 0 leaves it out, which is faster.
        classes: Classes that the guarantee of the representation is evaluated on, at most.
        per_class: Examples of each, at most; 0 leaves that out.
    """

    fitted: int = 200
    calibrated: int = 200
    held_out: int = 200
    levels: tuple[float, ...] = (0.8, 0.9, 0.95)
    bank: int = 0
    classes: int = 100
    per_class: int = 100

    def __post_init__(self) -> None:
        for name, least in (("fitted", 2), ("calibrated", 1), ("held_out", 1), ("bank", 0), ("classes", 2)):
            if getattr(self, name) < least:
                raise ConfigError(f"expected {name} of at least {least}, got {getattr(self, name)}; ask for more")
        if self.per_class < 0:
            raise ConfigError(f"expected per_class of at least 0, got {self.per_class}; 0 leaves the guarantee out")
        if self.bank and self.bank < TasksSettings().neighbours:
            raise ConfigError(
                f"expected a bank of at least {TasksSettings().neighbours} tasks, got {self.bank}; ask for more, or 0 "
                "to leave it out"
            )
        if not self.levels or any(not 0 < each < 1 for each in self.levels):
            raise ConfigError(
                f"expected levels between 0 and 1, got {', '.join(f'{each:g}' for each in self.levels) or 'none'}; "
                "0.8, 0.9 and 0.95 are usual"
            )


@dataclass(frozen=True)
class Score:
    """One score of a support set.

    Attributes:
        name: As in `SCORES`, `residual`, or `predicted` for what is made of all of them.
        held_out: Rank correlation with query accuracy on held-out validation episodes; None where it is undefined.
        explained: The same on the explained episodes.
    """

    name: str
    held_out: Correlation | None
    explained: Correlation | None


@dataclass(frozen=True)
class Coverage:
    """What one level's bounds are worth on one set of episodes.

    Attributes:
        held: How often the bound held.
        constant_held: How often a bound of one number for all held, calibrated on the same episodes without scores.
        bound: The bound's mean.
        sharper: The bound less that constant one, in pairs; above 0 where scores are worth something.
    """

    held: Share
    constant_held: Share
    bound: Interval
    sharper: Interval


@dataclass(frozen=True)
class Level:
    """One level of sureness.

    Attributes:
        level: How often the bound is to hold.
        needed: Calibration episodes it takes.
        is_enough: Whether there were as many; else the bound is 0 and holds always.
        constant: The bound without scores.
        held_out: On held-out validation episodes, for which the level is promised.
        explained: On the explained ones.
    """

    level: float
    needed: int
    is_enough: bool
    constant: float
    held_out: Coverage
    explained: Coverage


@dataclass(frozen=True)
class Bounded:
    """A bound on an error, and the error: shares, means over classes.

    Attributes:
        name: `line`, `spread` or `shots`, as in `guarantee`.
        bound: Of the error.
        error: As observed, on the same features.
    """

    name: str
    bound: float
    error: float


@dataclass(frozen=True)
class Representation:
    """What spread and distance guarantee of the nearest centroid, before adaptation.

    Attributes:
        classes: How many there are.
        examples: Of all of them.
        ways: Classes of an episode.
        shots: Examples that make a centroid, of the bound `shots`.
        chance: The error of guessing.
        variance: Class-distance normalised variance, median over pairs of classes.
        bounds: On the error of episodes drawn from all classes, beside that of simulated ones.
        pairs: Share of pairs of classes whose bound by `line` is below a half, the error of guessing between two.
    """

    classes: int
    examples: int
    ways: int
    shots: int
    chance: float
    variance: float
    bounds: tuple[Bounded, ...]
    pairs: float


@dataclass(frozen=True)
class Confidence:
    """How sure one can be of new tasks.

    Attributes:
        home: The data that was learned from: `omniglot (validation)`.
        source: The data explained.
        is_home: Whether both are the same side of the same data, so that the level is promised there too.
        fitted: Episodes the prediction was fitted on.
        calibrated: Episodes the bounds were calibrated on.
        missing: Scores that one shot a class does not have.
        home_accuracy: Query accuracy on held-out validation episodes.
        accuracy: Query accuracy on the explained ones.
        explained_variance: Share of the held-out accuracy's variance that the prediction explains; below 0 where the
            mean would do better, None where accuracy does not vary.
        scores: Each beside accuracy, the prediction last.
        levels: From the least sure.
        home_points: Prediction and accuracy of every held-out episode.
        points: The same of every explained one.
        episode_bound: The bound by `line` of every explained episode's own examples, mean.
        episode_error: What it bounds: errors of centroids of all the episode's examples, on these examples.
        episode_vacuous: Share of these episodes whose bound is no smaller than the error of guessing.
        representation: The guarantee over classes; None where classes do not come back.
    """

    home: str
    source: str
    is_home: bool
    fitted: int
    calibrated: int
    missing: tuple[str, ...]
    home_accuracy: Interval
    accuracy: Interval
    explained_variance: float | None
    scores: tuple[Score, ...]
    levels: tuple[Level, ...]
    home_points: tuple[tuple[float, float], ...]
    points: tuple[tuple[float, float], ...]
    episode_bound: Interval
    episode_error: Interval
    episode_vacuous: float
    representation: Representation | None


@dataclass(frozen=True, eq=False)
class Scored:
    """Scores [episode score] and query accuracies [episode] of some episodes."""

    scores: Values
    accuracies: Values

    def part(self, first: int, last: int | None = None) -> "Scored":
        """Return some of the episodes."""
        return Scored(self.scores[first:last], self.accuracies[first:last])


def measure(subject: Subject, settings: ConfidenceSettings | None = None) -> Confidence:
    """Learn on validation episodes how accuracy follows from support scores, and try it on new tasks.

    Raises:
        ConfigError: It is not known what the learner was trained on, or too little was asked for.
        DataError: There is no episode, or the run's own validation side cannot fill such episodes.
        DivergedError: Predictions or features that are not finite.
    """
    chosen = settings or ConfidenceSettings()
    guaranteed = _guaranteed(subject, chosen)  # refused before anything takes long
    engine = Chosen(EngineConfig().of_tests, subject.tested)
    residual = _residual(subject, chosen)
    known = chosen.fitted + chosen.calibrated
    numbers: Iterable[int] = subject.watch("validation tasks", range(known + chosen.held_out))
    validation = scored(engine, subject, residual, together(subject.at_home(VALIDATION, STREAM, numbers)))
    notes: list[Own] = []
    explained = scored(engine, subject, residual, _noted(subject, subject.some_at_a_time(), notes))
    if not notes:
        raise DataError("expected at least one episode to be sure of, got none; ask for more episodes")
    names = (*SCORES, *([RESIDUAL] if residual else []))
    there = [place for place in range(len(names)) if not np.isnan(_both(validation, explained)[:, place]).any()]
    predict = fit(validation.part(0, chosen.fitted), there)
    held_out, calibration = validation.part(known), validation.part(chosen.fitted, known)
    said = [predict(each.scores[:, there]) for each in (held_out, explained)]
    slackened = predict(calibration.scores[:, there])
    home = subject.own(VALIDATION)
    return Confidence(
        _words(home),
        "" if subject.split is None else _words(subject.split),
        subject.split is not None and _words(home) == _words(subject.split),
        chosen.fitted,
        chosen.calibrated,
        tuple(name for place, name in enumerate(names) if place not in there),
        mean_interval(held_out.accuracies),
        mean_interval(explained.accuracies),
        explained_variance(said[0], held_out.accuracies),
        _scores([names[place] for place in there], there, (held_out, explained), said),
        tuple(
            _level(level, slackened, calibration.accuracies, said, (held_out.accuracies, explained.accuracies))
            for level in sorted(chosen.levels)
        ),
        _points(said[0], held_out),
        _points(said[1], explained),
        mean_interval([each.bound for each in notes]),
        mean_interval([each.error for each in notes]),
        float(np.mean([each.bound >= each.chance for each in notes])),
        None if guaranteed is None else _representation(subject, chosen, *guaranteed),
    )


def scored(engine: Chosen, subject: Subject, residual: "Residual | None", groups: Iterable[Sequence[Probe]]) -> Scored:
    """Score episodes, a group at a time.

    Raises:
        DivergedError: Predictions that are not finite.
    """
    rows: list[Tensor] = []
    for several in groups:
        episodes = [probe.episode for probe in several]
        found = engine.each(facts, subject.params, stacked(episodes)).double()
        rest = [] if residual is None else [residual(episodes)[:, None]]
        rows.append(torch.cat([found[:, :-1], *rest, found[:, -1:]], 1))
    table = torch.cat(rows).numpy() if rows else np.zeros((0, 1))
    # One-shot scores are NaN by their nature; accuracy, margin and certainty are only where predictions are.
    if not np.isfinite(table[:, [0, 1, -1]] if len(table) else 0.0).all():
        raise DivergedError(
            f"expected finite predictions, got NaN or infinity at rate {subject.tested.inner.lr:g}; try a smaller one"
        )
    return Scored(table[:, :-1], table[:, -1])


@dataclass(frozen=True, eq=False)
class Residual:
    """The score of a task by what its nearest neighbours in a bank leave of it, as in `tasks`."""

    made: Embedder
    held: Bank
    neighbours: int

    def __call__(self, episodes: list[Episode]) -> Tensor:
        """Return the residuals of episodes."""
        vectors = self.made(episodes).double().numpy()
        near = self.held.nearest(vectors, self.neighbours)
        left = [nonnegative(each, self.held.some(own)).residual for each, own in zip(vectors, near, strict=True)]
        return torch.tensor(left, dtype=torch.float64)


def fit(known: Scored, there: Sequence[int]) -> Callable[[Values], Values]:
    """Return what maps scores [episode score] to accuracies: ridge regression, its penalty by leave-one-out.

    Args:
        known: Episodes to learn from.
        there: Which scores are used.
    """
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    fitted = make_pipeline(StandardScaler(), RidgeCV(PENALTIES)).fit(known.scores[:, there], known.accuracies)
    predict: Callable[[Values], Values] = fitted.predict
    return predict


def _scores(
    names: Sequence[str], places: Sequence[int], sides: tuple[Scored, Scored], said: Sequence[Values]
) -> tuple[Score, ...]:
    """Return every score beside accuracy on both sides, and the prediction last."""
    columns = [(name, [each.scores[:, place] for each in sides]) for name, place in zip(names, places, strict=True)]
    return tuple(
        Score(name, *(rank_correlation(each, side.accuracies) for each, side in zip(values, sides, strict=True)))
        for name, values in [*columns, ("predicted", list(said))]
    )


def _points(predicted: Values, true: Scored) -> tuple[tuple[float, float], ...]:
    return tuple(zip(predicted.tolist(), true.accuracies.tolist(), strict=True))


def explained_variance(predicted: Values, true: Values) -> float | None:
    """Return 1 less the mean squared error over the variance; None where nothing varies."""
    spread = float(np.var(true))
    return 1 - float(np.mean((true - predicted) ** 2)) / spread if spread > 0 else None


def _level(level: float, slackened: Values, known: Values, said: Sequence[Values], true: Sequence[Values]) -> Level:
    taken, flat = slack(slackened, known, level), slack(np.zeros_like(known), known, level)
    constant = float(lower(np.zeros(1), flat)[0])
    found = [coverage(lower(p, taken), constant, t) for p, t in zip(said, true, strict=True)]
    needed = fewest(level)
    return Level(level, needed, len(known) >= needed, constant, *found)


def coverage(bounds: Values, constant: float, true: Values) -> Coverage:
    """Hold bounds against what they bound.

    Args:
        bounds: One an episode.
        constant: One for all of them.
        true: Accuracies.
    """
    # Sums that round must not make a bound fail that is met exactly.
    met = [int((true >= each - 1e-9).sum()) for each in (bounds, np.full_like(true, constant))]
    return Coverage(
        share(met[0], len(true)),
        share(met[1], len(true)),
        mean_interval(bounds),
        paired_difference(bounds, np.full_like(true, constant)),
    )


def _residual(subject: Subject, settings: ConfidenceSettings) -> Residual | None:
    if not settings.bank:
        return None
    usual = TasksSettings(bank=settings.bank)
    kind: Kind = usual.embedding
    made = embedder(subject, kind, usual.dimensions)
    return Residual(made, bank(subject, made, usual.bank), min(usual.neighbours, made.dimensions - 1))


class Own(NamedTuple):
    """What an episode's own examples guarantee of centroids of all of them, their error, and that of guessing."""

    bound: float
    error: float
    chance: float


def _noted(subject: Subject, groups: Iterable[list[Probe]], notes: list[Own]) -> Iterator[list[Probe]]:
    """Yield the groups, and note of every episode what it guarantees: no episode stays in memory."""
    for several in groups:
        notes += [_own(subject, probe) for probe in several]
        yield several


def _own(subject: Subject, probe: Probe) -> Own:
    every = joined(probe.episode)
    with torch.no_grad():
        features = subject.tested.learner.features(subject.params, every.inputs)
    ways = len(slots_of(every.targets))
    bound = guarantee.bound(guarantee.by_line(guarantee.geometry(features, every.targets)), ways)
    return Own(bound, guarantee.error(features, every.targets), 1 - 1 / ways)


def _both(left: Scored, right: Scored) -> NDArray[np.float64]:
    return np.concatenate([left.scores, right.scores])


def _words(split: Split | Family) -> str:
    return f"{split.data_set} ({split.name})"


def _guaranteed(subject: Subject, settings: ConfidenceSettings) -> tuple[Split, int, int] | None:
    """Return the classes that something is guaranteed of, and ways and shots; None where classes do not come back.

    Raises:
        ConfigError: Episodes like those explained cannot be drawn from so few.
    """
    split, shape = subject.split, subject.shape
    if not isinstance(split, Split) or shape is None or not settings.per_class:
        return None
    ways, shots = shape.ways, ends(shape.k_shot)[0]
    if settings.per_class <= shots or settings.classes < ways:
        raise ConfigError(
            f"expected confidence.classes of at least {ways} and .per_class above {shots}, to draw episodes like those "
            f"explained, got {settings.classes} and {settings.per_class}; ask for more, or .per_class=0 to leave the "
            "guarantee out"
        )
    return split, ways, shots


def _representation(
    subject: Subject, settings: ConfidenceSettings, split: Split, ways: int, shots: int
) -> Representation:
    few = some_classes(split, settings.classes)
    features, labels = class_features(subject.tested.learner, subject.params, few, settings.per_class)
    here = guarantee.geometry(features, labels)
    pairs = (guarantee.by_line(here), guarantee.by_spread(here), guarantee.by_shots(here, shots))
    rng = generator(0, "guarantee", split.data_set, split.name)
    errors = [guarantee.few_shot_error(features, labels, ways, shots, rng=rng) for _ in range(SIMULATED)]
    of_all, of_few = (float(np.mean(each)) for each in zip(*errors, strict=True))
    apart = ~torch.eye(len(few), dtype=torch.bool)
    return Representation(
        len(few),
        len(features),
        ways,
        shots,
        1 - 1 / ways,
        float(guarantee.normalised_variance(here)[apart].clamp(max=1e9).median()),
        tuple(
            Bounded(name, guarantee.bound(each, ways), observed)
            for name, each, observed in zip(("line", "spread", "shots"), pairs, (of_all, of_all, of_few), strict=True)
        ),
        float((pairs[0][apart] < 0.5).double().mean()),
    )


def some_classes(split: Split, most: int) -> Split:
    """Return the split with at most so many of its classes, chosen at random but always the same."""
    if len(split) <= most:
        return split
    order = torch.randperm(len(split), generator=generator(0, "classes", split.data_set, split.name))[:most].tolist()
    return replace(
        split,
        class_names=tuple(split.class_names[each] for each in order),
        members=tuple(split.members[each] for each in order),
        turns=tuple(split.turns[each] for each in order) if split.turns else (),
    )
