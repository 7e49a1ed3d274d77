"""Training: the outer loop, what becomes of the head between its steps, and how good the result is."""

from innerloop.training.config import TrainingConfig
from innerloop.training.evaluate import (
    TOGETHER,
    Evaluation,
    EvaluationConfig,
    Measure,
    TestHead,
    evaluate,
    score_by_step,
    zeroing_changes_nothing,
)
from innerloop.training.head_reset import reset_head
from innerloop.training.loop import has_moments_of, train
from innerloop.training.state import State, initial_state

__all__ = [
    "TOGETHER",
    "Evaluation",
    "EvaluationConfig",
    "Measure",
    "State",
    "TestHead",
    "TrainingConfig",
    "evaluate",
    "has_moments_of",
    "initial_state",
    "reset_head",
    "score_by_step",
    "train",
    "zeroing_changes_nothing",
]
