"""Numbers and lists as words."""

from collections.abc import Collection, Mapping, Sequence

from innerloop.inner import LearnedRates, Start
from innerloop.statistics import Interval
from innerloop.training import Evaluation

# What stands in the place of the head at test, for a reader.
HEADS: Mapping[Start, str] = {
    "params": "the head as training left it",
    "zero": "a head of zeros",
    "prototypes": "the nearest class centre for a head",
    "ridge": "ridge regression on the support features for a head",
    "logistic": "logistic regression on the support features for a head",
    "attention": "attention over the support features for a head",
}


RATES: Mapping[LearnedRates, str] = {
    "none": "",
    "one": "a learned inner rate",
    "layer": "learned inner rates, one a layer",
    "layer_step": "learned inner rates, one a layer and step",
    "weight": "learned inner rates, one a weight",
}


def rate(lr: float, learned: LearnedRates = "none", by_name: bool = False) -> str:
    """Return `inner rate 0.4`, or which rates were learned, and from what value on; `by_name`: some had their own."""
    others = f"rates of their own by name, else {lr:g}" if by_name else f"{lr:g}"
    return f"{RATES[learned]} from {others}" if learned != "none" else f"inner rate{'s:' if by_name else ''} {others}"


def adapted(result: Evaluation) -> str:
    """Return how a learner adapted in a test: `5 steps, inner rate 0.1`."""
    steps = result.inner_steps
    if not steps:
        return "no inner step"
    return (
        f"{steps} step{'' if steps == 1 else 's'}, {rate(result.inner_lr, result.learned_rates, result.rates_by_name)}"
    )


def percent(interval: Interval) -> str:
    """Return `61.2 ± 1.1`, in percent; one observation has no interval."""
    if interval.observations == 1:
        return f"{100 * interval.mean:.1f} (one episode)"
    return f"{100 * interval.mean:.1f} ± {100 * interval.half_width:.1f}"


def share(interval: Interval) -> str:
    """Return `61.2 ± 1.1%`."""
    if interval.observations == 1:
        return f"{100 * interval.mean:.1f}% (one episode)"
    return f"{percent(interval)}%"


def number(interval: Interval, digits: int = 2) -> str:
    """Return `0.61 ± 0.02`; one observation has no interval."""
    if interval.observations == 1:
        return f"{interval.mean:.{digits}f} (one episode)"
    return f"{interval.mean:.{digits}f} ± {interval.half_width:.{digits}f}"


def brief(value: float, digits: int = 2) -> str:
    """Return a number to so many digits, and no exponent where its size is usual: `190`, `0.0013`."""
    return f"{float(f'{value:.{digits}g}'):g}"


def listed(parts: Sequence[str]) -> str:
    """Return `a, b and c`."""
    if not parts:
        return "none"
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def capital(text: str) -> str:
    """Return the text with its first letter in upper case, the rest untouched."""
    return text[:1].upper() + text[1:]


def runs_of(chosen: Collection[float], tried: Sequence[float]) -> str:
    """Return numbers as the runs of neighbours they make among those tried: `-10 and 0.01 to 0.4`."""
    runs: list[list[float]] = []
    for before, number in zip([None, *tried], tried, strict=False):
        if number in chosen:
            if before is not None and before in chosen:
                runs[-1].append(number)
            else:
                runs.append([number])
    return listed([f"{run[0]:g}" if len(run) == 1 else f"{run[0]:g} to {run[-1]:g}" for run in runs])
