"""How large is each part of a learner's meta-gradient, where does it point, and how much does the split leave out?

The split of `contrast` holds the encoder still in the inner loop. That is a fact for head-only adaptation and for a
zeroed head at one inner step; elsewhere it is an assumption, and `gap` says what it costs: the distance between the
parts pulled back to the encoder's parameters and the encoder's true meta-gradient, relative to the latter.

Source: kao2022, sections 2 and 3; the gap is ours.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
from torch import Tensor

from innerloop.algorithms import Algorithm
from innerloop.analysis.contrast import ContrastSplit, LossName, Order, split
from innerloop.analysis.subject import Subject
from innerloop.analysis.values import over
from innerloop.data.episode import Episode
from innerloop.params import add, dot, norm
from innerloop.shapes import Params
from innerloop.statistics import Interval

PARTS = ("query_contrast", "query_interference", "support_contrast", "support_curvature")


class Measures(NamedTuple):
    """One episode's measures; NaN where one is not defined (the cosine of a part that is zero).

    Attributes:
        query_contrast: Frobenius norm of the contrastive part at the query features, loss per feature unit.
        query_interference: Of what the head before adaptation adds there.
        support_contrast: Of the contrastive part at the support features; 0 for first order.
        support_curvature: Of what the inner loop's second derivatives add there; 0 for first order.
        interference_share: Interference / (interference + contrast), of the norms at the query features.
        curvature_ratio: Curvature / contrast at the support features.
        cosine_query_contrast: Between the part, pulled back to the encoder's parameters, and their true meta-gradient.
        cosine_query_interference: The same.
        cosine_support_contrast: The same.
        cosine_support_curvature: The same.
        cosine_split: Between all parts together and the true meta-gradient.
        gap: Norm of (true meta-gradient - all parts together) / norm of the true one.
        negative_share: Share of coefficients below 0, which attract.
        wrong_positives: Share of same-class coefficients that do not attract.
        wrong_negatives: Share of different-class coefficients that attract.
    """

    query_contrast: float
    query_interference: float
    support_contrast: float
    support_curvature: float
    interference_share: float
    curvature_ratio: float
    cosine_query_contrast: float
    cosine_query_interference: float
    cosine_support_contrast: float
    cosine_support_curvature: float
    cosine_split: float
    gap: float
    negative_share: float
    wrong_positives: float
    wrong_negatives: float


@dataclass(frozen=True)
class Contrast:
    """The measures over episodes; None where one is not defined.

    Attributes:
        order: Of the meta-gradient, as trained.
        loss: Of the inner loop, as trained.
        inner_lr: Its rate.
        inner_steps: Its number of steps.
        pure_share: Share of coefficients below 0 that a zeroed head has at one inner step on these episodes (THEORY
            B7): the same-class pairs, or with a negative rate all others; None for squared error or no inner loop.
        is_exact: Whether the encoder stands still in the inner loop, so that the split is exact; not where the
            encoder follows another objective than the query loss, of which `gap` then says how far off it is.

    The others as in `Measures`.
    """

    order: str
    loss: str
    inner_lr: float
    inner_steps: int
    pure_share: float | None
    is_exact: bool
    query_contrast: Interval | None
    query_interference: Interval | None
    support_contrast: Interval | None
    support_curvature: Interval | None
    interference_share: Interval | None
    curvature_ratio: Interval | None
    cosine_query_contrast: Interval | None
    cosine_query_interference: Interval | None
    cosine_support_contrast: Interval | None
    cosine_support_curvature: Interval | None
    cosine_split: Interval | None
    gap: Interval | None
    negative_share: Interval | None
    wrong_positives: Interval | None
    wrong_negatives: Interval | None


def measure(subject: Subject) -> Contrast:
    """Measure a learner's meta-gradient on probe episodes, with the inner loop it was trained by."""
    algorithm, inner = subject.trained, subject.trained.inner
    each: list[Measures] = []
    alike: list[float] = []
    for probe in subject.probes():
        each.append(measures(algorithm, subject.params, probe.episode))
        alike.append(_share(probe.episode.query.targets[:, None] == probe.episode.support.targets[None]))
    same = sum(alike) / len(alike)
    pure = None
    if inner.loss == "cross_entropy" and inner.steps and inner.lr:
        pure = same if inner.lr > 0 else 1 - same
    intervals = {name: over(values) for name, values in zip(Measures._fields, zip(*each, strict=True), strict=True)}
    exact = encoder_stays(algorithm, subject.params) and algorithm.axes.objective == "query_loss"
    return Contrast(algorithm.order, inner.loss_name, float(inner.lr), inner.steps, pure, exact, **intervals)


def recorded(algorithm: Algorithm, params: Params, episodes: Iterable[Episode]) -> dict[str, float]:
    """Return the mean of every measure that is defined, for a line of a run's history."""
    each = [measures(algorithm, params, episode) for episode in episodes]
    intervals = ((name, over(values)) for name, values in zip(Measures._fields, zip(*each, strict=True), strict=True))
    return {name: interval.mean for name, interval in intervals if interval is not None}


def encoder_stays(algorithm: Algorithm, params: Params) -> bool:
    """Return whether the encoder provably stands still in the inner loop, so that the split is exact.

    It does if only the head adapts, and for one step from a zero weight: the loss then does not depend on the features.
    """
    if algorithm.names <= algorithm.learner.head_names or algorithm.inner.steps == 0 or algorithm.inner.lr == 0:
        return True
    return algorithm.inner.steps == 1 and not bool(algorithm.learner.linear_head(params)[0].any())


def episode_split(algorithm: Algorithm, params: Params, episode: Episode, order: Order | None = None) -> ContrastSplit:
    """Split one episode's meta-gradient at the features the encoder gives before adaptation, in float64.

    Args:
        algorithm: Its inner loop and order.
        params: Meta-parameters.
        episode: Targets are class slots.
        order: Another order than the algorithm's.

    Raises:
        ConfigError: The learner's head is not linear, or the inner loop is not plain gradient descent of it.
    """
    algorithm.require_plain("the contrastive split")
    learner, inner = algorithm.learner, algorithm.inner
    weight, bias = learner.linear_head(params)
    with torch.no_grad():
        support = learner.features(params, episode.support.inputs)
        query = learner.features(params, episode.query.inputs, reference=episode.support.inputs)
        return split(
            support.double(),
            episode.support.targets,
            query.double(),
            episode.query.targets,
            weight.double(),
            None if bias is None else bias.double(),
            inner_lr=inner.lr,
            inner_steps=inner.steps,
            loss=cast("LossName", inner.loss),
            order=order or cast("Order", algorithm.order),
        )


def pulled_back(algorithm: Algorithm, params: Params, episode: Episode, parts: ContrastSplit) -> dict[str, Params]:
    """Return what each part says to the encoder's parameters: its product with the features' derivative.

    Returns:
        For each of `PARTS` a gradient keyed and shaped like the encoder's parameters.
    """
    learner = algorithm.learner
    leaves = {name: value.detach().requires_grad_() for name, value in learner.encoder_params(params).items()}
    pulled: dict[str, Params] = {}
    for side, inputs, reference in (
        ("query", episode.query.inputs, episode.support.inputs),
        ("support", episode.support.inputs, None),
    ):
        names = [name for name in PARTS if name.startswith(side)]
        zero = {name: torch.zeros_like(value) for name, value in leaves.items()}
        pulled |= dict.fromkeys(names, zero)
        wanted = [name for name in names if bool(getattr(parts, name).any())]
        if not wanted or not leaves:
            continue
        with torch.enable_grad():
            features = learner.features(leaves, inputs, reference=reference)
        for name in wanted:
            gradients = torch.autograd.grad(
                features,
                list(leaves.values()),
                getattr(parts, name).to(features.dtype),
                retain_graph=name != wanted[-1],
                allow_unused=True,
                materialize_grads=True,
            )
            pulled[name] = dict(zip(leaves, gradients, strict=True))
    return pulled


def measures(algorithm: Algorithm, params: Params, episode: Episode) -> Measures:
    """Measure one episode's meta-gradient and its parts."""
    parts = episode_split(algorithm, params, episode)
    norms = part_norms(parts)
    true = algorithm.learner.encoder_params(algorithm.meta_gradient(params, episode).gradient)
    pulled = pulled_back(algorithm, params, episode, parts)
    whole = together(pulled)
    size = norm(true).item() if true else 0.0
    same = episode.query.targets[:, None] == episode.support.targets[None]
    attracts = parts.coefficients < 0
    return Measures(
        **norms,
        interference_share=ratio(norms["query_interference"], norms["query_interference"] + norms["query_contrast"]),
        curvature_ratio=ratio(norms["support_curvature"], norms["support_contrast"]),
        **{f"cosine_{name}": cosine(each, true) if norms[name] else float("nan") for name, each in pulled.items()},
        cosine_split=cosine(whole, true),
        gap=ratio(norm(add(true, whole, -1.0)).item() if true else 0.0, size),
        negative_share=_share(attracts),
        wrong_positives=_share(~attracts[same]),
        wrong_negatives=_share(attracts[~same]),
    )


def part_norms(parts: ContrastSplit) -> dict[str, float]:
    """Return the norm of every part; what is rounding beside the largest is 0."""
    norms = {name: torch.linalg.norm(getattr(parts, name)).item() for name in PARTS}
    largest = max(norms.values())
    return {name: value if value > 1e-12 * largest else 0.0 for name, value in norms.items()}


def together(pulled: dict[str, Params]) -> Params:
    """Return the sum of all parts."""
    total: Params = {}
    for part in pulled.values():
        total = add(total, part) if total else part
    return total


def cosine(left: Params, right: Params) -> float:
    """Return the cosine between two sets of parameters; NaN where one is zero."""
    if not left:
        return float("nan")
    return ratio(dot(left, right).item(), (norm(left) * norm(right)).item())


def ratio(part: float, whole: float) -> float:
    """Return part / whole; NaN where the whole is zero."""
    return part / whole if whole else float("nan")


def _share(flags: Tensor) -> float:
    return flags.double().mean().item() if flags.numel() else float("nan")
