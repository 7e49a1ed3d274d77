"""Every analysis's section of the report: a line each, a title, a sentence and captions computed from the results."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from innerloop.report.said import (
    coherence,
    confidence,
    contrast,
    cosine,
    gradient_penalty,
    head_agreement,
    head_memory,
    inner_lr,
    inner_steps,
    interference,
    landscape,
    learned_rates,
    memorization,
    mixed_regression,
    orders,
    permutations,
    representation,
    responsibility,
    tasks,
)


class Section(NamedTuple):
    """How an analysis is told.

    Attributes:
        title: The section's heading.
        say: Maps results by the run's label to what they say, a paragraph a line.
        captions: Maps them to a caption for every figure that `FIGURES` draws.
    """

    title: str
    say: Callable[[Mapping[str, Any]], str]
    captions: Callable[[Mapping[str, Any]], dict[str, str]]


SECTIONS: Mapping[str, Section] = {
    "contrast": Section(contrast.TITLE, contrast.say, contrast.captions),
    "interference": Section(interference.TITLE, interference.say, interference.captions),
    "orders": Section(orders.TITLE, orders.say, orders.captions),
    "memorization": Section(memorization.TITLE, memorization.say, memorization.captions),
    "cosine": Section(cosine.TITLE, cosine.say, cosine.captions),
    "responsibility": Section(responsibility.TITLE, responsibility.say, responsibility.captions),
    "inner_steps": Section(inner_steps.TITLE, inner_steps.say, inner_steps.captions),
    "inner_lr": Section(inner_lr.TITLE, inner_lr.say, inner_lr.captions),
    "gradient_penalty": Section(gradient_penalty.TITLE, gradient_penalty.say, gradient_penalty.captions),
    "learned_rates": Section(learned_rates.TITLE, learned_rates.say, learned_rates.captions),
    "head_agreement": Section(head_agreement.TITLE, head_agreement.say, head_agreement.captions),
    "head_memory": Section(head_memory.TITLE, head_memory.say, head_memory.captions),
    "landscape": Section(landscape.TITLE, landscape.say, landscape.captions),
    "coherence": Section(coherence.TITLE, coherence.say, coherence.captions),
    "representation": Section(representation.TITLE, representation.say, representation.captions),
    "permutations": Section(permutations.TITLE, permutations.say, permutations.captions),
    "tasks": Section(tasks.TITLE, tasks.say, tasks.captions),
    "confidence": Section(confidence.TITLE, confidence.say, confidence.captions),
}


class ToldExperiment(NamedTuple):
    """How an experiment is told: as a section, but of its one result."""

    title: str
    say: Callable[[Any], str]
    captions: Callable[[Any], dict[str, str]]


EXPERIMENT_SECTIONS: Mapping[str, ToldExperiment] = {
    "mixed_regression": ToldExperiment(mixed_regression.TITLE, mixed_regression.say, mixed_regression.captions),
}
