"""What adaptation changes by layer, whether the change is needed, and how features gather by class."""

from collections.abc import Mapping

from innerloop.analysis.representation import LOGITS, Measure, Representation
from innerloop.report.words import listed, number, share
from innerloop.statistics import FEWEST, Equivalence, Interval, Verdict

TITLE = "Representation: what adaptation changes, and whether it is needed"
VERDICTS: Mapping[Verdict, str] = {
    "equivalent": "equivalent within",
    "better": "better by more than",
    "worse": "worse by more than",
    "undecided": "not decided within",
}
SPREAD = "fc"  # what sentences tell of how features gather


def say(results: Mapping[str, Representation]) -> str:
    """Say for each run what moves, what freezing and leaving out the head cost, and how tight classes are."""
    said = [" ".join([_moved(label, each), _needed(each), _gathered(each)]) for label, each in results.items()]
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
        "loop at test, and without a head by cosines to the support set before adaptation (NIL). Below, close up, "
        "the same less the accuracy with all adapting, in pairs: thick the 90% interval, which lies in the band where "
        f"both are equivalent within {points}, thin the 95% interval.",
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
    logits = each.layers[-1].cka
    if each.is_still:
        beside = "" if logits is None else f" (linear CKA of its logits {number(logits)})"
        return f"Adaptation leaves the features of the {label} as they are, to the last digit{beside}."
    body = [(layer.cka, layer.name) for layer in each.layers if layer.name != LOGITS and layer.cka is not None]
    if not body:
        return f"Adaptation changes the features of the {label}."
    least, name = min(body, key=lambda each: each[0].mean)
    beside = ""
    if logits is not None:
        beside = f", and its logits {'more' if logits.mean < least.mean else 'less'} ({number(logits)})"
    return f"Adaptation changes the features of the {label}, {name} most (linear CKA {number(least)}){beside}."


def _needed(each: Representation) -> str:
    """Say what is left with the body frozen and without a head."""
    few = f"; fewer than {FEWEST} episodes leave both open" if each.accuracy.observations < FEWEST else ""
    nil = f"by cosines alone (NIL) on {share(each.nil)} ({_verdict(each.nil_gap)})"
    if len(each.frozen) < 3 or each.is_still:
        return f"It is right on {share(each.accuracy)} of the queries, {nil}{few}."
    body = each.frozen[-2]
    return (
        f"With the body frozen at test it is right on {share(body.accuracy)} of the queries instead of "
        f"{share(each.accuracy)} ({_verdict(body.gap)}), {nil}{few}."
    )


def _verdict(gap: Equivalence) -> str:
    mean, low, high = (_signed(value) for value in (gap.tested.mean, gap.tested.low, gap.tested.high))
    ends = "" if gap.tested.observations == 1 else f" [{low}, {high}]"
    return f"{VERDICTS[gap.verdict]} {100 * gap.margin:g} points, {mean}{ends}"


def _signed(value: float) -> str:
    points = round(100 * value, 1)
    return f"{points:+.1f}" if points else "0.0"  # and no -0.0


def _gathered(each: Representation) -> str:
    """Say how tight classes are before adaptation and after."""
    spread = _spread(each)
    if spread.after is None or spread.before is None or spread.change is None:
        return "One query a class shows no spread within classes."
    after = f"{number(spread.after)} times that between them"
    if each.is_still:
        return f"The spread of its query features within classes is {after} (FC)."
    if spread.change.low <= 0 <= spread.change.high:
        return (
            f"The spread of its query features within classes is {number(spread.before)} times that between them "
            f"before adaptation and {number(spread.after)} after (FC; no significant change)."
        )
    way = "rises" if spread.change.mean > 0 else "falls"
    return f"The spread of its query features within classes {way} from {spread.before.mean:.2f} to {after} (FC)."


def _spread(each: Representation) -> Measure:
    return next(measure for measure in each.gathering if measure.name == SPREAD)


def _beside(results: Mapping[str, Representation]) -> list[str]:
    """Say whose adapted features are tightest, and whose least so."""
    found: dict[str, Interval] = {}
    for label, each in results.items():
        value = _spread(each).after
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
