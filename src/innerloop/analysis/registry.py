"""All analyses of a learner, in the order in which a reader asks: a line each."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from innerloop.analysis import interference, parts, responsibility


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
    "interference": Analysis(
        "where the interference comes from: the head's first value, which earlier outer steps, which past queries",
        interference.measure,
        interference.Interference,
        100,
        interference.InterferenceSettings,
    ),
    "responsibility": Analysis(
        "which support examples are to blame for false positives and negatives, and what removing them does",
        responsibility.measure,
        responsibility.Responsibility,
        200,
        responsibility.ResponsibilitySettings,
    ),
}
