"""All analyses of a learner, in the order in which a reader asks: a line each."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from innerloop.analysis import inner_steps, orders, parts


class Analysis(NamedTuple):
    """One analysis.

    Attributes:
        summary: What it answers, for the list on the command line.
        measure: Maps a Subject, and its settings where it has any, to a result.
        result: The kind of result, a frozen dataclass that goes to plain values and back.
        episodes: How many probe episodes give a good answer.
        settings: The kind of its settings, a frozen dataclass with defaults; None where there is nothing to set.
    """

    summary: str
    measure: Callable[..., Any]
    result: type
    episodes: int
    settings: type | None = None


ANALYSES: Mapping[str, Analysis] = {
    "contrast": Analysis(
        "the meta-gradient's contrastive part and its interference: sizes, directions, signs, what is left out",
        parts.measure,
        parts.Contrast,
        100,
    ),
    "orders": Analysis(
        "first and second order side by side: what the second adds, where both point, what Equation 8 leaves out",
        orders.measure,
        orders.Orders,
        100,
    ),
    "inner_steps": Analysis(
        "accuracy by inner steps at test, with the head as trained and zeroed: how many steps are needed",
        inner_steps.measure,
        inner_steps.InnerSteps,
        300,
        inner_steps.InnerStepsSettings,
    ),
}
