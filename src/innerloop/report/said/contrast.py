"""What the parts of the meta-gradient say."""

from collections.abc import Mapping

from innerloop.analysis.parts import Contrast
from innerloop.report.words import capital, listed, share

TITLE = "The prism: parts of the meta-gradient"


def say(results: Mapping[str, Contrast]) -> str:
    """Say how large the interference is, what share of the coefficients attracts, and what the split leaves out."""
    return "\n".join(part for part in (_interference(results), _signs(results), _gap(results)) if part)


def captions(results: Mapping[str, Contrast]) -> dict[str, str]:
    """Return a caption for every figure."""
    first = next(iter(results.values()))
    curvature = [
        f"{each.curvature_ratio.mean:.2g} times the contrastive part kept beside it for the {label}"
        for label, each in results.items()
        if each.curvature_ratio is not None and each.curvature_ratio.mean > 0
    ]
    bent = f" The curvature, which the paper's Equation 8 leaves out, is {listed(curvature)}." if curvature else ""
    return {
        "norms": "Frobenius norms of the parts at the features; the support side is there for second order alone."
        + bent,
        "directions": "Cosine between each part, pulled back to the encoder's parameters, and the encoder's true "
        "meta-gradient. The gap is the norm of what the split leaves out, relative to the true gradient: 0 where "
        "holding the encoder still in the inner loop is no assumption but a fact.",
        "signs": f"Coefficients by sign.{_line(first)}",
    }


def _line(first: Contrast) -> str:
    if first.pure_share is None:
        return ""
    pairs = (
        "all same-class pairs and no other"
        if first.inner_lr > 0
        else "the rate is negative, all but those of one class"
    )
    return f" The dashed line, {100 * first.pure_share:.1f}%, is what a zeroed head has at one inner step: {pairs}."


def _interference(results: Mapping[str, Contrast]) -> str:
    named = [
        f"{share(each.interference_share) if each.interference_share.mean else 'nothing'} for the {label}"
        for label, each in results.items()
        if each.interference_share is not None
    ]
    if not named:
        return ""
    return f"Of the gradient at the query features (norms of both parts), interference is {listed(named)}."


def _signs(results: Mapping[str, Contrast]) -> str:
    parts = [
        f"{share(each.negative_share)} of the coefficients for the {label}"
        for label, each in results.items()
        if each.negative_share is not None
    ]
    pure = next((each.pure_share for each in results.values() if each.pure_share is not None), None)
    beside = "" if pure is None else f", where pure contrast at one inner step has {100 * pure:.1f}%"
    return f"{capital(listed(parts))} attract{beside}."


def _gap(results: Mapping[str, Contrast]) -> str:
    exact = [f"the {label}" for label, each in results.items() if each.is_exact]
    others = [
        f"{share(each.gap)} of the true gradient's norm for the {label}"
        for label, each in results.items()
        if not each.is_exact and each.gap is not None
    ]
    said = []
    if exact:
        said.append(f"The split is exact for {listed(exact)}.")
    if others:
        said.append(
            "What it leaves out, because the encoder moves in the inner loop or follows another loss, is "
            f"{listed(others)}: there it describes the head's side of the gradient, not all of it."
        )
    return " ".join(said)
