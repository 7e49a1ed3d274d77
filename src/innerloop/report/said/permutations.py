"""What it matters which class sits in which slot, by what the head is before adaptation."""

from collections.abc import Mapping

from innerloop.analysis.permutations import Ensemble, HeadKind, Permutations
from innerloop.report.words import listed, share
from innerloop.statistics import Interval

TITLE = "Permutations: does it matter which class sits in which slot"
HEADS: Mapping[HeadKind, str] = {
    "zero": "its head starts at zero",
    "equal": "all rows of its head start alike",
    "own": "every row of its head starts from values of its own",
    "made": "its head is made of the support set",
}


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
    episodes = each.mean.observations
    where = "On this episode" if episodes == 1 else f"On these {episodes} episodes"
    tried = f"{'all ' if each.is_all else ''}{each.tried} assignments"
    sampled = "" if each.is_all else f" (sampled; there are more of {each.ways} classes)"
    if each.is_one:
        return (
            f"{where} it does not matter to the {label} which class sits in which slot: {HEADS[each.head]}, and "
            f"{tried}{sampled} name the same class for every query, {share(each.mean)} of them rightly."
        )
    return (
        f"{where} it matters to the {label} which class sits in which slot: {HEADS[each.head]}, and of {tried}"
        f"{sampled} of an episode the best is right on {share(each.best)} of the queries, the worst on "
        f"{share(each.worst)}, their mean on {share(each.mean)} (standard deviation {_points(each.spread)}). "
        f"Two assignments differ on {share(each.differ)} of the queries. {_ensembles(each)}"
    )


def _ensembles(each: Permutations) -> str:
    first = f"The mean of all logits is right on {share(each.logits.accuracy)}, {_gain(each.logits)} a single one"
    if each.probabilities is None:
        return f"{first}."
    return f"{first}, that of all probabilities on {share(each.probabilities.accuracy)}."


def _gain(ensemble: Ensemble) -> str:
    gain = ensemble.gain
    beside = "above" if round(100 * gain.mean, 1) >= 0 else "below"
    told = "" if gain.low > 0 or gain.high < 0 else " (not significant)"
    size = Interval(abs(gain.mean), gain.half_width, gain.observations)
    return f"{_points(size)}{told} {beside}"


def _by_head(results: Mapping[str, Permutations]) -> list[str]:
    """Say the best's distance from the worst for every kind of head, where there are several."""
    kinds = list(dict.fromkeys(each.head for each in results.values()))
    if len(kinds) < 2:
        return []
    parts = []
    for kind in kinds:
        runs = [f"{100 * each.breadth.mean:.1f} (the {label})" for label, each in results.items() if each.head == kind]
        parts.append(f"{listed(runs)} where {HEADS[kind].replace('its', 'the', 1)}")
    return [f"From worst to best, in points: {'; '.join(parts).replace('rows of its', 'rows of the')}."]


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
