"""What learned inner rates have become."""

from collections.abc import Mapping

from innerloop.analysis.learned_rates import Layer, LearnedInnerRates, pooled
from innerloop.figures.learned_rates import numbered
from innerloop.report.words import RATES, capital, listed

TITLE = "Learned inner rates: their signs and sizes"
SHOWN = 5  # layers by name


def say(results: Mapping[str, LearnedInnerRates]) -> str:
    """Say for each run how many rates are negative, in which layers, which are largest, and what the head's are."""
    return "\n".join(" ".join(_said(label, each)) for label, each in results.items())


def captions(results: Mapping[str, LearnedInnerRates]) -> dict[str, str]:
    """Return a caption for every figure."""
    said = {
        "negative": "Share of all learned rates that are below 0, over training: every number that is learned counts "
        "once."
    }
    for rates, layers, (label, each) in zip(
        numbered("rates", len(results)), numbered("layers", len(results)), results.items(), strict=True
    ):
        what = {
            "layer_step": "by layer and inner step",
            "weight": "by layer: the first value, and of the rates of all weights the smallest, the mean, the largest "
            "and the share below 0",
        }.get(each.kind, "by layer: the first value and the present one")
        said[rates] = (
            f"Inner rates of the {label} after {each.step} outer steps, {what}. Blue adds along the negative gradient, "
            "as usual; orange is below 0 and climbs."
        )
        said[layers] = (
            f"Mean inner rate of each layer of the {label} over training{_steps(each)}; the body's from its first "
            "layer (light) to its last (dark)."
        )
    return said


def _steps(result: LearnedInnerRates) -> str:
    return ", over inner steps" if result.kind == "layer_step" else ""


def _said(label: str, result: LearnedInnerRates) -> list[str]:
    return [
        f"The {label} has {RATES[result.kind]}: {_negative(result)}, after {result.step} outer steps.",  # type: ignore[index]
        *(said for said in (_where(result), _sizes(result), _parts(result), _by_step(result)) if said),
    ]


def _negative(result: LearnedInnerRates) -> str:
    count = sum(layer.count * len(layer.now) for layer in result.layers)
    below = round(sum(layer.count * each.negative for layer in result.layers for each in layer.now))
    first = pooled((layer.count, layer.first) for layer in result.layers).negative
    return f"{below:,} of {count:,} below 0 ({100 * first:.0f}% at first)"


def _where(result: LearnedInnerRates) -> str:
    """Say which layers have a negative rate, or mean of their weights' rates, the most negative first."""
    many = result.kind == "weight"
    least = {layer.name: min(each.mean for each in layer.now) for layer in result.layers}
    order = sorted(result.layers, key=lambda layer: least[layer.name])
    found = [f"{layer.name} ({_lowest(layer)})" for layer in order if least[layer.name] < 0]
    widest = _widest(result) if many else ""
    if not found:
        return f"No layer's mean is below 0.{widest}" if many else "None is below 0."
    shown = listed(found) if len(found) <= SHOWN else f"{', '.join(found[:SHOWN])} and {len(found) - SHOWN} more layers"
    return f"Below 0{' on average' if many else ''}: {shown}.{widest}"


def _lowest(layer: Layer) -> str:
    number, least = min(enumerate(layer.now, 1), key=lambda each: each[1].mean)
    return f"{least.mean:.3g}" + (f" at step {number}" if len(layer.now) > 1 else "")


def _widest(result: LearnedInnerRates) -> str:
    worst = max(result.layers, key=lambda layer: layer.now[0].negative)
    share = worst.now[0].negative
    return f" The largest share below 0 has {worst.name}, {100 * share:.1f}%." if share else ""


def _sizes(result: LearnedInnerRates) -> str:
    """Say which rates are largest and which smallest in size."""
    if len(result.layers) == 1 and len(result.layers[0].now) == 1:
        return f"It is {result.layers[0].now[0].mean:.3g}, and was {result.layers[0].first[0].mean:.3g} at first."
    sized = [(abs(each.mean), layer, at, each.mean) for layer in result.layers for at, each in enumerate(layer.now, 1)]
    ends = [pick(sized, key=lambda each: each[0]) for pick in (max, min)]
    words = [
        f"{value:.3g} in {layer.name}" + (f" at step {at}" if len(layer.now) > 1 else "")
        for _, layer, at, value in ends
    ]
    return f"The largest in size {_by_mean(result)}is {words[0]}, the smallest {words[1]}."


def _by_mean(result: LearnedInnerRates) -> str:
    return "by a layer's mean " if result.kind == "weight" else ""


def _parts(result: LearnedInnerRates) -> str:
    """Say how the means of head and body moved."""
    moved = [
        f"the {part}'s mean rate was {pooled((layer.count, layer.first) for layer in layers).mean:.3g} at first and is "
        f"{pooled((layer.count, layer.now) for layer in layers).mean:.3g}"
        for part, layers in (("head", result.of("head")), ("body", result.of("body")))
        if layers
    ]
    if not moved:
        return ""
    return f"{capital('; '.join(moved))}."


def _by_step(result: LearnedInnerRates) -> str:
    steps = len(result.layers[0].now)
    if steps == 1:
        return ""
    means = [pooled((layer.count, layer.now[at : at + 1]) for layer in result.layers).mean for at in range(steps)]
    return f"By inner step the mean rate is {listed([f'{value:.3g}' for value in means])}."
