"""What the adapted head is: which readings of the same features it equals, and which it does not."""

from collections.abc import Mapping, Sequence

from innerloop.analysis.agreement_grid import Cell
from innerloop.analysis.flat import Picture
from innerloop.analysis.head_agreement import Clusters, HeadAgreement, Reading, Side
from innerloop.report.words import listed, number, share
from innerloop.statistics import FEWEST, Equivalence, Interval, Verdict

TITLE = "The adapted head: what it is"
WHEN = (" before adaptation", " after")
READINGS = {
    "inner_product": "the centroid by inner product",
    "euclidean": "the centroid by Euclidean distance",
    "cosine": "the centroid by cosine",
    "nil": "NIL",
    "logistic": "logistic regression",
    "logistic_usual": "logistic regression at C = 1",
    "ridge": "ridge regression",
    "lda": "LDA",
    "global": "logistic regression on global centres",
}


def say(results: Mapping[str, HeadAgreement]) -> str:
    """Say for each run the verdict on every reading, whom the head agrees with, and what global centres know."""
    said = []
    for label, each in results.items():
        episodes = each.head.observations
        start = f"On these {episodes} episodes" if episodes > 1 else "On this episode"
        head = f"{start} the adapted head of the {label} is right on {share(each.head)} of the queries."
        if each.is_still:
            sides = [f"Adaptation leaves the features as they are. {_verdicts(each.after, 'On them', each.margin)}"]
        else:
            before, after = "On features before adaptation", "On the adapted features"
            sides = [_verdicts(each.before, before, each.margin), _verdicts(each.after, after, each.margin)]
        few = [f"Fewer than {FEWEST} episodes leave every verdict open."] if episodes < FEWEST else []
        said += [" ".join([head, *sides, *few]), " ".join([_agreement(each.after), *_grid(each.cells)])]
        said += _clusters(each.clusters, each.is_still)
    return "\n".join(said)


def captions(results: Mapping[str, HeadAgreement]) -> dict[str, str]:
    """Return a caption for every figure."""
    first = next(iter(results.values()))
    said = {
        "agreement": "Share of queries on which two readings of an episode name the same class: above the diagonal on "
        "features before adaptation, below it on the adapted encoder's, and on the diagonal each with itself, before "
        "and after. Of the adapted head there is one.",
        "accuracy": f"Query accuracy with 95% intervals over episodes; guessing has {100 * first.chance:.0f}%. "
        f"{_penalties(results)}",
        "difference": "Accuracy of the adapted head less that of each reading, in pairs over the same episodes: thin "
        "the 95% interval, thick the 90% interval. The head counts as equivalent where the whole thick line lies in "
        f"the band of {100 * first.margin:g} points (two one-sided tests at 5% each), as better or worse where all of "
        "it lies outside, and else the episodes leave it undecided.",
    }
    if any(each.cells for each in results.values()):
        said["grid"] = _grid_caption(results)
    pictures = [each for result in results.values() for each in result.pictures]
    if pictures:
        said["plane"] = _plane_caption(pictures)
        said["map"] = (
            "The same features by t-SNE, which keeps neighbours together; distances between groups mean little, and "
            "as there is no way back from the map, it has no regions."
        )
    return said


def _verdicts(side: Side, where: str, margin: float) -> str:
    """Say on which side of the margin the head is of every reading."""
    points = f"{100 * margin:g} points"
    ways: dict[Verdict, str] = {
        "equivalent": f"equivalent within {points} to",
        "better": f"better by more than {points} than",
        "worse": f"worse by more than {points} than",
        "undecided": f"undecided (neither shown to be equivalent within {points} nor to be further apart) beside",
    }
    parts = [
        f"{words} {listed([_told(each) for each in side.readings if each.gap.verdict == verdict])}"
        for verdict, words in ways.items()
        if any(each.gap.verdict == verdict for each in side.readings)
    ]
    return f"{where}, it is {'; '.join(parts)}."


def _told(reading: Reading) -> str:
    return f"{READINGS[reading.name]} ({_points(reading.gap)})"


def _points(gap: Equivalence) -> str:
    """Return a difference in points with the interval that its verdict rests on, and whether it is told from 0."""
    mean = _signed(gap.tested.mean)
    if gap.tested.observations == 1:
        return f"{mean}, one episode"
    found = f"{mean} [{_signed(gap.tested.low)}, {_signed(gap.tested.high)}]"
    if not gap.differs or gap.verdict in ("better", "worse"):
        return found
    return f"{found}, {'small but ' if gap.verdict == 'equivalent' else ''}told from 0"


def _signed(value: float) -> str:
    points = round(100 * value, 1)
    return f"{points:+.1f}" if points else "0.0"  # and no -0.0


def _agreement(side: Side) -> str:
    """Say with whom the head agrees most, and with whom least."""
    order = sorted(side.readings, key=lambda each: -each.agreement.mean)
    most, least = order[0], order[-1]
    always = [READINGS[each.name] for each in order if each.agreement.mean == 1]
    if len(always) == len(order):
        return "It names the same class as every reading on every query."
    first = f"{listed(always)} on every query" if always else f"{READINGS[most.name]} on {share(most.agreement)}"
    return f"It names the same class as {first}, and as {READINGS[least.name]}, the least, on {share(least.agreement)}."


def _grid(cells: Sequence[Cell]) -> list[str]:
    """Say between what the agreements lie over rates and steps, and where predictions diverged."""
    ranges = []
    for measure, name in (("logistic_after", "logistic"), ("centroid_after", "inner_product")):
        there = [(getattr(each, measure).mean, each) for each in cells if getattr(each, measure) is not None]
        if there:
            low, high = (pick(there, key=lambda one: one[0]) for pick in (min, max))
            ranges.append(
                f"{READINGS[name]} between {100 * low[0]:.0f}% ({_place(low[1])}) and {100 * high[0]:.0f}% "
                f"({_place(high[1])})"
            )
    strayed = [_place(each) for each in cells if each.diverged]
    said = [f"Over test rates and steps, it does so with {listed(ranges)}."] if ranges else []
    return [*said, f"Some episodes diverged at {listed(strayed)}."] if strayed else said


def _place(cell: Cell) -> str:
    return f"×{cell.factor:g}, {cell.steps} step{'' if cell.steps == 1 else 's'}"


def _clusters(clusters: Clusters | None, is_still: bool) -> list[str]:
    """Say how an episode's labels lie to the nearest global centres."""
    if clusters is None:
        return []
    sides = [(clusters.after, "")] if is_still else list(zip((clusters.before, clusters.after), WHEN, strict=True))
    same, other = (
        listed([f"{share(getattr(side, measure))} of the queries{when}" for side, when in sides])
        for measure in ("same", "other")
    )
    mutual = listed([f"{number(side.mutual)}{when}" for side, when in sides])
    return [
        f"Of the centres of {clusters.classes} training classes, the one nearest to a query is that of its own class's "
        f"support for {same}, and that of another class's for {other}. Adjusted mutual information of label and "
        f"nearest centre: {mutual} (0 by chance, 1 where each says the other)."
    ]


def _penalties(results: Mapping[str, HeadAgreement]) -> str:
    said = []
    if any(each.reach for each in results.values()):
        said.append(
            "Logistic and ridge regression have the penalty that early stopping amounts to, 1 / (rate x steps) beside "
            "the mean loss; it pulls to 0, the bias too, and not to the head before adaptation."
        )
    if any(each.reach < 0 for each in results.values()):
        said.append("Of a rate below 0 its size counts.")
    unmatched = [f"the {label}" for label, each in results.items() if not each.reach]
    if unmatched:
        said.append(
            f"No penalty matches {listed(unmatched)}, whose head does not move by plain gradient steps at the test."
        )
    if any(each.shots == 1 for each in results.values()):
        said.append(
            "With one example a class there is no scatter within classes, and LDA is the nearest centroid by Euclidean "
            "distance; NIL is that by cosine."
        )
    known = [each.clusters for each in results.values() if each.clusters is not None]
    if known:
        how = "inner products with" if known[0].similarity == "inner_product" else "Euclidean distances to"
        said.append(
            f"Global centres are the mean features of the {known[0].classes} training classes before adaptation; an "
            f"example is described by its standardised {how} them."
        )
    return " ".join(said)


def _grid_caption(results: Mapping[str, HeadAgreement]) -> str:
    tried = max(
        interval.observations + cell.diverged
        for each in results.values()
        for cell in each.cells
        for interval in (cell.accuracy or Interval(0.0, 0.0, 0),)
    )
    said = (
        f"Agreement of the adapted head, in percent of queries, by test rate (as a multiple of the run's) and inner "
        f"steps, on the first {tried} episode{'' if tried == 1 else 's'}: with the logistic regression whose penalty "
        "matches the cell, and with the nearest centroid by inner product, on features before adaptation and after it."
    )
    if any(cell.diverged for each in results.values() for cell in each.cells):
        said += " div.: predictions of some episodes are not finite there; the share is of the others."
    return said


def _plane_caption(pictures: Sequence[Picture]) -> str:
    first = pictures[0]
    stages = [(first.before, WHEN[0]), (first.after, WHEN[1])]
    spans = listed([f"{100 * sum(stage.explained):.0f}%{when}" for stage, when in stages])
    trust = listed([f"{100 * stage.faithful:.0f}%{when}" for stage, when in stages if not stage.is_blank])
    said = [
        f"Episode {first.number} along the two principal axes of its features, which show {spans} of the variance"
        f"{' (in the first row)' if len(pictures) > 1 else ''}."
    ]
    if trust != "none":
        said.append(
            "The ground has the colour of the class that the head scores highest for features on this plane. Features "
            f"lie off it: the head names the class of a query's ground for {trust}."
        )
    if any(stage.is_blank for each in pictures for stage in (each.before, each.after)):
        said.append("White ground: the head says the same of all classes, as a zero head does.")
    said.append("Crosses are queries that the head gives another class.")
    return " ".join(said)
