"""What it matters which class sits in which slot, by what the head is before adaptation."""

from collections.abc import Mapping

from innerloop.analysis.permutations import HeadKind, Permutations
from innerloop.report.words import listed, share
from innerloop.statistics import Interval

TITLE = "Permutations: does it matter which class sits in which slot"
HEADS: Mapping[HeadKind, str] = {
    "zero": "whose head starts at zero",
    "equal": "whose head starts with the same row for every slot",
    "own": "whose head has a row of its own for every slot",
    "made": "whose head is made of the support set",
}
LITTLE = 0.001  # of the queries


def say(results: Mapping[str, Permutations]) -> str:
    """Say for each run whether assignments differ, by how much, and what their ensemble gains; then by kind of head."""
    said = [_one(label, each) for label, each in results.items()]
    return "\n".join([*said, *_by_head(results)])


def captions(results: Mapping[str, Permutations]) -> dict[str, str]:
    """Return a caption for every figure."""
    tried = _tried(results)
    return {
        "accuracy": f"Query accuracy over {tried} of an episode's classes to slots: of the worst, of the mean "
        "and of the best, and of the ensemble by mean logits; means over episodes with 95% intervals. Best and worst "
        "are picked on the queries themselves, which parts them further than new queries would.",
        "sorted": "Query accuracy from the worst assignment of an episode to its best, mean over episodes with 95% "
        "intervals. A flat line: it does not matter which class sits in which slot.",
    }


def _one(label: str, each: Permutations) -> str:
    count = each.mean.observations
    where = f"{'all ' if each.is_all else ''}{each.tried} assignments{'' if each.is_all else ' (sampled)'} of " + (
        "one episode" if count == 1 else f"{count} episodes"
    )
    whose = f"to the {label}, {HEADS[each.head]}"
    if each.is_one:
        return (
            f"Which class sits in which slot {'did' if each.head == 'own' else 'does'} not matter {whose}: {where} "
            f"name the same class for every query, {share(each.mean)} of them rightly."
        )
    matters = "hardly matters" if each.differ.mean < LITTLE else "matters"
    return (
        f"Which class sits in which slot {matters} {whose}: over {where} accuracy is {share(each.mean)} on average, "
        f"{share(each.best)} at best and {share(each.worst)} at worst (standard deviation {_points(each.spread)}). "
        f"Two assignments name different classes for {share(each.differ)} of the queries. {_together(each)}"
    )


def _together(each: Permutations) -> str:
    gain = each.logits.gain
    told = "" if gain.low > 0 or gain.high < 0 else ", not significant"
    size = Interval(abs(gain.mean), gain.half_width, gain.observations)
    beside = f"{_points(size)} {'above' if gain.mean >= 0 else 'below'} a single one{told}"
    others = f", and {share(each.probabilities.accuracy)} by mean probabilities" if each.probabilities else ""
    return f"Together they are right on {share(each.logits.accuracy)} by mean logits ({beside}){others}."


def _by_head(results: Mapping[str, Permutations]) -> list[str]:
    """Say the best's distance from the worst for every kind of head, where there are several."""
    kinds = list(dict.fromkeys(each.head for each in results.values()))
    if len(kinds) < 2:
        return []
    parts = []
    for kind in kinds:
        runs = [f"{100 * each.breadth.mean:.1f} (the {label})" for label, each in results.items() if each.head == kind]
        parts.append(f"{listed(runs)} for {'one' if len(runs) == 1 else 'those'} {HEADS[kind]}")
    return [f"From worst to best, in points: {'; '.join(parts)}."]


def _points(value: Interval) -> str:
    if value.observations == 1:
        return f"{100 * value.mean:.1f} points"
    return f"{100 * value.mean:.1f} ± {100 * value.half_width:.1f} points"


def _tried(results: Mapping[str, Permutations]) -> str:
    kinds = {(each.is_all, each.tried) for each in results.values()}
    if len(kinds) > 1:
        return "assignments"
    is_all, tried = kinds.pop()
    return f"{'all ' if is_all else ''}{tried} assignments{'' if is_all else ', sampled,'}"
