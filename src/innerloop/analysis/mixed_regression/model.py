"""What is a world of mixed linear regression: how large it is, and how its tasks differ?

    a task's weights    w = w0 + spread / sqrt(dimensions) * N(0, I)
    its points          x = N(0, I),   y = w . x + N(0, noise)

The learner is linear and begins at `start_distance` from w0. It takes one step of gradient descent on half the mean
squared error of a task's inner points, and is judged by its outer points; half their squared error, summed over all
tasks, is minimised exactly.

Source: bernacchia2021.
"""

import math
from dataclasses import dataclass

from innerloop.errors import ConfigError


@dataclass(frozen=True)
class Regression:
    """The sizes of a world.

    Attributes:
        dimensions: Of an input, and so of a task's weights (p).
        tasks: Training tasks (m).
        inner_points: Points of a training task for the inner step (n_t).
        outer_points: Points of a training task for the outer loss (n_v).
        test_points: Points of a test task to adapt on (n_r).
        noise: Variance of a target around its task's line (s2).
        spread: Root of the expected squared distance of a task's weights from w0 (nu).
        start_distance: Distance of the learner from w0 before training.
    """

    dimensions: int
    tasks: int
    inner_points: int
    outer_points: int
    test_points: int
    noise: float = 1.0
    spread: float = 0.5
    start_distance: float = 0.0

    def __post_init__(self) -> None:
        for name in ("dimensions", "tasks", "inner_points", "outer_points", "test_points"):
            if getattr(self, name) < 1:
                raise ConfigError(f"expected {name} of at least 1, got {getattr(self, name)}; ask for 1 or more")
        for name in ("noise", "spread", "start_distance"):
            value = getattr(self, name)
            if not (value >= 0 and math.isfinite(value)):
                raise ConfigError(f"expected {name}, a number of at least 0, got {value}; correct it")
        if abs(self.equations - self.dimensions) < 2:
            raise ConfigError(
                f"expected tasks * outer_points at least 2 away from dimensions={self.dimensions}, got "
                f"{self.equations}; in between the mean loss is infinite, so change one of them"
            )

    @property
    def equations(self) -> int:
        """How many outer points there are in all."""
        return self.tasks * self.outer_points

    @property
    def is_over(self) -> bool:
        """Whether it is over-parameterised: many weights fit all outer points, and those nearest to the start win."""
        return self.dimensions > self.equations
