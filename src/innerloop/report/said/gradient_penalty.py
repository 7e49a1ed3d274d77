"""What the inner rate rewards or penalises, up to which rate that is all it does, and what it explains."""

from collections.abc import Callable, Mapping
from math import floor, log10

from innerloop.analysis.gradient_penalty import AtRate, GradientPenalty, LossAt
from innerloop.figures.gradient_penalty import of_order
from innerloop.report.words import listed, number
from innerloop.statistics import Interval

TITLE = "The penalty behind the inner rate"
# How far, of the true mean change, terms may be off it and still explain it.
NEAR = 0.2


def say(results: Mapping[str, GradientPenalty]) -> str:
    """Say how large the penalty is and of what, how far it reaches, and what it makes of loss and meta-gradient."""
    return "\n".join(
        part
        for part in (
            _product(results),
            _contrast(results),
            _reach(results),
            _loss(results),
            _steps(results),
            _gradient(results),
        )
        if part
    )


def captions(results: Mapping[str, GradientPenalty]) -> dict[str, str]:
    """Return a caption for every figure."""
    said = {
        "change": "True change of the query loss by one inner step over the inner rate, with 95% intervals over "
        "episodes, beside what the first power of the rate makes of it (penalty: a level line) and the first two. "
        "Terms leave the picture where they leave the range of what is true."
        + _crosses(results, lambda each: each.one_step),
        "meta_gradient": "Cosine to the true meta-gradient of one inner step by inner rate, of the gradient of the "
        f"query loss before adaptation, without and with the penalty's own gradient; {_orders(results)}."
        + _encoders(results),
        "slopes": "Inner product of the slopes on support and query: the two-sample estimate of the squared norm of "
        "the task's mean gradient, unbiased where both sets are drawn alike. Its parts by head and encoder, and the "
        f"head's as a contrastive sum. The squared norms themselves, with their noise in them, are "
        f"{_squares(results)}.",
    }
    if any(each.inner_steps > 1 for each in results.values()):
        said["steps"] = (
            f"The same after the inner steps of training: {_several(results)}. The penalty is that of one step, times "
            "the number of steps." + _crosses(results, lambda each: each.as_trained)
        )
    return said


def reach(result: GradientPenalty, curved: bool = False) -> tuple[float | None, float | None]:
    """Return the lowest and the highest rate up to which the terms make the true change of the loss by one step.

    Args:
        result: Of one run.
        curved: Whether the curvature is counted in.

    Returns:
        The farthest rate below 0 and above 0 such that at it, and at all that lie nearer to 0, the terms' mean is
        within 20% of the true mean change; None where the nearest rate fails.
    """
    ends: list[float | None] = []
    for side in (-1, 1):
        end = None
        for each in sorted(result.rates, key=lambda one: abs(one.rate)):
            if each.rate * side > 0:
                if not _explains(each.one_step, curved):
                    break
                end = each.rate
        ends.append(end)
    return ends[0], ends[1]


def _explains(loss: LossAt, curved: bool) -> bool:
    if loss.change is None or loss.penalty is None or loss.curvature is None:
        return False
    terms = loss.penalty.mean + (loss.curvature.mean if curved else 0.0)
    return abs(terms - loss.change.mean) <= NEAR * abs(loss.change.mean)


def _product(results: Mapping[str, GradientPenalty]) -> str:
    parts = []
    for label, each in results.items():
        told = "" if each.product.low > 0 or each.product.high < 0 else ", not told from 0"
        sides = [
            f"{_number(part)} by the {side}"
            for side, part in (("head", each.product_head), ("encoder", each.product_encoder))
            if part is not None
        ]
        within = f" ({' and '.join(sides)})" if len(sides) > 1 else ""
        parts.append(f"{_number(each.product)} for the {label}{told if each.product.observations > 1 else ''}{within}")
    return (
        "To first order a positive inner rate rewards the inner product of the slopes on support and query, and a "
        f"negative one penalises it: {'; '.join(parts)}."
    )


def _contrast(results: Mapping[str, GradientPenalty]) -> str:
    parts = [
        f"{each.contrast_error:.0e} for the {label}"
        for label, each in results.items()
        if each.contrast is not None and each.contrast_error is not None
    ]
    if not parts:
        return ""
    return (
        "The head's part is a contrastive sum over pairs of a query and a support example, up to a largest deviation, "
        f"relative to the slopes' norms, of {listed(parts)}."
    )


def _reach(results: Mapping[str, GradientPenalty]) -> str:
    parts = [
        f"for the {label} {_span(reach(each))} by the penalty alone and {_span(reach(each, curved=True))} with the "
        "curvature"
        for label, each in results.items()
    ]
    return (
        "Of the rates tried, those up to which the terms' mean is within 20% of the true mean change of the loss by "
        f"one inner step: {'; '.join(parts)}."
    )


def _span(ends: tuple[float | None, float | None]) -> str:
    low, high = ends
    return "none" if low is None and high is None else f"{low or 0:g} to {high or 0:g}"


def _loss(results: Mapping[str, GradientPenalty]) -> str:
    parts = [f"{_terms(own.one_step)} for the {label} at {own.rate:g}" for label, own in _owns(results).items()]
    return f"One inner step at the rate of training changes the query loss by {'; '.join(parts)}." if parts else ""


def _steps(results: Mapping[str, GradientPenalty]) -> str:
    parts = [
        f"{_terms(own.as_trained)} for the {label} with {results[label].inner_steps}"
        for label, own in _owns(results).items()
        if own.as_trained is not None
    ]
    return f"All inner steps of training change it by {'; '.join(parts)}." if parts else ""


def _terms(loss: LossAt) -> str:
    if loss.change is None:
        return f"a number that is not finite ({loss.diverged} episode{'' if loss.diverged == 1 else 's'} diverged)"
    named = (("penalty", loss.penalty), ("curvature", loss.curvature), ("the rest", loss.remainder))
    return f"{_number(loss.change)} ({', '.join(f'{name} {_number(part)}' for name, part in named if part)})"


def _gradient(results: Mapping[str, GradientPenalty]) -> str:
    parts = []
    for label, own in _owns(results).items():
        at = of_order(results[label], own)
        if at.cosine_penalised is None:
            continue
        alone = "undefined, as that gradient is 0," if at.cosine_query is None else number(at.cosine_query)
        off = "" if at.size_remainder is None else f", and what is left over {_number(at.size_remainder)} times as long"
        parts.append(
            f"for the {label} it is {alone} without the penalty and {number(at.cosine_penalised)} with it{off}"
        )
    if not parts:
        return ""
    return (
        "The cosine between the gradient of the query loss before adaptation and the true meta-gradient of one step at "
        f"the rate of training: {'; '.join(parts)}."
    )


def _owns(results: Mapping[str, GradientPenalty]) -> dict[str, AtRate]:
    """Return what was found at each run's own rate, where it has one that is not 0."""
    return {label: at for label, each in results.items() for at in each.rates if at.rate == each.inner_lr}


def _crosses(results: Mapping[str, GradientPenalty], choose: Callable[[AtRate], LossAt | None]) -> str:
    losses = (choose(at) for each in results.values() for at in each.rates)
    return " A cross marks a rate at which an episode diverges." if any(one and one.diverged for one in losses) else ""


def _orders(results: Mapping[str, GradientPenalty]) -> str:
    orders = {each.order for each in results.values()}
    if len(orders) == 1:
        return f"of {orders.pop()} order, as trained"
    return "of the order of training: " + listed([f"{each.order} for the {label}" for label, each in results.items()])


def _encoders(results: Mapping[str, GradientPenalty]) -> str:
    names = [f"the {label}" for label, each in results.items() if each.of_encoder]
    if not names:
        return ""
    return f" For {listed(names)} by the encoder alone, since the head is put back after every outer step."


def _squares(results: Mapping[str, GradientPenalty]) -> str:
    return listed(
        [
            f"{_number(each.support_square)} on support and {_number(each.query_square)} on query for the {label}"
            for label, each in results.items()
        ]
    )


def _several(results: Mapping[str, GradientPenalty]) -> str:
    return listed([f"{each.inner_steps} for the {label}" for label, each in results.items() if each.inner_steps > 1])


def _number(interval: Interval) -> str:
    """Return a number of any size, to two digits of its interval."""
    width = interval.half_width if interval.observations > 1 else 0.0
    size = width or abs(interval.mean)
    if not size or size >= 1e6:
        return f"{interval.mean:.3g}" + (f" ± {width:.2g}" if size else "")
    return number(interval, min(9, max(0, 1 - floor(log10(size)))))
