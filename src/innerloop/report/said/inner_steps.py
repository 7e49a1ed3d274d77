"""How many inner steps are needed, at test and in training."""

from collections.abc import Mapping

from innerloop.analysis.inner_steps import Arm, InnerSteps
from innerloop.figures.inner_steps import lines, shown_from
from innerloop.report.words import capital, listed, percent
from innerloop.statistics import Interval

TITLE = "Inner steps: how many are needed"


def say(results: Mapping[str, InnerSteps]) -> str:
    """Say for each run the fewest steps that do, what more than one gains, and what steps in training changed."""
    as_trained = {label: each.as_trained for label, each in results.items()}
    zeroed = {label: each.zeroed for label, each in results.items() if not each.head_is_zero}
    said = [_needed("with the head as trained", as_trained)]
    if zeroed:
        said.append(_needed("with the head zeroed before adaptation", zeroed))
    zero = [f"the {label}" for label, each in results.items() if each.head_is_zero]
    if zero:
        said.append(f"For {listed(zero)} the head is zero as trained, so that zeroing it changes nothing.")
    return "\n".join([*said, *_over_training(results)])


def captions(results: Mapping[str, InnerSteps]) -> dict[str, str]:
    """Return a caption for every figure."""
    before = [arm.accuracy[0].mean for each in results.values() for arm in (each.as_trained, each.zeroed)]
    start = f" Before adaptation it is {_range(min(before), max(before))}%." if shown_from(results) else ""
    said = {
        "accuracy": "Query accuracy by inner steps at test, with 95% intervals over episodes. All numbers of steps are "
        "tested on the same episodes, so that their differences are surer than the bands look; the best is chosen on "
        f"these episodes, which flatters its gain.{start}"
    }
    if len({each.training_steps for each in results.values()}) > 1:
        said["training_steps"] = (
            f"Query accuracy by inner steps in training: as tested ({_test_steps(results)}), and with the head zeroed "
            "and one step."
        )
    return said


def _needed(how: str, arms: Mapping[str, Arm]) -> str:
    found = [f"{arm.enough} for the {label} ({_gains(arm)})" for label, arm in arms.items() if arm.enough is not None]
    if not found:
        return f"{capital(how)}, one episode cannot tell how many inner steps are needed."
    return f"{capital(how)}, the fewest inner steps not significantly below the best number: {'; '.join(found)}."


def _gains(arm: Arm) -> str:
    most = len(arm.accuracy) - 1
    best = f"best {arm.best} of 0 to {most}"
    parts = [best if arm.best == 1 else f"{best}, {_points(arm.gain_of_best, 'above')}"]
    if most not in (1, arm.best):
        parts.append(f"{most} steps: {_points(arm.gain_of_most, 'against')}")
    return ", ".join(parts)


def _points(gain: Interval, beside: str) -> str:
    """Return a difference from one step in percentage points, and whether it is told from 0."""
    mean = round(100 * gain.mean, 1) + 0.0  # no -0.0
    told = "" if gain.low > 0 or gain.high < 0 else " (not significant)"
    return f"{mean:.1f} ± {100 * gain.half_width:.1f} points {beside} one step{told}"


def _over_training(results: Mapping[str, InnerSteps]) -> list[str]:
    """Say accuracy as tested at the fewest and at the most inner steps in training, for each kind of run."""
    parts = []
    for name, members in lines(results).items():
        runs = sorted((results[label] for label in members), key=lambda each: each.training_steps)
        few, many = runs[0], runs[-1]
        if few.training_steps < many.training_steps:
            parts.append(
                f"{name}: {percent(few.as_tested)} at {few.training_steps} and {percent(many.as_tested)} at "
                f"{many.training_steps}"
            )
    return [f"Accuracy as tested, in percent, by inner steps in training: {'; '.join(parts)}."] if parts else []


def _test_steps(results: Mapping[str, InnerSteps]) -> str:
    if all(each.test_steps == each.training_steps for each in results.values()):
        return "with as many steps as in training"
    steps = [each.test_steps for each in results.values()]
    low, high = min(steps), max(steps)
    return f"with {low} step{'' if low == 1 else 's'}" if low == high else f"with {low} to {high} steps"


def _range(low: float, high: float) -> str:
    first, last = f"{100 * low:.1f}", f"{100 * high:.1f}"
    return first if first == last else f"{first} to {last}"
