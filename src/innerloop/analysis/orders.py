"""What does the second order add to the meta-gradient, seen as contrast?

First order (FOMAML) and second order (SOMAML) say the same to the query features. First order stops there: support
features are held constant, as by a stop-gradient. Second order adds the support side, in two terms:

    first     query_contrast + query_interference
    second    query_contrast + query_interference   +   support_contrast + support_curvature

Equation 8 of kao2022 has the first added term only; `equation_8_error` says what that leaves out.

Source: kao2022, sections 2.3 and 2.4, equations 7, 8 and 10. Differs from the paper: the curvature is kept; the
algorithm's true gradients stand beside those of the split, which holds the encoder still in the inner loop.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from innerloop.algorithms import Algorithm
from innerloop.analysis.contrast import ContrastSplit, Order
from innerloop.analysis.parts import (
    PARTS,
    cosine,
    encoder_stays,
    episode_split,
    part_norms,
    pulled_back,
    ratio,
    together,
)
from innerloop.analysis.subject import Subject
from innerloop.analysis.values import over
from innerloop.data.episode import Episode
from innerloop.params import dot, norm, scaled
from innerloop.shapes import Params
from innerloop.statistics import Interval

ORDERS: tuple[Order, ...] = ("first", "second")


@dataclass(frozen=True)
class Norms:
    """Frobenius norms of an order's parts at the features, loss per feature unit."""

    query_contrast: Interval | None
    query_interference: Interval | None
    support_contrast: Interval | None
    support_curvature: Interval | None


class Compared(NamedTuple):
    """One episode's two orders compared; NaN where a measure is not defined.

    The encoder's gradient of an order is the sum of its parts, pulled back to the encoder's parameters. A part's share
    of the second order's is its component along it, (part . whole) / (whole . whole): the four sum to 1, and one below
    0 works against the whole.

    Attributes:
        share_query_contrast: Share of the encoder's second-order gradient.
        share_query_interference: The same.
        share_support_contrast: The same; added by the second order.
        share_support_curvature: The same; added by the second order.
        size_support: Norm of all that is added / norm of the second-order gradient.
        cosine_split: Between the encoder's first-order and second-order gradients of the split.
        ratio_split: Norm of the first / norm of the second.
        cosine_true: The same cosine for the algorithm's own gradients, with an encoder that moves if it adapts.
        ratio_true: The same ratio for these.
        cosine_sides: Between what the query side and what the support side say to the encoder.
        cosine_head: Between the head's first-order and second-order gradients of the split, weight and bias.
        ratio_head: Norm of the first / norm of the second.
        equation_8_error: Norm of the curvature / norm of the whole gradient at the support features: the relative
            error of the paper's equation 8 there. 0 for a zero head at one inner step.
    """

    share_query_contrast: float
    share_query_interference: float
    share_support_contrast: float
    share_support_curvature: float
    size_support: float
    cosine_split: float
    ratio_split: float
    cosine_true: float
    ratio_true: float
    cosine_sides: float
    cosine_head: float
    ratio_head: float
    equation_8_error: float


@dataclass(frozen=True)
class Orders:
    """Both orders over episodes; None where a measure is not defined.

    Attributes:
        order: As trained.
        inner_steps: As trained.
        is_exact: Whether the encoder stands still in the inner loop and follows the query loss, so that the split's
            gradients are the true ones.
        first: Norms of the first order's parts.
        second: Norms of the second order's parts.

    The others as in `Compared`.
    """

    order: str
    inner_steps: int
    is_exact: bool
    first: Norms
    second: Norms
    share_query_contrast: Interval | None
    share_query_interference: Interval | None
    share_support_contrast: Interval | None
    share_support_curvature: Interval | None
    size_support: Interval | None
    cosine_split: Interval | None
    ratio_split: Interval | None
    cosine_true: Interval | None
    ratio_true: Interval | None
    cosine_sides: Interval | None
    cosine_head: Interval | None
    ratio_head: Interval | None
    equation_8_error: Interval | None


def measure(subject: Subject) -> Orders:
    """Compare both orders of a learner's meta-gradient on probe episodes, with the inner loop it was trained by."""
    algorithm = subject.trained
    each: list[Compared] = []
    norms: dict[Order, list[dict[str, float]]] = {order: [] for order in ORDERS}
    for probe in subject.probes():
        for order, found in norms.items():
            found.append(part_norms(episode_split(algorithm, subject.params, probe.episode, order)))
        each.append(compared(algorithm, subject.params, probe.episode))
    intervals: dict[str, Any] = {
        name: over(values) for name, values in zip(Compared._fields, zip(*each, strict=True), strict=True)
    }
    return Orders(
        order=algorithm.order,
        inner_steps=algorithm.inner.steps,
        is_exact=encoder_stays(algorithm, subject.params) and algorithm.axes.objective == "query_loss",
        first=_over(norms["first"]),
        second=_over(norms["second"]),
        **intervals,
    )


def compared(algorithm: Algorithm, params: Params, episode: Episode) -> Compared:
    """Compare both orders of one episode's meta-gradient."""
    splits = {order: episode_split(algorithm, params, episode, order) for order in ORDERS}
    norms = part_norms(splits["second"])
    pulled = {
        # A part that is mere rounding beside the largest says nothing.
        name: part if norms[name] else scaled(part, 0.0)
        for name, part in pulled_back(algorithm, params, episode, splits["second"]).items()
    }
    query, support = (together(_side(pulled, side)) for side in ("query", "support"))
    second = together(pulled)
    true = {order: _true(algorithm, params, episode, order) for order in ORDERS}
    heads = {order: _head(parts) for order, parts in splits.items()}
    return Compared(
        **{f"share_{name}": _along(pulled[name], second) for name in PARTS},
        size_support=ratio(_size(support), _size(second)),
        cosine_split=cosine(query, second),
        ratio_split=ratio(_size(query), _size(second)),
        cosine_true=cosine(true["first"], true["second"]),
        ratio_true=ratio(_size(true["first"]), _size(true["second"])),
        cosine_sides=cosine(query, support),
        cosine_head=cosine(heads["first"], heads["second"]),
        ratio_head=ratio(_size(heads["first"]), _size(heads["second"])),
        equation_8_error=_equation_8_error(splits["second"], norms["support_curvature"]),
    )


def of_order(algorithm: Algorithm, order: Order) -> Algorithm:
    """Return the same algorithm with a meta-gradient of this order."""
    return algorithm.with_order(order)


def _true(algorithm: Algorithm, params: Params, episode: Episode, order: Order) -> Params:
    gradient = of_order(algorithm, order).meta_gradient(params, episode).gradient
    return algorithm.learner.encoder_params(gradient)


def _head(parts: ContrastSplit) -> Params:
    bias = {} if parts.bias_gradient is None else {"bias": parts.bias_gradient}
    return {"weight": parts.head_gradient, **bias}


def _side(pulled: dict[str, Params], side: str) -> dict[str, Params]:
    return {name: part for name, part in pulled.items() if name.startswith(side)}


def _along(part: Params, whole: Params) -> float:
    return ratio(dot(part, whole).item(), dot(whole, whole).item()) if whole else float("nan")


def _size(params: Params) -> float:
    return norm(params).item() if params else 0.0


def _equation_8_error(parts: ContrastSplit, curvature: float) -> float:
    return ratio(curvature, torch.linalg.norm(parts.support_contrast + parts.support_curvature).item())


def _over(norms: list[dict[str, float]]) -> Norms:
    return Norms(**{name: over(each[name] for each in norms) for name in PARTS})
