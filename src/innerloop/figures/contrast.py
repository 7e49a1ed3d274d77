"""The parts of the meta-gradient as bars: how large, where they point, and which signs their coefficients have."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from innerloop.analysis.parts import PARTS, Contrast
from innerloop.figures.style import bars

SHORT = {
    "query_contrast": "query\ncontrast",
    "query_interference": "query\ninterference",
    "support_contrast": "support\ncontrast",
    "support_curvature": "support\ncurvature",
}


def draw(results: Mapping[str, Contrast]) -> dict[str, Figure]:
    """Draw the figures: `norms`, `directions` and `signs`."""
    return {
        "norms": bars(
            {label: {SHORT[name]: getattr(each, name) for name in PARTS} for label, each in results.items()},
            "norm, loss per feature unit",
        ),
        "directions": bars(
            {
                label: {SHORT[name]: getattr(each, f"cosine_{name}") for name in PARTS}
                | {"all parts": each.cosine_split, "gap": each.gap}
                for label, each in results.items()
            },
            "cosine with the true gradient",
        ),
        "signs": bars(
            {
                label: {
                    "all pairs:\nattract": each.negative_share,
                    "same class:\ndo not attract": each.wrong_positives,
                    "other class:\nattract": each.wrong_negatives,
                }
                for label, each in results.items()
            },
            "share of coefficients, %",
            percent=True,
            line=next((each.pure_share for each in results.values() if each.pure_share is not None), None),
        ),
    }
