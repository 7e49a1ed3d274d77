"""What the interference's origins say."""

from collections.abc import Mapping

from innerloop.analysis.interference import Interference
from innerloop.report.words import capital, listed, share

TITLE = "Where the interference comes from"


def say(results: Mapping[str, Interference]) -> str:
    """Say which share the head's first value has, and which the outer steps since."""
    none = [f"the {label}" for label, each in results.items() if each.initialisation_share is None]
    parts = [
        f"{share(each.initialisation_share)} comes from its head's first value and "
        f"{100 * (1 - each.initialisation_share.mean):.1f}% from the {each.step} outer steps since for the {label}"
        for label, each in results.items()
        if each.initialisation_share is not None
    ]
    said = (
        [
            f"Of the interference, {listed(parts)} (by inner product; parts that cancel give shares below 0 or above "
            "100%)."
        ]
        if parts
        else []
    )
    if none:
        said.append(f"{capital(listed(none))} {'has' if len(none) == 1 else 'have'} none.")
    said += [_half(label, each) for label, each in results.items() if each.ages]
    said += [_queries(label, each) for label, each in results.items() if each.queries]
    return "\n".join(part for part in said if part)


def captions(results: Mapping[str, Interference]) -> dict[str, str]:
    """Return a caption for every figure."""
    return {
        "origins": "Norms at the query features of the contrastive part, of the whole interference, and of its two "
        "origins, which add as vectors, not as norms.",
        "ages": "Share of the interference (by inner product with the whole) that was put into the head so many outer "
        "steps ago; together with the first head's share they sum to 100%.",
        "queries": "Under plain SGD at first order the head is a sum of past query features. Share of past queries "
        "that attract a query, by whether they stood in the same slot: a slot's number, not what stood in it, decides."
        + "".join(
            f" The sum over {each.queries.count:,} past queries misses the head's change by "
            f"{100 * each.queries.error.mean:.2g}% for the {label}."
            for label, each in results.items()
            if each.queries
        ),
    }


def _half(label: str, each: Interference) -> str:
    """Say how recent the outer steps are that make up half of the cross-task part."""
    shares = [max(0.0, age.share.mean) for age in each.ages]
    reached = 0.0
    for age, part in zip(each.ages, shares, strict=True):
        reached += part
        if reached >= sum(shares) / 2 > 0:
            return f"Half of what outer steps added to the {label}'s interference is from the last {age.last} of them."
    return ""


def _queries(label: str, each: Interference) -> str:
    assert each.queries is not None
    same, other = each.queries.attracting_same, each.queries.attracting_other
    return (
        f"For the {label}, {share(same)} of past queries in the same slot attract, {share(other)} of those in other "
        "slots."
    )
