"""Where training stands: a value that can be kept, written, and gone on from."""

from dataclasses import dataclass, field, replace

import torch

from innerloop.algorithms import Algorithm
from innerloop.params import snapshot
from innerloop.shapes import Params
from innerloop.training.head_reset import reset_head


@dataclass(frozen=True, eq=False)
class State:
    """Where training stands after `step` outer steps.

    Attributes:
        step: Outer steps done.
        params: The meta-learned parameters.
        optimizer: The outer optimizer's tensors, named `parameter/what`.
        first_head: The head's first value, for the policy that puts it back.
        loss: Mean query loss over the last step's tasks, in nats for cross-entropy; NaN before the first step.
        accuracy: Mean query accuracy over the last step's tasks, in [0, 1]; NaN before the first step.
        skipped: Where the last step was not finite (`task 3, parameter 'head.weight'`), so that it made no update and
            has neither loss nor accuracy; empty after any other step.
        in_a_row: How many steps without an update lie directly behind.
        rate: Factor on the outer rate beside its schedule's: 1, halved at every such step under `halve`.
        gradient_norm: Euclidean norm of the last step's meta-gradient before clipping; NaN where none is asked for.
    """

    step: int
    params: Params
    optimizer: Params = field(default_factory=dict)
    first_head: Params = field(default_factory=dict)
    loss: float = float("nan")
    accuracy: float = float("nan")
    skipped: str = ""
    in_a_row: int = 0
    rate: float = 1.0
    gradient_norm: float = float("nan")

    def on(self, device: torch.device) -> "State":
        """Return the state with its tensors on a device; the optimizer's counts stay where they are read."""

        def moved(values: Params) -> Params:
            return {name: value.to(device) for name, value in values.items()}

        counts = {name: value for name, value in self.optimizer.items() if is_count(name)}
        return replace(
            self,
            params=moved(self.params),
            optimizer={**moved(self.optimizer), **counts},
            first_head=moved(self.first_head),
        )


def is_count(name: str) -> bool:
    """Whether this tensor of an optimizer is the count of its steps, which it reads on the CPU."""
    return name.endswith("/step")


def initial_state(algorithm: Algorithm, params: Params) -> State:
    """Return the state before the first outer step; the zeroing trick zeroes the head here already.

    Args:
        algorithm: Whose head policy it is.
        params: `algorithm.initial_params()`, or others to go on from.
    """
    first_head = snapshot(algorithm.learner.head_params(params))
    return State(0, reset_head(algorithm, snapshot(params), first_head, 0), first_head=first_head)
