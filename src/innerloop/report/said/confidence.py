"""Confidence on new tasks: how sure one can be from the support set, where that holds, and what is guaranteed."""

from collections.abc import Mapping

from innerloop.analysis.confidence import Bounded, Confidence, Coverage, Level
from innerloop.figures.confidence import NAMES
from innerloop.report.words import listed, share
from innerloop.statistics import Correlation, Interval, Share

TITLE = "Confidence: how sure one can be of a new task"
BOUNDS = {
    "line": "by the spread along the line between two classes, with centroids of all of a class's examples",
    "spread": "by the whole spread with the same centroids",
    "shots": "of few-shot centroids by the whole spread",
}


def say(results: Mapping[str, Confidence]) -> str:
    """Say for each run how often its bounds held and at what height, and what the representation guarantees."""
    return "\n".join(_run(label, each) for label, each in results.items())


def captions(results: Mapping[str, Confidence]) -> dict[str, str]:
    """Return a caption for every figure."""
    first = next(iter(results.values()))
    said = {
        "coverage": "How often the lower bound on a task's accuracy held, with exact 95% intervals over episodes, by "
        "how often it should (dashed). For held-out episodes of the validation classes it is promised; "
        f"{_promise(first)} Episodes share classes: intervals tell of tasks of these classes and not of others, "
        "and of this one calibration.",
        "prediction": "Every explained task's accuracy by what its support set predicts; on the dashed line both are "
        f"the same. Of the held-out validation tasks {_variances(results)}.",
        "scores": "Rank correlation of every support score with query accuracy, with bootstrap 95% intervals; the last "
        "is of the ridge regression fitted on all. Of validation episodes held out (open) and of the explained ones "
        f"(filled). {_missing(results)}".strip(),
    }
    told = {label: each.representation for label, each in results.items() if each.representation}
    if told:
        one = next(iter(told.values()))
        said["guarantee"] = (
            f"Bounds (outlines) on the error of the nearest centroid among {one.ways} classes, before adaptation, from "
            f"the examples of {one.classes} of the explained classes, and what is observed in episodes drawn from them "
            f"(filled): {listed([BOUNDS[each.name] for each in one.bounds])} ({one.shots} a class). No observed error "
            "can lie above its bound; a bound at the dashed line or above says nothing. Episode by episode. "
            + " ".join(f"For the {label}, {_of_episodes(results[label])}" for label in told)
        )
    return said


def _run(label: str, result: Confidence) -> str:
    level = _middle(result)
    return " ".join([_held(label, result, level), _worth(result, level), _guaranteed(result)])


def _middle(result: Confidence) -> Level:
    """Return the level nearest to 90%, the one that is told."""
    return min(result.levels, key=lambda each: abs(each.level - 0.9))


def _held(label: str, result: Confidence, level: Level) -> str:
    percent = f"{100 * level.level:g}%"
    if not level.is_enough:
        return (
            f"For the {label}, {result.calibrated} calibration episodes are too few for a {percent} bound, which takes "
            f"{level.needed}: it is 0 and says nothing."
        )
    new, home = level.explained, level.held_out
    verdict = _verdict(new.held, level.level)
    there = f"{verdict} {_where(result)}: it held for {_share(new.held)} of them (bound {share(new.bound)} on average, "
    return (
        f"For the {label}, a {percent} lower bound on a new task's accuracy {there}accuracy {share(result.accuracy)}) "
        f"and for {_share(home.held)} of held-out validation tasks, {_kin(result)}."
    )


def _verdict(held: Share, level: float) -> str:
    if held.high < level:
        return "fails on"
    if held.low > level:
        return "is more than kept on"
    return "is not shown to fail on"


def _where(result: Confidence) -> str:
    return f"tasks of {result.source}" if result.source else "the explained tasks"


def _kin(result: Confidence) -> str:
    if result.is_home:
        return "whose classes the explained ones share"
    return "for which alone it is promised, as the explained ones are of other classes and not exchangeable with them"


def _promise(result: Confidence) -> str:
    if result.is_home:
        return "the explained ones are of the same classes."
    where = result.source or "other classes"
    return f"those of {where} are not exchangeable with these, so that there it is measured alone."


def _share(held: Share) -> str:
    return f"{100 * held.value:.1f}% ({100 * held.low:.0f} to {100 * held.high:.0f})"


def _worth(result: Confidence, level: Level) -> str:
    """Say what the support set tells of accuracy, and what that is worth in points of the bound."""
    predicted = result.scores[-1].explained
    told = "Too few episodes tell whether support sets tell the accuracy" if predicted is None else _told(predicted)
    return f"{told}; {_sharper(level.held_out)}."


def _told(found: Correlation) -> str:
    numbers = f"rank correlation {found.value:.2f}, {found.low:.2f} to {found.high:.2f}"
    if found.low > 0:
        return f"The support set tells something of a task's accuracy ({numbers})"
    if found.high < 0:
        return f"What the support set was learned to tell is the wrong way round there ({numbers})"
    return f"The support set is not shown to tell a task's accuracy there ({numbers})"


def _sharper(home: Coverage) -> str:
    gain: Interval = home.sharper
    points = f"{100 * gain.mean + 0.0:.1f} ± {100 * gain.half_width:.1f} points"
    if gain.observations == 1:
        return "one held-out task does not tell what it is worth"
    if gain.low > 0:
        return f"on validation tasks it lifts the bound by {points} over one number for all tasks"
    if gain.high < 0:
        return f"on validation tasks the bound is no better for it than one number for all tasks ({points})"
    return f"on validation tasks it is not shown to lift the bound over one number for all tasks ({points})"


def _guaranteed(result: Confidence) -> str:
    found = result.representation
    if found is None:
        return f"What class separation guarantees before adaptation: {_of_episodes(result)}"
    useful = [each for each in found.bounds if each.bound < found.chance]
    vacuous = [each for each in found.bounds if each.bound >= found.chance]
    said = [_bounded(each) for each in useful]
    if vacuous:
        names = listed([BOUNDS[each.name] for each in vacuous])
        said.append(f"vacuous {names} (at least {100 * found.chance:.0f}%, the error of guessing)")
    return f"What class separation guarantees of the nearest centroid's error before adaptation: {'; '.join(said)}."


def _of_episodes(result: Confidence) -> str:
    """Say what is guaranteed of centroids of all of an episode's examples."""
    return (
        f"an error of at most {share(result.episode_bound)} for centroids of all of an episode's own examples, where "
        f"it is {share(result.episode_error)}; vacuous in {100 * result.episode_vacuous:.0f}% of the episodes."
    )


def _bounded(each: Bounded) -> str:
    return f"at most {100 * each.bound:.0f}% {BOUNDS[each.name]} (observed {100 * each.error:.1f}%)"


def _variances(results: Mapping[str, Confidence]) -> str:
    parts = [
        f"the prediction explains {100 * each.explained_variance:.0f}% of the variance for the {label}"
        for label, each in results.items()
        if each.explained_variance is not None
    ]
    return listed(parts) if parts else "nothing can be said, as their accuracy does not vary"


def _missing(results: Mapping[str, Confidence]) -> str:
    missing = list(dict.fromkeys(name for each in results.values() for name in each.missing))
    if not missing:
        return ""
    names = listed([NAMES[name] for name in missing])
    return f"Left out, as one example a class has no spread and leaves nothing to leave out: {names}."
