"""All analyses of a learner, in the order in which a reader asks: a line each."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from innerloop.analysis import cosine, memorization, parts


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
    "memorization": Analysis(
        "what the inner loop stores in the head: support features, prototypes, or the slots classes sit in",
        memorization.measure,
        memorization.Memorization,
        100,
    ),
    "cosine": Analysis(
        "how close features of one class lie and how far from others, and the loss as inner products of features",
        cosine.measure,
        cosine.Separation,
        100,
    ),
}
