"""All analyses of a learner, in the order in which a reader asks: a line each."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from innerloop.analysis import (
    coherence,
    confidence,
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
    parts,
    permutations,
    representation,
    responsibility,
    tasks,
)


class Analysis(NamedTuple):
    """One analysis.

    Attributes:
        summary: What it answers, for the list on the command line.
        measure: Maps a Subject, and its settings where it has any, to a result.
        result: The kind of result, a frozen dataclass that goes to plain values and back.
        episodes: How many probe episodes give a good answer; 0 where none are looked at.
        settings: The kind of its settings, a frozen dataclass with defaults; None where there is nothing to set.
        of_training: Whether it looks at the inner loop of training, which no option of the test changes.
        of_seeds: Whether it says something of several seeds together that it does not say of one.
    """

    summary: str
    measure: Callable[..., Any]
    result: type
    episodes: int
    settings: type | None = None
    of_training: bool = False
    of_seeds: bool = False


ANALYSES: Mapping[str, Analysis] = {
    "contrast": Analysis(
        "the meta-gradient's contrastive part and its interference: sizes, directions, signs, what is left out",
        parts.measure,
        parts.Contrast,
        100,
        of_training=True,
    ),
    "interference": Analysis(
        "where the interference comes from: the head's first value, which earlier outer steps, which past queries",
        interference.measure,
        interference.Interference,
        100,
        interference.InterferenceSettings,
        of_training=True,
    ),
    "orders": Analysis(
        "first and second order side by side: what the second adds, where both point, what Equation 8 leaves out",
        orders.measure,
        orders.Orders,
        100,
        of_training=True,
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
    "responsibility": Analysis(
        "which support examples are to blame for false positives and negatives, and what removing them does",
        responsibility.measure,
        responsibility.Responsibility,
        200,
        responsibility.ResponsibilitySettings,
    ),
    "inner_steps": Analysis(
        "accuracy by inner steps at test, with the head as trained and zeroed: how many steps are needed",
        inner_steps.measure,
        inner_steps.InnerSteps,
        300,
        inner_steps.InnerStepsSettings,
    ),
    "inner_lr": Analysis(
        "accuracy by rate of adaptation, of both signs, and inner steps: which are best, and which as good",
        inner_lr.measure,
        inner_lr.InnerLr,
        100,
        inner_lr.InnerLrSettings,
    ),
    "gradient_penalty": Analysis(
        "what the inner rate does to the objective: a reward or penalty of the task's gradient, curvature, the rest",
        gradient_penalty.measure,
        gradient_penalty.GradientPenalty,
        100,
        gradient_penalty.GradientPenaltySettings,
        of_training=True,
    ),
    "learned_rates": Analysis(
        "signs and sizes of learned inner rates by layer and inner step, at first, over training and now",
        learned_rates.measure,
        learned_rates.LearnedInnerRates,
        0,
        of_training=True,
    ),
    "head_agreement": Analysis(
        "what the adapted head is, beside nearest centroids, logistic regression and centres of all training classes",
        head_agreement.measure,
        head_agreement.HeadAgreement,
        200,
        head_agreement.HeadAgreementSettings,
    ),
    "head_memory": Analysis(
        "what trains the encoder: contrast with batches that the head remembers, or the head the inner loop began with",
        head_memory.measure,
        head_memory.HeadMemory,
        30,
        head_memory.HeadMemorySettings,
        of_training=True,
    ),
    "landscape": Analysis(
        "the loss around the learner, before and after adaptation and along its paths; how it bends, layer by layer",
        landscape.measure,
        landscape.Landscape,
        3,
        landscape.LandscapeSettings,
    ),
    "coherence": Analysis(
        "over training: how flat and how far adapted solutions are, how alike tasks pull, and what goes with accuracy",
        coherence.measure,
        coherence.Coherence,
        30,
        coherence.CoherenceSettings,
        of_seeds=True,
    ),
    "representation": Analysis(
        "what adaptation changes by layer, what of it is needed, and how features gather by class",
        representation.measure,
        representation.Representation,
        100,
        representation.RepresentationSettings,
    ),
    "permutations": Analysis(
        "accuracy under every assignment of an episode's classes to slots: best, worst, and all of them together",
        permutations.measure,
        permutations.Permutations,
        30,
        permutations.PermutationsSettings,
    ),
    "tasks": Analysis(
        "how tasks relate, and whether a new one is a combination of those trained on",
        tasks.measure,
        tasks.Tasks,
        100,
        tasks.TasksSettings,
    ),
    "confidence": Analysis(
        "how sure one can be of a new task from its support alone: scores, bounds that hold as often as they say",
        confidence.measure,
        confidence.Confidence,
        200,
        confidence.ConfidenceSettings,
    ),
}


class Experiment(NamedTuple):
    """One experiment that needs no learner.

    Attributes:
        summary: What it answers, for the list on the command line.
        measure: Maps its settings, and a watch that shows how far it has come, to a result.
        result: The kind of result, a frozen dataclass that goes to plain values and back.
        settings: The kind of its settings, a frozen dataclass with defaults.
    """

    summary: str
    measure: Callable[..., Any]
    result: type
    settings: type


EXPERIMENTS: Mapping[str, Experiment] = {
    "mixed_regression": Experiment(
        "the best training and the best adaptation rate of a world that can be solved, by theory and in simulation",
        mixed_regression.measure,
        mixed_regression.MixedRegression,
        mixed_regression.MixedRegressionSettings,
    ),
}
