"""Where does the interference come from: the head's first value, or which earlier outer steps, or which past queries?

The interference at query q is D_q W_0: its residual after adaptation times the head before. The head is its first value
plus every update since, so the interference splits by origin, exactly, for any outer optimizer:

    D W(t) = D W(0)  +  sum over earlier outer steps j of  D (W(j + 1) - W(j))
             initialisation        cross-task

With plain SGD and first order each update is itself a sum over past queries q', and so is the cross-task part:

    D_q (W(t) - W(0)) = sum over q' of  -(outer_lr / tasks) (D_q . D_q') feature(q')

Past queries of the same *slot* attract, whatever their class was.   Source: kao2022, equation 11 and appendix;
THEORY C1. Differs from the paper: by outer step for any optimizer, and bounded to what a run recorded.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float
from torch import Tensor

from innerloop.algorithms import Algorithm
from innerloop.analysis.contrast import LossName, residuals
from innerloop.analysis.parts import episode_split
from innerloop.analysis.subject import Subject
from innerloop.analysis.values import over
from innerloop.data.episode import Batch, Episode, tasks
from innerloop.engine import Chosen, Engine
from innerloop.errors import ConfigError, RunError
from innerloop.runs import build, heads, training_batch
from innerloop.shapes import Params
from innerloop.statistics import Interval
from innerloop.training import reset_head, train


@dataclass(frozen=True)
class InterferenceSettings:
    """How far the interference is traced.

    Attributes:
        queries: Whether to past queries; trains the run again up to the checkpoint, since no run keeps its queries.
    """

    queries: bool = False


@dataclass(frozen=True)
class Age:
    """What the outer steps `first` to `last` steps ago left in the head.

    Attributes:
        first: 1 is the step just before.
        last: The oldest of the group.
        norm: Norm of D (what these steps added to the head).
        share: Its share in the whole interference, by inner product: the shares of all origins sum to 1.
    """

    first: int
    last: int
    norm: Interval
    share: Interval


@dataclass(frozen=True)
class PastQueries:
    """The cross-task part as a sum over past queries.

    Attributes:
        count: How many there are.
        same_slot: Norm of what queries of the same slot add.
        other_slots: Norm of what the others add.
        attracting_same: Share of same-slot pairs whose coefficient attracts.
        attracting_other: The same for pairs of different slots.
        error: Norm of (the sum over past queries - the cross-task part) / norm of the latter: what rounding leaves.
    """

    count: int
    same_slot: Interval
    other_slots: Interval
    attracting_same: Interval
    attracting_other: Interval
    error: Interval


@dataclass(frozen=True)
class Interference:
    """The interference by origin; norms are Frobenius, in loss per feature unit, means over episodes.

    Attributes:
        step: Outer steps done.
        head: What becomes of the head between outer steps.
        contrast: Norm of the contrastive part, to hold the others against.
        total: Norm of the interference.
        initialisation: Norm of the part that the head's first value makes.
        cross_task: Norm of the part that all outer steps since have made.
        initialisation_share: The former's share by inner product; None where there is no interference.
        ages: The cross-task part by age, the newest first; empty where the run recorded no heads.
        queries: The cross-task part by past query; None where it was not asked for.
    """

    step: int
    head: str
    contrast: Interval
    total: Interval
    initialisation: Interval
    cross_task: Interval
    initialisation_share: Interval | None
    ages: tuple[Age, ...]
    queries: PastQueries | None


class Residuals(NamedTuple):
    """What a probe episode asks of the head: D [query way], with the norm of its contrastive part."""

    values: Float[Tensor, "query way"]
    slots: Tensor
    contrast: float


def measure(subject: Subject, settings: InterferenceSettings) -> Interference:
    """Trace the interference on probe episodes to its origins.

    Raises:
        ConfigError: Past queries are asked for under another outer rule than SGD or at second order; or the learner
            comes from no run.
        RunError: The recorded heads are not those of the checkpoint.
    """
    if subject.run is None or subject.state is None:
        raise ConfigError(
            "expected a run to trace its interference, got a learner without one; open it from its folder"
        )
    subject.trained.require_plain("interference")
    recipe, learner, state = subject.run.recipe, subject.trained.learner, subject.state
    if settings.queries:
        _refuse_queries(subject)
    now = learner.linear_head(subject.params)[0].double()
    first_params = reset_head(subject.trained, {**subject.params, **state.first_head}, state.first_head, 0)
    first = learner.linear_head(first_params)[0].double()
    path = _recorded(subject, first, now) if recipe.record.heads else None
    past = _relived(subject) if settings.queries else None
    probed = [_residuals(subject.trained, subject.params, probe.episode) for probe in subject.probes()]
    return Interference(
        state.step,
        subject.trained.axes.head,
        _over(each.contrast for each in probed),
        _over(_norm(each.values @ now) for each in probed),
        _over(_norm(each.values @ first) for each in probed),
        _over(_norm(each.values @ (now - first)) for each in probed),
        over(share(each.values, first, now) for each in probed),
        () if path is None else by_age([each.values for each in probed], path),
        None if past is None else _by_query(probed, past, now - first),
    )


def by_age(probes: Iterable[Tensor], path: Float[Tensor, "step way feature"]) -> tuple[Age, ...]:
    """Split the cross-task part by how long ago it was added, in groups that double in length.

    Args:
        probes: D [query way] of every probe episode.
        path: The head before every outer step, the last being the present one.
    """
    probed, steps, now = list(probes), len(path) - 1, path[-1]
    ages, first = [], 1
    while first <= steps:
        last = min(2 * first - 1, steps)
        added = path[steps - first + 1] - path[steps - last]
        norm = _over(_norm(each @ added) for each in probed)
        part = over(share(each, added, now) for each in probed)
        if part is not None:
            ages.append(Age(first, last, norm, part))
        first = last + 1
    return tuple(ages)


def share(residual: Tensor, part: Tensor, whole: Tensor) -> float:
    """Return the share of a part of the head in the interference of the whole; NaN where there is none."""
    interference = residual @ whole
    size = (interference * interference).sum().item()
    return ((residual @ part) * interference).sum().item() / size if size else float("nan")


class Past(NamedTuple):
    """All past queries of a run: their residuals, slots, and by slot what they have added to the head.

    Attributes:
        residuals: [query way], each already times -(outer_lr / tasks).
        slots: [query].
        added: [slot way feature]; the sum over slots is the head's whole change.
    """

    residuals: Tensor
    slots: Tensor
    added: Tensor


def past_queries(engine: Engine, history: Iterable[tuple[Params, Batch]], outer_lr: float) -> Past:
    """Gather every query that plain SGD at first order has stored in the head.

    Args:
        engine: That of the training, as a first-order algorithm may take another way where numbers round otherwise.
        history: For every outer step the parameters before it and its batch.
        outer_lr: SGD's learning rate.
    """
    stored, slots = [], []
    added: Tensor | None = None
    for params, batch in history:
        episodes = list(tasks(batch))
        for episode in episodes:
            both = engine.each(_stored, params, (episode,))[0]
            width = len(engine.algorithm.learner.linear_head(params)[0])
            features, rows = both[:, width:], both[:, :width]
            rows = -outer_lr / len(episodes) * rows
            labels = episode.query.targets
            hot = F.one_hot(labels, rows.shape[1]).to(rows.dtype)
            of_slot = torch.einsum("qs,qw,qf->swf", hot, rows, features)
            added = of_slot if added is None else added + of_slot
            stored.append(rows)
            slots.append(labels)
    if added is None:
        raise ConfigError("expected at least one outer step to trace, got none; name a later checkpoint")
    return Past(torch.cat(stored), torch.cat(slots), added)


def _stored(algorithm: Algorithm, params: Params, episode: Episode) -> Tensor:
    """Return what an outer step stores of an episode, in float64: residuals [query way] beside adapted features."""
    adapted = algorithm.adapt(params, episode.support).adapted
    learner = algorithm.learner
    with torch.no_grad():
        features = learner.features(adapted, episode.query.inputs, reference=episode.support.inputs).double()
        weight, bias = learner.linear_head(adapted)
        logits = features @ weight.double().T + (0.0 if bias is None else bias.double())
    found = residuals(logits, episode.query.targets, cast("LossName", algorithm.inner.loss))
    return torch.cat([found, features], 1)


def _by_query(probed: list[Residuals], past: Past, change: Tensor) -> PastQueries:
    same, other, attracting_same, attracting_other, error = [], [], [], [], []
    for each in probed:
        own = torch.einsum("qw,qwf->qf", each.values, past.added[each.slots])
        whole = each.values @ past.added.sum(0)
        same.append(_norm(own))
        other.append(_norm(whole - own))
        attracts = each.values @ past.residuals.T < 0
        alike = each.slots[:, None] == past.slots[None]
        attracting_same.append(attracts[alike].double().mean().item())
        attracting_other.append(attracts[~alike].double().mean().item())
        error.append(_norm(whole - each.values @ change) / (_norm(each.values @ change) or 1.0))
    return PastQueries(
        len(past.slots), *(_over(each) for each in (same, other, attracting_same, attracting_other, error))
    )


def _residuals(algorithm: Algorithm, params: Params, episode: Episode) -> Residuals:
    parts = episode_split(algorithm, params, episode)
    return Residuals(parts.query_residuals, episode.query.targets, _norm(parts.query_contrast))


def _recorded(subject: Subject, first: Tensor, now: Tensor) -> Tensor:
    """Return the recorded heads up to the checkpoint, having seen that they are its own."""
    assert subject.run is not None
    assert subject.state is not None
    learner, step = subject.trained.learner, subject.state.step
    place = subject.run.directory.heads
    rows = heads.read(place, learner.head_params(subject.params))
    path = learner.linear_head(rows)[0][: step + 1].double()
    if len(path) != step + 1 or not torch.equal(path[-1], now) or not torch.equal(path[0], first):
        raise RunError(
            f"expected in '{place}' the heads of {step} outer steps that end in the checkpoint's, got others; "
            "restore the file, or train anew with --record.heads=true"
        )
    return path


def _refuse_queries(subject: Subject) -> None:
    assert subject.run is not None
    training = subject.run.recipe.training
    for setting, got, needed in (
        ("training.outer_rule", training.outer_rule, "sgd"),
        ("training.outer_schedule", training.outer_schedule, "constant"),
        ("training.clip", training.clip, None),
        ("algorithm.order", subject.trained.order, "first"),
        ("algorithm.head", subject.trained.axes.head, "learned"),
    ):
        if got != needed:
            raise ConfigError(
                f"expected a run with {setting}={needed} to trace interference to past queries, got {got}, under which "
                "the head is no plain sum of them; leave --interference.queries out to trace it to outer steps"
            )
    skipped = sum("skipped" in record for record in subject.run.history)
    if skipped:
        raise ConfigError(
            f"expected a run whose outer steps all made an update to trace interference to past queries, got {skipped} "
            "that made none; leave --interference.queries out to trace it to outer steps"
        )


def _relived(subject: Subject) -> Past:
    """Train the run again up to its checkpoint, which is exact, and gather its queries."""
    assert subject.run is not None
    assert subject.state is not None
    recipe, steps = subject.run.recipe, subject.state.step
    workshop = build(recipe)

    def batches(step: int) -> Batch:
        return training_batch(recipe, workshop.data, step)

    engine = Chosen(recipe.engine, workshop.algorithm)

    def history() -> Iterator[tuple[Params, Batch]]:
        for state in train(workshop.algorithm, workshop.start, batches, recipe.training, recipe.seed, engine):
            if state.step == steps:
                return
            yield state.params, batches(state.step)

    return past_queries(engine, history(), recipe.training.outer_lr)


def _norm(values: Tensor) -> float:
    return float(torch.linalg.norm(values))


def _over(values: Iterable[float]) -> Interval:
    interval = over(values)
    assert interval is not None
    return interval
