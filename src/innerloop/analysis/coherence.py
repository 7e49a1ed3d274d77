"""Do adapted solutions get flatter and farther over training, and do tasks pull a learner the same way?

    sharpness              log10 of the largest eigenvalue of the Hessian of the support loss, after adaptation
    distance               |adapted - start|
    trajectory coherence   mean over pairs of tasks of cos(adapted_i - start, adapted_j - start)
    gradient coherence     mean over pairs of tasks of g_i . g_j, g the gradient of the support loss at the start

at the meta-parameters of every snapshot of a run, on the same tasks. Gradients are by the parameters that adapt. The
head's part of g_i . g_j is a contrastive sum over pairs of examples, one of either task (THEORY F7):

    sum over s of i, t of j    (residual_s . residual_t) (feature_s . feature_t + 1 where a bias adapts)

What goes with accuracy is asked across seeds, in `coherence_over_seeds`: one run's snapshots depend on each other.

Source: guiroy2019. Differs from the paper: Lanczos for the power iteration; logarithms of eigenvalues, which are
heavy-tailed over tasks; the head's part and the contrastive sum are ours.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from hashlib import sha256
from itertools import product
from typing import NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from innerloop.algorithms import Algorithm
from innerloop.analysis.contrast import LossName, residuals
from innerloop.analysis.spectrum import Spectrum, spectrum
from innerloop.analysis.subject import Probe, Subject
from innerloop.analysis.values import over
from innerloop.engine.choice import cores
from innerloop.engine.workers import of_slopes_and_bends
from innerloop.errors import ConfigError, DataError, DivergedError
from innerloop.inner import accuracy, final_gradient
from innerloop.params import first_nonfinite, flat, select
from innerloop.runs import Recipe
from innerloop.shapes import Params
from innerloop.statistics import Interval, mean_interval

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class CoherenceSettings:
    """How much is computed.

    Attributes:
        bent: Of how many of the tasks the Hessian is looked at; 0 leaves it out.
    """

    bent: int = 8

    def __post_init__(self) -> None:
        if self.bent < 0:
            raise ConfigError(f"expected coherence.bent of at least 0, got {self.bent}; 8 tasks are usual")


@dataclass(frozen=True)
class AtStep:
    """A learner at one outer step, over tasks; None where a measure is not defined.

    Attributes:
        step: Outer steps done.
        accuracy: Of queries after adaptation, in [0, 1].
        support_loss: After adaptation.
        distance: From the start of the inner loop to its end, over all parameters of the network.
        sharpness: log10 of the largest eigenvalue; over those tasks where it was reached and is above 0.
        residual: The largest |H v - eigenvalue v| / eigenvalue among them.
        trajectory: Coherence of trajectories, in [-1, 1]; the interval is by leaving out one task at a time.
        gradient: Coherence of gradients, as the others below.
        gradient_head: Its part by the head's parameters.
        contrast: The same as a contrastive sum.
        contrast_error: The largest distance between both for any pair, relative to the gradients' norms.
    """

    step: int
    accuracy: Interval
    support_loss: Interval
    distance: Interval
    sharpness: Interval | None
    residual: float | None
    trajectory: Interval | None
    gradient: Interval | None
    gradient_head: Interval | None
    contrast: Interval | None
    contrast_error: float | None


@dataclass(frozen=True)
class Coherence:
    """The measures along a run, and how they changed in pairs over the same tasks; None where they are not defined.

    Attributes:
        arm: What runs have in common that differ in the seed alone.
        seed: The run's; None for a learner without one.
        has_snapshots: Whether `path` is that of the run's snapshots; else it is the one learner as it stands.
        tasks: How many tasks.
        bent: Of how many the Hessian was looked at.
        path: By outer step, the first of them first.
        accuracy_change: Last minus first.
        since_best: Accuracy at the last minus that at the step with the highest mean.
        support_loss_change: Last minus first.
        distance_change: The same.
        sharpness_change: The same, in powers of ten.
    """

    arm: str
    seed: int | None
    has_snapshots: bool
    tasks: int
    bent: int
    path: tuple[AtStep, ...]
    accuracy_change: Interval | None
    since_best: Interval | None
    support_loss_change: Interval | None
    distance_change: Interval | None
    sharpness_change: Interval | None


class OfTask(NamedTuple):
    """What one task says at one outer step.

    Attributes:
        accuracy: Of its queries after adaptation.
        support_loss: After adaptation.
        direction: From the start of the inner loop to its end [parameter].
        slope: Gradient of the support loss at the start, by what adapts [parameter].
        head_slope: The head's part of it; empty where the head does not adapt.
        features: Support features at the start [example feature]; None where the head is not linear.
        residuals: Of the support examples there [example way].
    """

    accuracy: float
    support_loss: float
    direction: Tensor
    slope: Tensor
    head_slope: Tensor
    features: Tensor | None
    residuals: Tensor | None


def measure(subject: Subject, settings: CoherenceSettings | None = None) -> Coherence:
    """Measure a learner's tasks at every snapshot of its run; where it has none, as it stands.

    Raises:
        DataError: There is no task.
        DivergedError: Adaptation, or a slope, is not finite.
    """
    probes = list(subject.probes())
    if not probes:
        raise DataError("expected at least one episode to look at, two to compare, got none; ask for more episodes")
    bent = min((settings or CoherenceSettings()).bent, len(probes))
    quick, bending = of_slopes_and_bends(subject.tested, cores())
    path: list[AtStep] = []
    tables: list[dict[str, list[float]]] = []
    for step, params in _snapshots(subject):
        tasks = quick.over(probes, partial(_of_task, params))
        spectra = bending.over(probes[:bent], partial(_bend, params))
        tables.append(_table(tasks, spectra))
        path.append(_at_step(step, subject.tested, tasks, spectra, tables[-1]))
    return Coherence(
        "" if subject.run is None else arm_of(subject.run.recipe),
        None if subject.run is None else subject.run.recipe.seed,
        bool(subject.run and subject.run.snapshots()),
        len(probes),
        bent,
        tuple(path),
        **_changes(tables),
    )


def arm_of(recipe: Recipe) -> str:
    """Return a name that runs share which differ in the seed alone, wherever and however they were computed."""
    values = asdict(recipe)
    for name in ("seed", "engine", "record"):
        values.pop(name)
    values["data"].pop("root")
    return f"{recipe.algorithm.name} {sha256(repr(values).encode()).hexdigest()[:6]}"


def over_pairs(products: Numbers) -> Interval | None:
    """Return the mean over pairs of different tasks [task task], with its jackknife interval over tasks.

    Returns:
        None for fewer than two tasks; an interval of infinite width for two, which are one pair.
    """
    count = len(products)
    if count < 2:
        return None
    off = products - np.diag(np.diag(products))
    whole = float(off.sum() / (count * (count - 1)))
    if count == 2:
        return Interval(whole, math.inf, 1)
    without = (off.sum() - 2 * off.sum(axis=1)) / ((count - 1) * (count - 2))
    spread = math.sqrt((count - 1) / count * float(np.square(without - without.mean()).sum()))
    return Interval(whole, float(stats.t.ppf(0.975, count - 1)) * spread, count)


def contrastive_products(tasks: Sequence[OfTask], with_weight: bool, with_bias: bool) -> Numbers | None:
    """Return the head's part of every product of gradients, as a contrastive sum over pairs of examples [task task].

    Args:
        tasks: Their support features and residuals before adaptation.
        with_weight: Whether the head's weight adapts.
        with_bias: Whether its bias does.

    Returns:
        None where the head is not linear.
    """
    sides = [
        (each.features, each.residuals) for each in tasks if each.features is not None and each.residuals is not None
    ]
    if len(sides) < len(tasks):
        return None
    products = np.zeros((len(sides), len(sides)))
    for (one, (features, shown)), (other, (others, asked)) in product(enumerate(sides), repeat=2):
        alike = features @ others.T * with_weight + with_bias
        products[one, other] = ((shown @ asked.T) * alike).sum().item()
    return products


def _snapshots(subject: Subject) -> Iterator[tuple[int, Params]]:
    """Yield the parameters by outer step, one set of them in memory."""
    run = subject.run
    if run is not None and run.snapshots():
        yield from ((step, run.snapshot(step)) for step in run.snapshots())
    else:
        yield 0 if subject.state is None else subject.state.step, subject.params


def _of_task(params: Params, own: Algorithm, probe: Probe) -> OfTask:
    support = probe.episode.support
    path = own.adapt(params, support)
    start, adapted = path.params[0], path.adapted
    names = [name for name in start if name in own.learner.names]
    with torch.no_grad():
        loss = own.support_loss(adapted, support)[0]
        logits = own.query_loss(adapted, probe.episode)[1]
    exact = {name: value.double() for name, value in start.items()}
    moving = [name for name in names if name in own.names] or names
    slope, _ = final_gradient(lambda here: own.support_loss({**exact, **here}, support), select(exact, moving))
    if first_nonfinite({"slope": flat(slope), "loss": loss, "logits": logits}):
        raise DivergedError(
            f"expected finite losses and slopes, got others in episode {probe.number}; try a smaller inner_lr"
        )
    return OfTask(
        accuracy(logits, probe.episode.query.targets).item(),
        loss.item(),
        flat({name: adapted[name].double() - exact[name] for name in names}),
        flat(slope),
        flat(select(slope, own.learner.head_names & own.names)),
        *_at_head(own, exact, probe),
    )


def _at_head(own: Algorithm, params: Params, probe: Probe) -> tuple[Tensor | None, Tensor | None]:
    """Return support features and residuals, where a linear head and a known loss make gradients of them."""
    if own.inner.loss not in ("cross_entropy", "mse"):
        return None, None
    try:
        weight, bias = own.learner.linear_head(params)
    except ConfigError:
        return None, None
    with torch.no_grad():
        features = own.learner.features(params, probe.episode.support.inputs)
        logits = features @ weight.double().T + (0.0 if bias is None else bias.double())
        return features, residuals(logits, probe.episode.support.targets, cast("LossName", own.inner.loss))


def _bend(params: Params, own: Algorithm, probe: Probe) -> Spectrum:
    adapted = {name: value.double() for name, value in own.adapted(params, probe.episode.support).items()}
    return spectrum(
        lambda here: own.support_loss({**adapted, **here}, probe.episode.support)[0],
        select(adapted, own.learner.names),
        1,
    )


def _table(tasks: Sequence[OfTask], spectra: Sequence[Spectrum]) -> dict[str, list[float]]:
    """Return what is compared task by task; NaN where a task has none."""
    return {
        "accuracy": [each.accuracy for each in tasks],
        "support_loss": [each.support_loss for each in tasks],
        "distance": [each.direction.norm().item() for each in tasks],
        "sharpness": [_sharpness(each) for each in spectra],
    }


def _sharpness(found: Spectrum) -> float:
    return math.log10(found.eigenvalues[0]) if found.eigenvalues and found.eigenvalues[0] > 0 else math.nan


def _at_step(
    step: int,
    algorithm: Algorithm,
    tasks: Sequence[OfTask],
    spectra: Sequence[Spectrum],
    table: Mapping[str, Sequence[float]],
) -> AtStep:
    head = algorithm.learner.head
    with_weight, with_bias = (f"{head}.{name}" in algorithm.names for name in ("weight", "bias"))
    adapts = with_weight or with_bias
    of_head = _products([each.head_slope for each in tasks]) if adapts else None
    contrast = contrastive_products(tasks, with_weight, with_bias) if adapts else None
    moved = [each.direction for each in tasks if bool(each.direction.any())]
    off = [each.residuals[0] / each.eigenvalues[0] for each in spectra if not math.isnan(_sharpness(each))]
    return AtStep(
        step,
        mean_interval(table["accuracy"]),
        mean_interval(table["support_loss"]),
        mean_interval(table["distance"]),
        over(table["sharpness"]),
        max(off) if off else None,
        over_pairs(_products([each / each.norm() for each in moved])) if len(moved) == len(tasks) else None,
        over_pairs(_products([each.slope for each in tasks])),
        None if of_head is None else over_pairs(of_head),
        None if contrast is None else over_pairs(contrast),
        None if contrast is None or of_head is None else _error(contrast, of_head),
    )


def _products(vectors: Sequence[Tensor]) -> Numbers:
    """Return the inner product of every pair [task task]."""
    rows = torch.stack(list(vectors))
    products: Numbers = (rows @ rows.T).numpy()
    return products


def _error(contrast: Numbers, of_head: Numbers) -> float:
    norms = np.sqrt(np.outer(np.diag(of_head), np.diag(of_head)))
    return float((np.abs(contrast - of_head) / np.where(norms > 0, norms, 1)).max())


def _changes(tables: Sequence[Mapping[str, Sequence[float]]]) -> dict[str, Interval | None]:
    """Return how each measure changed, in pairs."""
    first, last = tables[0], tables[-1]
    best = max(tables, key=lambda each: float(np.mean(each["accuracy"])))
    changes = {f"{name}_change": _gap(last[name], first[name], len(tables)) for name in first}
    return {**changes, "since_best": _gap(last["accuracy"], best["accuracy"], len(tables))}


def _gap(later: Sequence[float], earlier: Sequence[float], points: int) -> Interval | None:
    pairs = [(one, other) for one, other in zip(later, earlier, strict=True) if not math.isnan(one - other)]
    if points < 2 or not pairs:
        return None
    return mean_interval([one - other for one, other in pairs])
