"""At which rate of adaptation a learner is best, and what one step from a zero head does at every rate."""

from collections.abc import Mapping

from innerloop.analysis.inner_lr import InnerLr, Place, RateArm
from innerloop.figures.inner_lr import MAPS
from innerloop.report.words import capital, listed, runs_of, share
from innerloop.statistics import Interval

TITLE = "The inner rate: which sign and size are best in adaptation"


def say(results: Mapping[str, InnerLr]) -> str:
    """Say for each run the best rate and steps, which are as good, whether a negative one is, and the facts."""
    said = [_best("with the head as trained", {label: (each, each.as_trained) for label, each in results.items()})]
    others = {label: (each, each.zeroed) for label, each in results.items() if not each.head_is_zero}
    if others:
        said.append(_best("with the head zeroed before adaptation", others))
    return "\n".join([*said, *_lost(results), *_one_step(results), *_scatter(results)])


def captions(results: Mapping[str, InnerLr]) -> dict[str, str]:
    """Return a caption for every figure."""
    over = "95% intervals over episodes" if _several(results) else "one episode, so no intervals"
    columns = sorted({max(1, each.tested[1]) for each in results.values()})
    steps = f"{columns[0]} inner step{'' if columns == [1] else 's'}"
    if len(columns) > 1:
        steps = f"each run's own inner steps at test ({columns[0]} to {columns[-1]})"
    said = {
        "by_rate": f"Query accuracy by rate of adaptation after {steps}, with the head as trained; {over}. Each "
        "sign has a logarithmic axis of its own. Dotted: guessing."
    }
    if len(results) <= MAPS:
        said["map"] = (
            "Query accuracy by rate and inner steps, with the head as trained. Star: the best cell. Dots: cells not "
            "significantly worse, in pairs over episodes and not corrected for how many are compared. Ring: the run's "
            "own test. Grey with a cross: predictions of some episode were not finite."
        )
    others = [each for each in results.values() if not each.head_is_zero]
    if others:
        said["by_rate_zeroed"] = "The same with the head zeroed before adaptation."
        if len(others) <= MAPS:
            said["map_zeroed"] = "The same map with the head zeroed before adaptation."
    return said


def _best(how: str, arms: Mapping[str, tuple[InnerLr, RateArm]]) -> str:
    parts = []
    for label, (each, arm) in arms.items():
        found = _cell(arm, arm.best)
        parts.append(
            f"{share(found)} for the {label} at rate {each.rates[arm.best[0]]:g} and {_steps(arm.best[1])}"
            f"{_as_good(each, arm)}{_negative(each, arm)}"
        )
    return f"{capital(how)}, the best cell over rates and inner steps is {'; '.join(parts)}."


def _as_good(each: InnerLr, arm: RateArm) -> str:
    if arm.as_good is None:
        return " (one episode cannot tell which others are as good)"
    # 0 steps are one cell, whatever the rate.
    count = 1 + sum(cell is not None for row in arm.accuracy for cell in row[1:])
    finite = "finite " if any(any(row) for row in arm.diverged) else ""
    rates = {each.rates[row] for row, column in arm.as_good if column}
    own = f"its own test (rate {each.test_lr:g}, {_steps(each.tested[1])}) is "
    if each.tested == arm.best:
        usual = "it is its own test"
    else:
        usual = own + ("one of them" if each.tested in arm.as_good else "significantly worse")
    spread = f", at rates {runs_of(rates, each.rates)}" if len(rates) > 1 else ""
    others = len(arm.as_good) - 1
    if not others:
        return f" (all {count - 1} {finite}others are significantly worse; {usual})"
    return f" ({others} of {count - 1} {finite}others are not significantly worse{spread}; {usual})"


def _negative(each: InnerLr, arm: RateArm) -> str:
    """Say how good the best negative rate is, if any was tried."""
    cells = [
        (cell, row, column)
        for row, rate in enumerate(each.rates)
        for column, cell in enumerate(arm.accuracy[row])
        if rate < 0 and column and cell is not None
    ]
    if not cells:
        return ""
    best, row, column = max(cells, key=lambda found: found[0].mean)
    if (row, column) == arm.best:
        return ", a negative rate"
    as_good = arm.as_good is not None and (row, column) in arm.as_good
    verdict = "not significantly worse" if as_good else "significantly worse"
    told = "" if arm.as_good is None else f", {verdict}"
    return (
        f", and of negative rates {share(best)} at {each.rates[row]:g} and {_steps(column)}{told} "
        f"(guessing: {100 * each.chance:.1f}%)"
    )


def _lost(results: Mapping[str, InnerLr]) -> list[str]:
    """Say at which rates predictions were not finite."""
    parts = []
    for label, each in results.items():
        rates = [
            rate
            for row, rate in enumerate(each.rates)
            if any(any(arm.diverged[row]) for arm in (each.as_trained, each.zeroed))
        ]
        if rates:
            parts.append(f"for the {label} at {listed([f'{rate:g}' for rate in rates])}")
    return [f"Predictions were not finite after some steps {'; '.join(parts)}."] if parts else []


def _one_step(results: Mapping[str, InnerLr]) -> list[str]:
    """Say what one step from a zero head predicts at every rate; alike runs are said together."""
    found: dict[str, list[str]] = {}
    for label, each in results.items():
        if each.one_step is None:
            continue
        said = (
            f"all positive rates name the same class for {share(each.one_step.same)} of queries, and all negative ones "
            f"the class that positive ones like least for {share(each.one_step.opposite)}"
        )
        found.setdefault(said, []).append(f"the {label}")
    return [f"One step from a zero head: {said} ({listed(labels)})." for said, labels in found.items()]


def _scatter(results: Mapping[str, InnerLr]) -> list[str]:
    """Say which way class means moved in training, beside the sign of its rate."""
    parts = []
    for label, each in results.items():
        if len(each.scatter) < 2:
            continue
        (_, first, first_within), (_, last, last_within) = each.scatter[0], each.scatter[-1]
        parts.append(
            f"for the {label} (rate {each.training_lr:g}) from {first:.3g} to {last:.3g}, beside a scatter within "
            f"classes from {first_within:.3g} to {last_within:.3g}"
        )
    if not parts:
        return []
    return [f"While training, the squared scatter of class means went {'; '.join(parts)}."]


def _cell(arm: RateArm, place: Place) -> Interval:
    found = arm.accuracy[place[0]][place[1]]
    assert found is not None  # the best has a value
    return found


def _steps(count: int) -> str:
    return f"{count} step{'' if count == 1 else 's'}"


def _several(results: Mapping[str, InnerLr]) -> bool:
    return any(_cell(each.as_trained, each.as_trained.best).observations > 1 for each in results.values())
