"""Whether adapted solutions get flatter and farther while accuracy changes, and what goes with it across seeds."""

from collections.abc import Mapping, Sequence

from innerloop.analysis.coherence import Coherence
from innerloop.analysis.coherence_over_seeds import (
    FEWEST,
    MEASURES,
    Correlation,
    arms,
    correlations,
    enough,
    smallest_p,
)
from innerloop.figures.coherence import of_arm
from innerloop.report.words import brief, capital, listed
from innerloop.statistics import Interval, mean_interval

TITLE = "Flatness, distance and coherence over training"
LEVEL = 0.05
# What guiroy2019 found of the solutions over training: measure, words for less and for more, whether it is more.
EXPECTED = (
    ("sharpness", "flatter", "sharper", False),
    ("support_loss", "lower in support loss", "higher in support loss", False),
    ("distance", "nearer to the start", "farther from the start", True),
)


def say(results: Mapping[str, Coherence]) -> str:
    """Say for each arm how its solutions and its coherences moved, and then what goes with accuracy across seeds."""
    told = []
    for name, labels in arms(results).items():
        runs = [results[label] for label in labels]
        if any(at.distance.mean for run in runs for at in run.path):
            told.append(_moved(name, runs) + _coherent(runs))
        else:
            told.append(f"The {name} does not move in its inner loop: there is no adapted solution to tell of.")
    return "\n".join([*told, _correlated(results)])


def captions(results: Mapping[str, Coherence]) -> dict[str, str]:
    """Return a caption for every figure."""
    counts = [len(labels) for labels in arms(results).values()]
    over = "over seeds" if max(counts) > 1 else "over tasks"
    tasks, bent = (" / ".join(dict.fromkeys(str(getattr(each, what)) for each in results.values())) for what in WHAT)
    said = {
        "measures": f"Measures on the same {tasks} tasks at every snapshot, mean and 95% interval {over}: query "
        "accuracy and support loss after adaptation; the largest eigenvalue of the support loss's Hessian there (of "
        f"{bent} tasks); distance from the start; mean cosine of two tasks' adaptations; mean inner product of two "
        f"tasks' support gradients, dotted the head's part of it. {_contrast(results)}"
    }
    if correlations(results):
        said["correlations"] = (
            "Rank correlation with test accuracy across seeds at the same outer step: bars are means over steps and "
            "arms, dots single steps (darker is later). p by exchanging whole runs within an arm, not corrected for "
            f"{len(correlations(results))} measures; so many seeds allow none below {smallest_p(results):.2g}."
        )
    return said


WHAT = ("tasks", "bent")


def _moved(name: str, runs: Sequence[Coherence]) -> str:
    """Say which way accuracy and solutions moved, and whether as the paper found."""
    first, last = runs[0].path[0].step, runs[0].path[-1].step
    if not any(len(run.path) > 1 for run in runs):
        why = "keeps but one snapshot" if runs[0].has_snapshots else "keeps no snapshots"
        return f"The {name} {why}, so that nothing is told over training."
    held, told, untold = 0, [], []
    for what, less, more, expected in EXPECTED:
        change = _change(runs, f"{what}_change")
        ends = list(of_arm(runs, what).values())
        if change is None or len(ends) < 2:
            continue
        between = f"{_value(what, ends[0])} to {_value(what, ends[-1])}"
        if change.low <= 0 <= change.high:
            untold.append(f"in {_noun(what)} ({between})")
        else:
            told.append(f"{more if change.mean > 0 else less} ({between})")
            held += (change.mean > 0) == expected
    all_told = told + untold
    if not all_told:
        return _accuracy(runs)
    verdict = "as guiroy2019 found" if held == len(all_told) else f"{held} of guiroy2019's {len(all_told)} changes"
    also = f"{'; ' if told else ' '}no change is told from 0 {listed(untold)}" if untold else ""
    moved = f"get {listed(told)}" if told else "may have changed, but"
    return (
        f"From outer step {first} to {last} the adapted solutions of the {name} {moved}{also}: {verdict}. "
        f"{_accuracy(runs)}"
    )


def _accuracy(runs: Sequence[Coherence]) -> str:
    points = of_arm(runs, "accuracy")
    best = max(points, key=lambda step: points[step].mean)
    first, last = min(points), max(points)
    moved = f"Accuracy goes from {100 * points[first].mean:.1f}% to {100 * points[last].mean:.1f}%"
    since = _change(runs, "since_best")
    if best == last or since is None:
        return f"{moved}, its best."
    told = "" if since.high < 0 else ", not told from 0"
    return (
        f"{moved}, {-100 * since.mean:.1f} ± {100 * since.half_width:.1f} points below the best (step {best} has the "
        f"highest mean){told}."
    )


def _coherent(runs: Sequence[Coherence]) -> str:
    """Say how both coherences moved."""
    parts = []
    for what in ("trajectory", "gradient"):
        ends = list(of_arm(runs, what).values())
        if ends:
            moved = f"from {_number(ends[0])} to {_number(ends[-1])}" if len(ends) > 1 else f"at {_number(ends[0])}"
            parts.append(f"{what} coherence {'goes ' if len(ends) > 1 else 'stands '}{moved}")
    head = list(of_arm(runs, "gradient_head").values())
    share = f" (of the latter {_number(head[-1])} by the head)" if head and parts else ""
    return f" {capital(listed(parts))}{share}." if parts else ""


def _correlated(results: Mapping[str, Coherence]) -> str:
    """Say which measures go with accuracy across seeds, or why nobody can tell."""
    found = correlations(results)
    if not found and enough(results):
        return (
            "Correlations with accuracy need measures that differ between seeds at an outer step they share; none does."
        )
    if not found:
        most = max(len(labels) for labels in arms(results).values())
        return (
            f"Correlations with accuracy need {FEWEST} or more runs of one recipe with different seeds, with snapshots "
            f"at the same steps; here {'is' if most == 1 else 'are'} {most}."
        )
    sure = [_spelled(name, each) for name, each in found.items() if each.p <= LEVEL]
    rest = [_spelled(name, each) for name, each in found.items() if each.p > LEVEL]
    seeds = listed([f"{len(labels)} seeds of the {name}" for name, labels in enough(results).items()])
    said = [f"Across {seeds}, at the same outer step, {_verdict(found)}."]
    if sure:
        said.append(f"Goes with accuracy: {listed(sure)}.")
    if rest:
        said.append(f"Not told from 0: {listed(rest)} (so many seeds allow no p below {smallest_p(results):.2g}).")
    return " ".join(said)


def _verdict(found: Mapping[str, Correlation]) -> str:
    """Say whether both coherences go with accuracy, as the paper found."""
    both = {MEASURES[name]: found[name] for name in ("trajectory", "gradient") if name in found}
    groups = (
        ([name for name, each in both.items() if each.p <= LEVEL and each.mean > 0], "higher", ", as guiroy2019 found"),
        ([name for name, each in both.items() if each.p <= LEVEL and each.mean < 0], "lower", ", against guiroy2019"),
    )
    parts = [
        f"{listed(names)} {'is' if len(names) == 1 else 'are'} {way} where accuracy is higher{paper}"
        for names, way, paper in groups
        if names
    ]
    unsure = [name for name, each in both.items() if each.p > LEVEL]
    if unsure:
        parts.append(f"{listed(unsure)} cannot be told to go with accuracy, which guiroy2019 found")
    return "; ".join(parts) or "no coherence is defined for all of them"


def _spelled(name: str, found: Correlation) -> str:
    return f"{MEASURES[name]} ({found.mean:+.2f}, p = {found.p:.2g})"


def _change(runs: Sequence[Coherence], name: str) -> Interval | None:
    """Return a change with its interval: over tasks for one run, over runs for several."""
    changes: list[Interval | None] = [getattr(run, name) for run in runs]
    there = [each for each in changes if each is not None]
    if len(there) < len(runs):
        return None
    return there[0] if len(there) == 1 else mean_interval([each.mean for each in there])


def _value(what: str, interval: Interval) -> str:
    return brief(10**interval.mean if what == "sharpness" else interval.mean)


def _noun(what: str) -> str:
    return {"sharpness": "flatness", "support_loss": "support loss", "distance": "distance"}[what]


def _number(interval: Interval) -> str:
    width = f" ± {brief(interval.half_width)}" if interval.observations > 1 else ""
    return f"{brief(interval.mean)}{width}"


def _contrast(results: Mapping[str, Coherence]) -> str:
    errors = [at.contrast_error for each in results.values() for at in each.path if at.contrast_error is not None]
    if not errors:
        return ""
    return (
        "That part is a contrastive sum over pairs of examples, one of either task, up to a deviation of "
        f"{max(errors):.0e} of the gradients' norms."
    )
