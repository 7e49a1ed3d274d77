"""What the numbers say, as sentences: every figure, name and direction in them is read off the data."""

from collections.abc import Collection, Mapping, Sequence
from math import floor

from innerloop.figures.style import Curve
from innerloop.figures.training import label, measured
from innerloop.report.words import HEADS, capital, listed, percent
from innerloop.runs import OpenedRun
from innerloop.statistics import Interval, paired_difference
from innerloop.training import Evaluation, Measure


def written(interval: Interval, measure: Measure) -> str:
    """Return an accuracy in percent, and a loss as it is."""
    if measure == "accuracy":
        return percent(interval)
    return f"{interval.mean:.3f} ± {interval.half_width:.3f}"


def speed(runs: Sequence[OpenedRun]) -> str:
    """Say who reaches what when: the highest multiple of 5% that at least one run reaches, and the highest all do."""
    curves = {label(run): measured(run, "validation", "accuracy") for run in runs}
    curves = {name: curve for name, curve in curves.items() if curve[0]}
    if not curves:
        return ""
    peaks = {name: max(values) for name, (_, values) in curves.items()}
    marks = sorted({_five(min(peaks.values())), _five(max(peaks.values()))})
    return " ".join(_reaching(mark, curves) for mark in marks if mark > 0)


def _five(share: float) -> int:
    return 5 * floor(share * 20 + 1e-9)


def _reaching(mark: int, curves: Mapping[str, Curve]) -> str:
    first = {
        name: next((int(step) for step, value in zip(steps, values, strict=True) if 100 * value >= mark - 1e-6), None)
        for name, (steps, values) in curves.items()
    }
    order = sorted((step, name) for name, step in first.items() if step is not None)
    reached = [f"by the {name} after {step}" for step, name in order]
    reached[0] += " outer steps"
    missing = [f"the {name}" for name, step in first.items() if step is None]
    last = max(int(steps[-1]) for steps, _ in curves.values())
    text = f"{mark}% on meta-validation is first reached {listed(reached)}"
    return text + (f", and not by {listed(missing)} within {last}." if missing else ".")


def comparison(results: Mapping[str, Evaluation]) -> str:
    """Say who is ahead on one test, in pairs over the same episodes, with the head as trained and zeroed."""
    if len(results) < 2 or any(result.measure != "accuracy" for result in results.values()):
        return ""
    sentences = []
    for zero_head, how in _arms(results.values()):
        means = {name: result.interval(zero_head).mean for name, result in results.items()}
        best = max(means, key=lambda name: means[name])
        gaps = []
        for name, result in results.items():
            if name != best:
                arms = [
                    getattr(each, "zeroed" if zero_head else "as_trained")[:, -1] for each in (results[best], result)
                ]
                if arms[0].shape != arms[1].shape:
                    continue
                gap = paired_difference(*arms)
                gaps.append(f"{percent(gap)} points above the {name}" + ("" if gap.low > 0 else " (not significant)"))
        if gaps:
            sentences.append(f"{capital(how)}, the {best} has the highest mean: {listed(gaps)}.")
    return " ".join(sentences)


def _arms(results: Collection[Evaluation]) -> list[tuple[bool, str]]:
    heads = {result.head for result in results}
    if heads == {"params"}:
        return [(False, "with the head as trained"), (True, "with every head zeroed before adaptation")]
    return [(False, f"with {listed([HEADS[head] for head in HEADS if head in heads])}")]


def interference(runs: Sequence[OpenedRun]) -> str:
    """Say how large the interference is beside the contrastive part, at the first measurement and the last."""
    parts = []
    for run in runs:
        contrast = measured(run, "contrast", "query_contrast")[1]
        noise = measured(run, "contrast", "query_interference")[1]
        if not contrast:
            continue
        if max(noise) == 0:
            parts.append(f"exactly 0 throughout for the {label(run)}")
        else:
            parts.append(
                f"{_ratio(noise[0], contrast[0])} times as large before the first step and "
                f"{_ratio(noise[-1], contrast[-1])} times after the last for the {label(run)}"
            )
    return f"Beside the contrastive part, the interference is {'; '.join(parts)}." if parts else ""


def _ratio(part: float, whole: float) -> str:
    return f"{part / whole:.2f}" if whole else "infinitely many"


def separation(runs: Sequence[OpenedRun]) -> str:
    """Say how the gap between same-class and different-class cosines moved."""
    parts = []
    for run in runs:
        same, different = (measured(run, "cosine", what)[1] for what in ("same_class", "different_class"))
        if same:
            gap, end = same[0] - different[0], same[-1] - different[-1]
            parts.append(f"the {label(run)}'s {_moved(gap, end, 2, 'grows', 'shrinks')}")
    return f"The gap between both cosines: {'; '.join(parts)}." if parts else ""


def movement(runs: Sequence[OpenedRun], kind: str, what: str, digits: int = 2) -> str:
    """Say which way a measurement moved for each run, between its first value and its last."""
    parts = []
    for run in runs:
        values = measured(run, kind, what)[1]
        if values:
            parts.append(f"the {label(run)}'s {_moved(values[0], values[-1], digits, 'rises', 'falls')}")
    return f"{capital('; '.join(parts))}." if parts else ""


def _moved(first: float, last: float, digits: int, up: str, down: str) -> str:
    """Say how a number moved, as far as the digits shown can tell."""
    start, end = (f"{value:.{digits}f}" for value in (first, last))
    return f"stays at {end}" if start == end else f"{up if last > first else down} from {start} to {end}"
