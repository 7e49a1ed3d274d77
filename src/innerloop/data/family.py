"""A family of tasks given by a formula: every episode is drawn from a distribution, no example is stored."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from innerloop.data.episode import Episode, EpisodeShape


@dataclass(frozen=True, eq=False)
class Family:
    """One side of a data set whose tasks are drawn, not stored.

    Attributes:
        data_set: The data set's name.
        name: `train`, `validation` or `test`; the sides differ in their random streams alone.
        input_shape: The shape of one example's input.
        outputs: How many real numbers a target has; None where targets are class slots.
        sample: Draws one task with its support and query, given the shape and a generator.
    """

    data_set: str
    name: str
    input_shape: tuple[int, ...]
    outputs: int | None
    sample: Callable[[EpisodeShape, torch.Generator], Episode]
