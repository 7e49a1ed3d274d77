"""What mixed linear regression says of both inner rates."""

from innerloop.analysis.mixed_regression import Curve, MixedRegression, Regime
from innerloop.statistics import Interval

TITLE = "Mixed linear regression: the best inner rates in a world that can be solved"


def say(result: MixedRegression) -> str:
    """Say for both kinds of worlds the best rates, found and predicted, and how far theory is from what was drawn."""
    return "\n".join(
        [
            *_regime("over-parameterised", result.over, result.adaptation_rate),
            *_regime("under-parameterised", result.under, result.adaptation_rate),
        ]
    )


def captions(result: MixedRegression) -> dict[str, str]:
    """Return a caption for every figure."""
    of = f"mean and 95% interval over {result.worlds:,} drawn worlds; theory is G1 with G2 above and G4 below."
    held = ", ".join(
        f"{each.training_rate:.3g} {where}" for each, where in ((result.over, "above"), (result.under, "below"))
    )
    return {
        "training_rate": f"Test loss by training rate, at an adaptation rate of {result.adaptation_rate:g}: {of} "
        "Rates share their worlds, so that differences are surer than intervals look.",
        "adaptation_rate": f"Test loss by adaptation rate, at a training rate of {held}: {of}",
    }


def _regime(name: str, found: Regime, adaptation_rate: float) -> list[str]:
    model = found.model
    return [
        f"In the {name} world ({model.dimensions} dimensions, {model.tasks} tasks, {model.outer_points} outer and "
        f"{model.inner_points} inner points) the best training rate is {_best(found.training)}. "
        f"The predicted best has a test loss {_gain(found.gain)}, adapting at {adaptation_rate:g}.",
        f"The best adaptation rate, at a training rate of {found.training_rate:.3g}, is {_best(found.adaptation)}.",
        f"R, the squared distance of the trained weights from the tasks' centre, is by theory {_error(found)} of what "
        f"was simulated. Given R, G1 misses the simulated test loss by {_missed(found)}.",
    ]


def _best(curve: Curve) -> str:
    low, high = curve.alike
    alike = "all others worse" if low == high else f"not significantly worse from {low:g} to {high:g}"
    return f"{curve.best:g} in simulation ({alike}) and {curve.predicted_best:.3g} by theory"


def _gain(gain: Interval) -> str:
    size = f"{abs(gain.mean):.4f} ± {gain.half_width:.4f}"
    told = "" if gain.low > 0 or gain.high < 0 else " (not significant)"
    return f"{size} {'below' if gain.mean >= 0 else 'above'} that of a training rate of 0{told}"


def _error(found: Regime) -> str:
    """Return the least and the greatest share of R that theory has: `92% to 101%`."""
    pairs = zip(found.predicted_distance, found.distance, strict=True)
    shares = [round(100 * predicted / drawn.mean) for predicted, drawn in pairs if drawn.mean]
    if not shares:
        return "all"
    return f"{min(shares)}%" if min(shares) == max(shares) else f"{min(shares)}% to {max(shares)}%"


def _missed(found: Regime) -> str:
    """Return where G1 is furthest off, in the width of its interval."""
    rate, worst = max(
        zip(found.training.rates, found.departure, strict=True),
        key=lambda each: abs(each[1].mean) / (each[1].half_width or 1.0),
    )
    told = "told from 0" if worst.low > 0 or worst.high < 0 else "not told from 0"
    if told == "told from 0" and len(found.departure) > 1:
        told += f" at 5%, as one of {len(found.departure)} rates may be by chance"
    return f"{worst.mean:+.5f} ± {worst.half_width:.5f} where it is furthest off, at {rate:g}: {told}"
