"""What adaptation changes by layer, whether the change is needed, and how features gather by class."""

from collections.abc import Mapping

from innerloop.analysis.representation import LOGITS, Frozen, Layer, Measure, Representation
from innerloop.report.words import listed, number, share
from innerloop.statistics import FEWEST, Equivalence, Interval, Verdict

TITLE = "Representation: what adaptation changes, and whether it is needed"
MEASURES = {
    "fc": "spread within classes over that between (FC)",
    "hv": "hyperplane variation (HV)",
    "cdnv": "class-distance-normalised variance",
}
VERDICTS: Mapping[Verdict, str] = {
    "equivalent": "equivalent within",
    "better": "better by more than",
    "worse": "worse by more than",
    "undecided": "undecided at",
}
LEAST = "fc"  # the measure that runs are ordered by


def say(results: Mapping[str, Representation]) -> str:
    """Say for each run what moves, what freezing and leaving out the head cost, and how tight classes are."""
    said = []
    for label, each in results.items():
        said.append(" ".join([_moved(label, each), _needed(each), _gathered(each)]))
    return "\n".join([*said, *_beside(results)])


def captions(results: Mapping[str, Representation]) -> dict[str, str]:
    """Return a caption for every figure."""
    first = next(iter(results.values()))
    points = f"{100 * first.margin:g} points"
    return {
        "similarity": "Likeness of a layer's activations on the queries before adaptation and after, with 95% "
        f"intervals over episodes: 1 where nothing changes. {_compared(results)} Dotted: the same with the examples of "
        f"one side shuffled, which is what unrelated activations of this size show.{_missing(results)}",
        "freezing": "Query accuracy where the first blocks, the whole body, or everything stays as it is in the inner "
        "loop at test, and without a head by cosines to the support set before adaptation (NIL). Below, the same less "
        "the accuracy with all adapting, in pairs: thick the 90% interval, which lies in the band where both are "
        f"equivalent within {points}, thin the 95% interval.",
        "gathering": "How query features gather by class, before adaptation and after, with 95% intervals over "
        "episodes: squared distances within classes over those between their means (FC), how much a line between two "
        "classes turns with its ends (HV), variance over squared distance of two classes (CDNV), lower being tighter "
        "in all three; and the effective rank of the features.",
        "collapse": "How near query features are to neural collapse, before adaptation and after, with 95% intervals "
        f"over episodes of {first.queries} queries: NC1 and both NC2 are 0 there, NC3 (cosine of the head's centred "
        "rows and the centred class means) and NC4 (share of queries that the head puts with the nearest class mean of "
        "the queries) are 1.",
    }


def _moved(label: str, each: Representation) -> str:
    """Say how much the body and the logits change."""
    if not each.inner_steps:
        return f"Nothing adapts in the {label} at test: every layer is after what it was before."
    body = [layer for layer in each.layers if layer.name != LOGITS]
    logits = f"linear CKA of the logits {_likeness(each.layers[-1])}"
    if each.is_still:
        return f"Adaptation leaves every feature of the {label} as it is; {logits}."
    changed = min((layer for layer in body if layer.cka is not None), key=_mean_cka, default=None)
    if changed is None:
        return f"Adaptation changes the features of the {label}; {logits}."
    return (
        f"Adaptation changes {changed.name} of the {label} most of all blocks, to a linear CKA of "
        f"{_likeness(changed)}; {logits}."
    )


def _mean_cka(layer: Layer) -> float:
    return 1.0 if layer.cka is None else layer.cka.mean


def _likeness(layer: Layer) -> str:
    if layer.cka is None:
        return "is not defined, as they were the same for all queries"
    return number(layer.cka)


def _needed(each: Representation) -> str:
    """Say what is left with the body frozen and without a head."""
    nil = f"NIL is right on {share(each.nil)} ({_verdict(each.nil_gap)})"
    few = f"; fewer than {FEWEST} episodes leave every verdict open" if each.accuracy.observations < FEWEST else ""
    if not each.frozen:
        return f"It is right on {share(each.accuracy)} of the queries; {nil}{few}."
    parts = [f"With all adapting it is right on {share(each.accuracy)} of the queries"]
    if len(each.frozen) > 2:
        parts.append(f"with the body frozen on {_result(each.frozen[-2])}")
    parts.append(f"with everything frozen on {share(each.frozen[-1].accuracy)}")
    return f"{', '.join(parts)}; {nil}{few}."


def _result(row: Frozen) -> str:
    return f"{share(row.accuracy)} ({_verdict(row.gap)})"


def _verdict(gap: Equivalence) -> str:
    mean = round(100 * gap.tested.mean, 1) + 0.0  # no -0.0
    ends = "" if gap.tested.observations == 1 else f" [{100 * gap.tested.low:+.1f}, {100 * gap.tested.high:+.1f}]"
    return f"{VERDICTS[gap.verdict]} {100 * gap.margin:g} points, {mean:+.1f}{ends}"


def _gathered(each: Representation) -> str:
    """Say how tight classes are before adaptation and after, as far as it is defined."""
    measures = {measure.name: measure for measure in each.gathering}
    parts = [
        f"{words} {_change(measures[name], each.is_still)}" for name, words in MEASURES.items() if measures[name].after
    ]
    if not parts:
        return "Classes of a single query have no spread to tell of."
    return f"Of its query features, {'; '.join(parts)}."


def _change(measure: Measure, is_still: bool) -> str:
    if measure.after is None:
        return ""
    if is_still or measure.before is None:
        return f"is {number(measure.after)}"
    start, end = f"{measure.before.mean:.2f}", number(measure.after)
    way = "goes from"
    if measure.change is not None and (measure.change.low > 0 or measure.change.high < 0):
        way = "rises from" if measure.change.mean > 0 else "falls from"
    return f"{way} {start} to {end}{' (not significant)' if way == 'goes from' else ''}"


def _beside(results: Mapping[str, Representation]) -> list[str]:
    """Say whose adapted features are tightest, and whose least so."""
    found: dict[str, Interval] = {}
    for label, each in results.items():
        value = next(measure.after for measure in each.gathering if measure.name == LEAST)
        if value is not None:
            found[label] = value
    if len(found) < 2:
        return []
    order = sorted(found, key=lambda label: found[label].mean)
    parts = [f"the {label} ({number(found[label])})" for label in order]
    return [f"After adaptation, classes lie tightest, by FC, in this order: {listed(parts)}."]


def _compared(results: Mapping[str, Representation]) -> str:
    """Say what CCA compares."""
    rows = [layer for each in results.values() for layer in each.layers if layer.directions]
    if not rows:
        return "CCA has too few examples for a single direction."
    low, high = min(layer.directions for layer in rows), max(layer.directions for layer in rows)
    said = (
        f"CCA compares the principal directions that hold 99% of the variance, but no more than one for four examples: "
        f"{_range(low, high, '.0f')} of them, with at least {100 * min(layer.variance for layer in rows):.0f}% of it."
    )
    places = list(dict.fromkeys(layer.name for layer in rows if layer.is_by_place))
    return f"{said} In {listed(places)} it takes every place of an image for an example." if places else said


def _range(low: float, high: float, how: str) -> str:
    first, last = f"{low:{how}}", f"{high:{how}}"
    return first if first == last else f"{first} to {last}"


def _missing(results: Mapping[str, Representation]) -> str:
    """Say of whom a layer has no CKA: one that says the same of all queries before adaptation or after."""
    lost = [f"{layer.name} of the {label}" for label, each in results.items() for layer in each.layers if not layer.cka]
    return f" Not defined for {listed(lost)}: the same for all queries before adaptation or after." if lost else ""
