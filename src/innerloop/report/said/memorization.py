"""What the inner loop stores in the head, and what becomes of it when the slots are permuted."""

from collections.abc import Mapping

from innerloop.analysis.centroids import NEARNESS
from innerloop.analysis.memorization import Memorization, RowChanges
from innerloop.report.words import capital, listed, number, share

TITLE = "The inner loop: what the head memorises"
NAMES = {"inner_product": "inner product", "euclidean": "Euclidean distance", "cosine": "cosine"}


def say(results: Mapping[str, Memorization]) -> str:
    """Say what the head's rows moved along, whether that was free, and what it does to predictions."""
    said = [_directions(results), _span(results), _centroids(results)]
    return "\n".join([*(each for each in said if each), *(_slots(label, each) for label, each in results.items())])


def captions(results: Mapping[str, Memorization]) -> dict[str, str]:
    """Return a caption for every figure."""
    losses = {each.loss for each in results.values()}
    exact = (
        " A zeroed head has exactly 1 on the right after one step at a positive rate, on a balanced support of as many "
        "classes as the head has rows."
    )
    moving = [
        f"from {number(each.before[-1].own_mean)} to {number(each.moved[-1].own_mean)} for the {label}"
        for label, each in results.items()
        if each.before != each.moved and each.before[-1].own_mean is not None and each.moved[-1].own_mean is not None
    ]
    moved = (
        " Held against the features of the encoder after the last step, which the adapted head meets, the cosine "
        f"with the own class's mean goes {listed(moving)}."
        if moving
        else ""
    )
    return {
        "cosines": "Cosine between the change of a head's row since before adaptation and support features as the "
        "encoder gave them before adaptation: class means (bold), single examples (pale; the same for one shot)."
        + (exact if losses == {"cross_entropy"} else "")
        + moved,
        "agreement": "Share of queries for which the adapted head names the same slot as the nearest mean of support "
        "features, by three kinds of nearness, on features of the adapted encoder.",
        "accuracy": f"{_best(results)} The dashed line is chance. Centroids are those of the figure on agreement.",
        "slots": "Accuracy before adaptation and after, for the episodes as they were drawn, and with the slots of "
        "support and query permuted alike. A learner that reads its classes off the support set loses nothing; one "
        "that memorised which class sits in which slot, as fixed slots allow, does, above all on the classes it was "
        "trained on (`--split=train`). The dashed line is chance.",
    }


def _directions(results: Mapping[str, Memorization]) -> str:
    parts = [
        f"{number(last.own_mean)} with the mean support feature of its own class, {number(last.other_means)} with "
        f"those of others and {number(last.centred_mean)} with its own less the mean of all, for the {label}"
        for label, last in _last(results).items()
        if last.own_mean is not None and last.other_means is not None and last.centred_mean is not None
    ]
    if not parts:
        return "No row of a head changed in the inner loop."
    return f"After the last inner step, the change of a head's row has a cosine of {'; of '.join(parts)}."


def _span(results: Mapping[str, Memorization]) -> str:
    parts = []
    for label, last in _last(results).items():
        if last.in_span is None or last.rank is None:
            continue
        features = results[label].features
        if last.rank.mean == features:
            free = f"fills all {features} dimensions, so that it could lie nowhere else"
        else:
            chance = 100 * last.rank.mean / features
            free = f"has {last.rank.mean:.4g} of {features} dimensions, in which a random direction has {chance:.0f}%"
        parts.append(f"{share(last.in_span)} for the {label}, whose span {free}")
    if not parts:
        return ""
    return (
        "Of that change's squared norm, this much lies in the span of the support features: " + "; ".join(parts) + "."
    )


def _centroids(results: Mapping[str, Memorization]) -> str:
    parts = []
    for label, each in results.items():
        kinds = [f"{share(getattr(each, kind).agreement)} by {NAMES[kind]}" for kind in NEARNESS]
        parts.append(f"{listed(kinds)} for the {label}")
    return (
        f"The adapted head names the same class as the nearest centroid for this share of queries: {'; '.join(parts)}."
    )


def _best(results: Mapping[str, Memorization]) -> str:
    parts = []
    for label, each in results.items():
        accuracies = {"the adapted head": each.head} | {
            f"the centroid by {NAMES[kind]}": getattr(each, kind).accuracy for kind in NEARNESS
        }
        top = max(value.mean for value in accuracies.values())
        best = [name for name, value in accuracies.items() if value.mean == top]
        parts.append(f"{share(accuracies[best[0]])} by {listed(best)} for the {label}")
    return f"The highest mean accuracy is {'; '.join(parts)}."


def _slots(label: str, each: Memorization) -> str:
    slots, fixed = each.slots, each.labels == "fixed"
    kept = slots.survives
    if kept is None:
        rest = "that is not clearly above chance, so that there is nothing to lose"
    elif kept.high < 1:
        rest = f"{share(kept)} of what it has above chance survives, and the rest hung on the slots"
    elif kept.mean == 1 and kept.half_width == 0:
        rest = "all of what it has above chance survives, in every episode"
    else:
        rest = f"{share(kept)} of what it has above chance survives, no loss that these episodes can tell"
    trained = " was trained with fixed slots, in which it can memorise which class sits where; it" if fixed else ""
    return capital(
        f"the {label}{trained} is right about {share(slots.after)} of queries after adaptation, and "
        f"{share(slots.after_permuted)} with the slots permuted: {rest}." + (_memorised(each) if fixed else "")
    )


def _memorised(each: Memorization) -> str:
    """Say what a learner of fixed slots knows before it has seen a support set."""
    slots, kept = each.slots, each.slots.survives_before
    if kept is None:
        meaning = "it has not clearly memorised the slots of these classes"
    elif kept.high < 1:
        meaning = "it has memorised slots"
    else:
        meaning = "no loss that these episodes can tell"
    return (
        f" Before adaptation it is {share(slots.before)}, and {share(slots.before_permuted)} with the slots permuted: "
        f"{meaning}."
    )


def _last(results: Mapping[str, Memorization]) -> dict[str, RowChanges]:
    return {label: each.before[-1] for label, each in results.items()}
