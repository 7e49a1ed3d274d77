"""What the blame for mistakes says."""

from collections.abc import Mapping

from innerloop.analysis.responsibility import Removal, Responsibility
from innerloop.report.words import capital, listed, number, percent, share

TITLE = "Who is to blame for its mistakes"


def say(results: Mapping[str, Responsibility]) -> str:
    """Say what removing the most blamed example does, and how far the blame agrees with adapting again without it."""
    said = []
    for label, each in results.items():
        if not each.mistakes:
            said.append(f"The {label} made no mistake in these episodes.")
            continue
        said.append(
            f"The {label} predicts {share(each.accuracy)} right, with {each.mistakes:,} mistakes.{_blamed(each)}"
        )
        if each.removal is not None:
            said.append(_removal(each.removal))
    said.append(_checked(results))
    return "\n".join(part for part in said if part)


def captions(results: Mapping[str, Responsibility]) -> dict[str, str]:
    """Return a caption for every figure."""
    first = next((label for label, each in results.items() if any(one.picture for one in each.shown)), "")
    exact = bool(first) and results[first].is_exact
    how = (
        "its exact share in the logit of the wrong class minus that of the right one"
        if exact
        else "the first-order influence of its loss weight on the logit of the wrong class minus that of the right one"
    )
    nobody = [each.nobody for each in results[first].shown] if first else []
    parted = (
        f" What the head said before adaptation, {min(nobody):+.2f} to {max(nobody):+.2f}, is nobody's."
        if any(nobody)
        else ""
    )
    return {
        "mistakes": f"Of each episode the most confident mistake of the {first}, and of these the most confident: each "
        "a false negative of its true class and a false positive of the class that was said. Beside the query the "
        f"support images that made it, and those that spoke against it, with {how}.{parted}",
        "removal": "Share of mistakes that turn right when the learner adapts again with one support example's loss "
        "weight at zero (it still counts in the batch's statistics): the most blamed one, and one of the same class "
        "drawn at random. Means and 95% intervals over episodes with mistakes.",
    }


def _blamed(each: Responsibility) -> str:
    """Say where the most blamed example stands; where blame is influence, only some episodes were looked into."""
    if each.blamed_is_predicted is None:
        return ""
    seen = each.influence_correlation.observations if each.influence_correlation else 0
    of = "them" if each.is_exact else f"those in the first {seen} episodes, in which it adapted again,"
    return (
        f" Of {of} {share(each.blamed_is_predicted)} have their most blamed support example in the class that was "
        "wrongly said."
    )


def _removal(found: Removal) -> str:
    better = "more often than" if found.difference.low > 0 else "not significantly more often than"
    if found.difference.high < 0:
        better = "less often than"
    return (
        f"Taking that example out corrects {percent(found.blamed)}% of them, {better} taking out a random one of the "
        f"same class ({percent(found.random)}%; paired difference {percent(found.difference)} points, "
        f"{found.mistakes:,} mistakes in {found.difference.observations:,} episodes)."
    )


def _checked(results: Mapping[str, Responsibility]) -> str:
    parts = []
    for label, each in results.items():
        if each.share_correlation is None or each.influence_correlation is None:
            continue
        kind = "exact shares" if each.is_exact else "shares with the encoder held still"
        parts.append(
            f"for the {label} {number(each.share_correlation)} for {kind} and {number(each.influence_correlation)} for "
            "the influence through the inner loop"
        )
    said = "the rank correlation with what adapting again without each example takes away is "
    return capital(f"{said}{listed(parts)}.") if parts else ""
