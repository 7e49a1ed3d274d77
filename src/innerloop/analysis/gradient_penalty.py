"""What does the inner rate do to MAML's objective, and how much of that is a penalty on the task's gradient?

Over rates of both signs and over episodes: the true change of the query loss by adaptation beside the terms of its
expansion in the rate, and how far these terms explain the true meta-gradient. To first order a positive rate rewards a
large product of the slopes on support and query, a negative one penalises it; the head's part of that product is a
contrastive sum over pairs of examples.

Source: nichol2018, section 5; THEORY F1 to F8. The comparison over rates, and the contrastive sum, are ours.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

import torch
from torch import Tensor

from innerloop.algorithms import Algorithm
from innerloop.algorithms.heads import tied_gradient
from innerloop.analysis.contrast import Order
from innerloop.analysis.parts import cosine, ratio
from innerloop.analysis.subject import Subject
from innerloop.analysis.taylor import Expansion, LossTerms, contrastive_product, expanded
from innerloop.analysis.values import over
from innerloop.data.episode import Episode
from innerloop.engine.choice import cores
from innerloop.engine.workers import Workers
from innerloop.errors import ConfigError, DataError, DivergedError
from innerloop.params import add, dot, norm, select
from innerloop.shapes import Params
from innerloop.statistics import Interval, mean_interval

SIZES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
# What is larger is no number for the learners themselves, which train in float32.
LARGEST = torch.finfo(torch.float32).max


@dataclass(frozen=True)
class GradientPenaltySettings:
    """Which inner rates are tried.

    Attributes:
        rates: Of any sign, none of them 0; that of the run's training is added where it is not among them.
    """

    rates: tuple[float, ...] = (*(-size for size in reversed(SIZES)), *SIZES)

    def __post_init__(self) -> None:
        wrong = [rate for rate in self.rates if not rate or not math.isfinite(rate)]
        if wrong or not self.rates:
            raise ConfigError(
                f"expected rates other than 0 in gradient_penalty.rates, got {f'{wrong[0]:g}' if wrong else 'none'}; "
                "without a step there is nothing to expand, so give finite rates of either sign"
            )
        if twice := [rate for index, rate in enumerate(self.rates) if rate in self.rates[:index]]:
            raise ConfigError(f"expected every rate once in gradient_penalty.rates, got {twice[0]:g} twice; leave one")


@dataclass(frozen=True)
class LossAt:
    """How the query loss changes by adaptation at one rate; None where a number is not finite in some episode.

    Attributes:
        diverged: In how many episodes the adapted loss is not finite.
        change: Query loss after adaptation minus before, in the loss's units.
        penalty: What the first power of the rate makes of it.
        curvature: What the second makes.
        remainder: What both leave over.
    """

    diverged: int
    change: Interval | None
    penalty: Interval | None
    curvature: Interval | None
    remainder: Interval | None


class Explained(NamedTuple):
    """How far the terms make the true meta-gradient of one inner step, for one episode; NaN where undefined.

    Attributes:
        size_query: Norm of the query loss's gradient before adaptation / norm of the true meta-gradient.
        size_penalty: Norm of the part of the first power of the rate / the same.
        size_remainder: Norm of what both leave over / the same: the relative error of the expansion.
        cosine_query: Between the query loss's gradient before adaptation and the true meta-gradient.
        cosine_penalised: The same with the part of the first power added.
    """

    size_query: float
    size_penalty: float
    size_remainder: float
    cosine_query: float
    cosine_penalised: float


WIDTHS = (len(LossTerms._fields), len(LossTerms._fields), len(Explained._fields), len(Explained._fields))


@dataclass(frozen=True)
class GradientAt:
    """The same over episodes; None where it is undefined, or the meta-gradient of some episode is not finite."""

    size_query: Interval | None
    size_penalty: Interval | None
    size_remainder: Interval | None
    cosine_query: Interval | None
    cosine_penalised: Interval | None


@dataclass(frozen=True)
class AtRate:
    """One rate.

    Attributes:
        rate: Of the inner loop.
        one_step: The query loss after one inner step.
        as_trained: After as many as in training; None where that is one, or none.
        second: The second-order meta-gradient of one inner step.
        first: The first-order one.
    """

    rate: float
    one_step: LossAt
    as_trained: LossAt | None
    second: GradientAt
    first: GradientAt


@dataclass(frozen=True)
class GradientPenalty:
    """The expansion over rates and episodes; slopes are by the parameters that adapt, losses those of training.

    Attributes:
        order: Of the meta-gradient, as trained.
        loss: Of both loops, as trained.
        inner_lr: The rate in training.
        inner_steps: Inner steps in training.
        adapts: What adapts.
        of_encoder: Whether meta-gradients are compared by the encoder alone, since the head is put back after every
            outer step and nobody follows its gradient.
        query_loss: Before adaptation.
        product: Inner product of the slopes on support and query: an unbiased estimate of the squared norm of the
            task's mean gradient, where support and query are drawn alike.
        product_head: Its part by the head's parameters; None where they do not adapt.
        product_encoder: Its part by the others; None where they do not adapt.
        contrast: The head's part as a sum over pairs of a query and a support example; None where the head is not
            linear.
        contrast_error: The largest distance in any episode between both, relative to the head's slopes' norms.
        cosine: Between both slopes.
        support_square: Squared norm of the slope on the support set; with the noise of its examples in it, it
            overestimates the task's.
        query_square: The same for the query set.
        rates: What happens at each, from the lowest on.
    """

    order: str
    loss: str
    inner_lr: float
    inner_steps: int
    adapts: str
    of_encoder: bool
    query_loss: Interval
    product: Interval
    product_head: Interval | None
    product_encoder: Interval | None
    contrast: Interval | None
    contrast_error: float | None
    cosine: Interval | None
    support_square: Interval
    query_square: Interval
    rates: tuple[AtRate, ...]


class Slopes(NamedTuple):
    """One episode's slopes compared; NaN where undefined."""

    query_loss: float
    product: float
    product_head: float
    product_encoder: float
    contrast: float
    contrast_error: float
    cosine: float
    support_square: float
    query_square: float


def measure(subject: Subject, settings: GradientPenaltySettings | None = None) -> GradientPenalty:
    """Expand a learner's objective in the inner rate, with the inner loop and the loss it was trained by.

    Raises:
        ConfigError: The inner loop is not plain gradient descent, or the loss is the user's own.
        DataError: There is no episode to expand on.
        DivergedError: Losses or slopes are not finite before adaptation.
    """
    trained = subject.trained
    trained.require_plain("an expansion in the inner rate", of_head=False)
    # With dropout off: the terms are those of one function.
    algorithm = replace(trained, learner=trained.learner.tested())
    rates = sorted({*(settings or GradientPenaltySettings()).rates, *([trained.inner.lr] if trained.inner.lr else [])})
    slopes, at_rates = _table(algorithm, subject, rates)
    columns = dict(zip(Slopes._fields, slopes.T.tolist(), strict=True))
    errors = [each for each in columns.pop("contrast_error") if not math.isnan(each)]
    intervals: dict[str, Any] = {name: over(values) for name, values in columns.items()}
    return GradientPenalty(
        order=trained.order,
        loss=trained.inner.loss_name,
        inner_lr=float(trained.inner.lr),
        inner_steps=trained.inner.steps,
        adapts=trained.adapts,
        of_encoder=_is_put_back(trained),
        contrast_error=max(errors) if errors else None,
        rates=tuple(_at_rate(rate, each, trained.inner.steps) for rate, each in zip(rates, at_rates, strict=True)),
        **intervals,
    )


def _table(algorithm: Algorithm, subject: Subject, rates: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Return the numbers of `Slopes` [episode number], and those of `at_rate` [rate episode number]."""
    workers, rows = Workers(algorithm, cores()), list[Tensor]()
    for probes in subject.some_at_a_time():
        rows.append(workers.each(partial(_numbers, rates), subject.params, tuple(probe.episode for probe in probes)))
        finite = rows[-1][:, Slopes._fields.index("product")].isfinite()
        if not bool(finite.all()):
            raise DivergedError(
                "expected finite losses and gradients to expand, got others in episode "
                f"{probes[finite.tolist().index(False)].number}; explain the run's other checkpoint, or train it again "
                "with a smaller rate"
            )
    if not rows:
        raise DataError("expected at least one episode to expand on, got none; ask for more episodes")
    table, first = torch.cat(rows), len(Slopes._fields)
    return table[:, :first], table[:, first:].reshape(len(table), len(rates), sum(WIDTHS)).transpose(0, 1)


def _numbers(rates: Sequence[float], algorithm: Algorithm, params: Params, episode: Episode) -> Tensor:
    expansion = expanded(algorithm, params, episode)
    numbers = [*compared(expansion), *(number for rate in rates for number in at_rate(expansion, rate))]
    return torch.tensor(numbers, dtype=torch.float64)


def compared(expansion: Expansion) -> Slopes:
    """Compare one episode's slopes on support and query, by the parameters that adapt."""
    algorithm, head_names = expansion.algorithm, expansion.algorithm.learner.head_names
    support = expansion.support_slope
    query = select(expansion.query_slope, algorithm.names)
    heads = [select(each, head_names) for each in (support, query)]
    encoders = [select(each, each.keys() - head_names) for each in (support, query)]
    head, contrast = _dot(*heads), contrastive_product(algorithm, expansion.params, expansion.episode)
    contrast = math.nan if contrast is None else contrast
    scale = math.sqrt(_dot(heads[0], heads[0]) * _dot(heads[1], heads[1]))
    return Slopes(
        query_loss=expansion.loss,
        product=expansion.product,
        product_head=head,
        product_encoder=_dot(*encoders),
        contrast=contrast,
        contrast_error=abs(contrast - head) / scale if scale else abs(contrast - head),
        cosine=cosine(support, query),
        support_square=_dot(support, support),
        query_square=_dot(query, query),
    )


def at_rate(expansion: Expansion, rate: float) -> tuple[float, ...]:
    """Return one episode's terms at one rate.

    Returns:
        `LossTerms` of one inner step, those of the inner steps of training, `Explained` of the second order, and of the
        first.
    """
    steps = expansion.algorithm.inner.steps
    loss, gradients = expansion.one_step(rate)
    later = expansion.loss_after(rate, steps) if steps > 1 else loss
    return (
        *expansion.terms(rate, loss),
        *expansion.terms(rate, later, steps),
        *explained(expansion, rate, gradients["second"], "second"),
        *explained(expansion, rate, gradients["first"], "first"),
    )


def explained(expansion: Expansion, rate: float, true: Params, order: Order) -> Explained:
    """Return how far the terms of the expansion make the true meta-gradient."""
    query, penalty, true = (
        _followed(expansion.algorithm, each) for each in (expansion.query_slope, expansion.penalty(rate, order), true)
    )
    if not true or not bool(torch.isfinite(norm(true))):
        return Explained(*[math.nan if not true else math.inf] * len(Explained._fields))
    both, size = add(query, penalty), norm(true).item()
    return Explained(
        size_query=ratio(norm(query).item(), size),
        size_penalty=ratio(norm(penalty).item(), size),
        size_remainder=ratio(norm(add(true, both, -1.0)).item(), size),
        cosine_query=cosine(query, true),
        cosine_penalised=cosine(both, true),
    )


def _followed(algorithm: Algorithm, gradient: Params) -> Params:
    """Return what the outer loop follows of a gradient."""
    if algorithm.axes.head == "shared":
        gradient = tied_gradient(algorithm.learner, gradient)
    return algorithm.learner.encoder_params(gradient) if _is_put_back(algorithm) else gradient


def _is_put_back(algorithm: Algorithm) -> bool:
    return algorithm.axes.head in ("zeroing", "first") and algorithm.axes.head_every == 1


def _at_rate(rate: float, numbers: Tensor, steps: int) -> AtRate:
    """Return intervals over what `at_rate` found [episode number]."""
    columns = iter(numbers.T.tolist())
    one_step, as_trained, second, first = (list(islice(columns, width)) for width in WIDTHS)
    return AtRate(
        rate,
        _loss_at(one_step),
        _loss_at(as_trained) if steps > 1 else None,
        _gradient_at(second),
        _gradient_at(first),
    )


def _loss_at(columns: Sequence[Sequence[float]]) -> LossAt:
    remainders = [LossTerms(*terms).remainder for terms in zip(*columns, strict=True)]
    change, penalty, curvature = map(_interval, columns)
    diverged = sum(not _is_number(each) for each in columns[0])
    return LossAt(diverged, change, penalty, curvature, _interval(remainders))


def _gradient_at(columns: Sequence[Sequence[float]]) -> GradientAt:
    if any(abs(value) > LARGEST for values in columns for value in values):
        return GradientAt(*[None] * len(columns))
    return GradientAt(*map(over, columns))


def _interval(values: Sequence[float]) -> Interval | None:
    return mean_interval(values) if all(map(_is_number, values)) else None


def _is_number(value: float) -> bool:
    return abs(value) <= LARGEST


def _dot(left: Params, right: Params) -> float:
    return dot(left, right).item() if left else math.nan
