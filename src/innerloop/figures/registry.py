"""Every analysis's figures: a line each. A drawing maps results by the run's label to figures by name."""

from collections.abc import Callable, Mapping
from typing import Any

from matplotlib.figure import Figure

from innerloop.figures import (
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

FIGURES: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Figure]]] = {
    "contrast": contrast.draw,
    "interference": interference.draw,
    "orders": orders.draw,
    "memorization": memorization.draw,
    "cosine": cosine.draw,
    "responsibility": responsibility.draw,
    "inner_steps": inner_steps.draw,
    "inner_lr": inner_lr.draw,
    "gradient_penalty": gradient_penalty.draw,
    "learned_rates": learned_rates.draw,
    "head_agreement": head_agreement.draw,
    "head_memory": head_memory.draw,
    "landscape": landscape.draw,
    "coherence": coherence.draw,
    "representation": representation.draw,
    "permutations": permutations.draw,
    "tasks": tasks.draw,
    "confidence": confidence.draw,
}

# An experiment's drawing maps its one result to figures by name.
EXPERIMENT_FIGURES: Mapping[str, Callable[[Any], dict[str, Figure]]] = {
    "mixed_regression": mixed_regression.draw,
}
