"""What the second order adds, and what the first leaves out."""

from collections.abc import Callable, Mapping

from innerloop.analysis.orders import Orders
from innerloop.report.words import listed, number, share
from innerloop.statistics import Interval

TITLE = "First and second order"


def say(results: Mapping[str, Orders]) -> str:
    """Say what the second order adds, how far both orders point apart, and what Equation 8 leaves out."""
    return "\n".join(part for part in (_added(results), _apart(results), _head(results), _equation(results)) if part)


def captions(results: Mapping[str, Orders]) -> dict[str, str]:
    """Return a caption for every figure."""
    exact = [f"the {label}" for label, each in results.items() if each.is_exact]
    same = (
        f" Both are one and the same for {listed(exact)}, whose encoder stands still in the inner loop."
        if exact
        else ""
    )
    sides = [
        f"{number(each.cosine_sides)} for the {label}"
        for label, each in results.items()
        if each.cosine_sides is not None
    ]
    between = f" Between what both sides say to the encoder it is {listed(sides)}." if sides else ""
    return {
        "parts": "Frobenius norms of the parts at the features, for the same parameters and episodes. The query side "
        "is the same for both orders; first order holds the support features constant, as by a stop-gradient.",
        "added": "Cosines between gradients of the encoder: first and second order of the split, which holds the "
        f"encoder still in the inner loop, and of the algorithm itself.{same}{between}",
    }


def _added(results: Mapping[str, Orders]) -> str:
    parts = []
    for label, each in results.items():
        contrast, curvature = each.share_support_contrast, each.share_support_curvature
        if contrast is None or curvature is None:
            continue
        if contrast.mean == curvature.mean == 0:
            parts.append(f"nothing for the {label}")
        elif curvature.mean == 0:
            parts.append(f"{share(contrast)} by contrast and nothing by curvature for the {label}")
        else:
            parts.append(f"{share(contrast)} by contrast and {share(curvature)} by curvature for the {label}")
    if not parts:
        return ""
    against = any(
        interval is not None and interval.mean < 0
        for each in results.values()
        for interval in (each.share_support_contrast, each.share_support_curvature)
    )
    return (
        "Of the encoder's second-order gradient with the encoder held still, measured along it, the support side that "
        f"first order leaves out makes {'; '.join(parts)}{' (below 0 works against it)' if against else ''}."
    )


def _apart(results: Mapping[str, Orders]) -> str:
    true = _each(results, lambda each: each.cosine_true)
    # Where the encoder stands still, the split's gradients are the true ones.
    split = _each(results, lambda each: None if each.is_exact else each.cosine_split)
    if not true:
        return ""
    beside = f"; with the encoder held still, it is {listed(split)}" if split else ""
    return f"The cosine between the encoder's true gradients of first and second order is {listed(true)}{beside}."


def _head(results: Mapping[str, Orders]) -> str:
    parts = [
        f"{number(each.cosine_head)} for the {label}, first order being {number(each.ratio_head)} times as large"
        for label, each in results.items()
        if each.cosine_head is not None and each.ratio_head is not None
    ]
    return f"Between the split's gradients of the head it is {'; '.join(parts)}." if parts else ""


def _equation(results: Mapping[str, Orders]) -> str:
    parts = [
        f"{'nothing' if each.equation_8_error.mean == 0 else share(each.equation_8_error)} for the {label}"
        for label, each in results.items()
        if each.equation_8_error is not None
    ]
    if not parts:
        return ""
    return (
        "The paper's Equation 8, which has no curvature, leaves out of the gradient at the support features, relative "
        f"to its norm, {listed(parts)}."
    )


def _each(results: Mapping[str, Orders], of: Callable[[Orders], Interval | None]) -> list[str]:
    found = ((label, of(each)) for label, each in results.items())
    return [f"{number(interval)} for the {label}" for label, interval in found if interval is not None]
