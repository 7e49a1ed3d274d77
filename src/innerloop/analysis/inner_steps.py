"""How many inner steps does a learner need at test, with its head as trained and with the head zeroed?

One trajectory of the most steps gives the accuracy after every smaller number of them, on the same episodes, so that
numbers of steps are compared in pairs.

Source: kao2022, section 4 and figure 4 ("a larger number of steps is not necessary"); the paired tests are ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from innerloop.analysis.subject import Subject
from innerloop.errors import ConfigError, DataError
from innerloop.params import norm, zeroed
from innerloop.statistics import Interval, mean_interval, paired_difference
from innerloop.training import score_by_step


@dataclass(frozen=True)
class InnerStepsSettings:
    """What is tried.

    Attributes:
        most: The largest number of inner steps at test; every number from 0 to this is tried.
    """

    most: int = 10

    def __post_init__(self) -> None:
        if self.most < 1:
            raise ConfigError(
                f"expected at least 1 inner step to try, got most={self.most}; ask for 1 or more, 10 are usual"
            )


@dataclass(frozen=True)
class Arm:
    """What the number of inner steps does to accuracy, for one way to start the head.

    Attributes:
        accuracy: After 0, 1, ..., `most` inner steps, in [0, 1].
        best: The number of steps of the highest mean; the fewest, where several share it.
        enough: The fewest steps that are not significantly worse than the best: the 95% interval of the paired
            difference includes 0. None for a single episode, which has no interval.
        gain_of_best: Accuracy of the best minus accuracy after one step, in pairs. The best is chosen on these very
            episodes, so that this is never below 0 and flatters it.
        gain_of_most: Accuracy after `most` steps minus accuracy after one, in pairs; nothing is chosen here.
    """

    accuracy: tuple[Interval, ...]
    best: int
    enough: int | None
    gain_of_best: Interval
    gain_of_most: Interval


@dataclass(frozen=True)
class InnerSteps:
    """Accuracy by inner steps at test.

    Attributes:
        training_steps: Inner steps in training.
        test_steps: Inner steps that the learner is tested with as a rule.
        most: The largest number of steps that was tried.
        head_norm: Norm of all the head's parameters before adaptation.
        head_is_zero: Whether they are all 0, so that both arms are one.
        as_tested: Accuracy after `test_steps`, with the head as trained.
        as_trained: By steps, with the head as training left it.
        zeroed: By steps, with the head set to zero before adaptation.
    """

    training_steps: int
    test_steps: int
    most: int
    head_norm: float
    head_is_zero: bool
    as_tested: Interval
    as_trained: Arm
    zeroed: Arm


def measure(subject: Subject, settings: InnerStepsSettings | None = None) -> InnerSteps:
    """Test a learner with every number of inner steps, at its rate of the test.

    Raises:
        DivergedError: Some number of steps makes predictions that are not finite.
        DataError: There is no episode to test on.
    """
    most = (settings or InnerStepsSettings()).most
    learner, usual = subject.tested.learner, subject.tested.inner.steps
    head = learner.head_params(subject.params)
    algorithm = subject.tested.with_inner(steps=max(most, usual))
    without_head = zeroed(subject.params, learner.head_names)
    is_zero = not any(bool(torch.any(value)) for value in head.values())
    rows: list[list[float]] = []
    zero_rows: list[list[float]] = []
    for probe in subject.probes():
        rows.append(score_by_step(algorithm, subject.params, probe.episode))
        zero_rows.append(rows[-1] if is_zero else score_by_step(algorithm, without_head, probe.episode))
    if not rows:
        raise DataError("expected at least one episode to test inner steps on, got none; ask for more episodes")
    scores, zero_scores = np.array(rows), np.array(zero_rows)
    size = norm({name: value.double() for name, value in head.items()}).item()
    return InnerSteps(
        training_steps=subject.trained.inner.steps,
        test_steps=usual,
        most=most,
        head_norm=size,
        head_is_zero=is_zero,
        as_tested=mean_interval(scores[:, usual]),
        as_trained=arm(scores[:, : most + 1]),
        zeroed=arm(zero_scores[:, : most + 1]),
    )


def arm(scores: NDArray[np.float64] | Sequence[Sequence[float]]) -> Arm:
    """Return what accuracies [episode, step] say, step 0 being before adaptation; at least one episode and one step."""
    columns = np.asarray(scores, dtype=np.float64).T
    best = int(np.argmax(columns.mean(axis=1)))
    behind = [paired_difference(columns[best], column) for column in columns]
    return Arm(
        accuracy=tuple(mean_interval(column) for column in columns),
        best=best,
        enough=None if columns.shape[1] == 1 else next(step for step, gap in enumerate(behind) if gap.low <= 0),
        gain_of_best=paired_difference(columns[best], columns[1]),
        gain_of_most=paired_difference(columns[-1], columns[1]),
    )
