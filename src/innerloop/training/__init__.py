"""Training: the outer loop, what becomes of the head between its steps, and how good the result is."""

from innerloop.training.evaluate import Evaluation, EvaluationConfig, accuracy_by_step, evaluate
from innerloop.training.head_reset import HeadReset, reset_head
from innerloop.training.loop import State, TrainingConfig, initial_state, train

__all__ = [
    "Evaluation",
    "EvaluationConfig",
    "HeadReset",
    "State",
    "TrainingConfig",
    "accuracy_by_step",
    "evaluate",
    "initial_state",
    "reset_head",
    "train",
]
