"""The settings of the outer loop."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from innerloop.errors import ConfigError, one_of
from innerloop.training.schedule import Schedule

OuterRule = Literal["adam", "sgd"]
Nonfinite = Literal["stop", "skip", "halve"]

LARGEST = 1e30  # an outer rate that float32 holds, also after Adam has divided it by what is left of a first moment


@dataclass(frozen=True)
class TrainingConfig:
    """The outer loop.

    Attributes:
        steps: Outer steps in all.
        tasks: Episodes in the batch of one outer step.
        pool: How many different episodes training sees, again and again with their slots dealt anew; 0 is no end. 1 is
            kao2022's experiment on a single task, 10,000 its pool for mini-ImageNet.
        outer_lr: Learning rate of the outer step.
        outer_rule: `adam`, as the papers, or `sgd`, plain: under it the head is a sum of past queries (kao2022).
        outer_schedule: What becomes of that rate over training: `constant`, or falling to 0 as a `cosine` or `linear`.
        nonfinite: What becomes of an outer step whose loss, gradient or result is not finite: `stop` ends training
            with an error; `skip` makes no update and goes on; `halve` too, with half the outer rate from then on.
        clip: Largest Euclidean norm of the whole meta-gradient; a longer one is scaled down to it. By default any.
    """

    steps: int = 600
    tasks: int = 16
    pool: int = 0
    outer_lr: float = 1e-3
    outer_rule: OuterRule = "adam"
    outer_schedule: Schedule = "constant"
    nonfinite: Nonfinite = "stop"
    clip: float | None = None

    def __post_init__(self) -> None:
        one_of("training.outer_schedule", self.outer_schedule, get_args(Schedule))
        one_of("training.outer_rule", self.outer_rule, get_args(OuterRule))
        one_of("training.nonfinite", self.nonfinite, get_args(Nonfinite))
        for name, least in (("steps", 0), ("tasks", 1), ("pool", 0)):
            value = getattr(self, name)
            if value < least:
                raise ConfigError(f"expected training.{name} of at least {least}, got {value}; ask for more")
        if not 0 < self.outer_lr <= LARGEST:
            raise ConfigError(
                f"expected training.outer_lr above 0 and up to {LARGEST:g}, got {self.outer_lr}; the papers use 0.001"
            )
        if self.clip is not None and not (self.clip > 0 and math.isfinite(self.clip)):
            raise ConfigError(
                f"expected a positive, finite training.clip, got {self.clip}; 10 is usual, leave it out for none"
            )
