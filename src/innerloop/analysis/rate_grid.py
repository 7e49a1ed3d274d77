"""Which pair of rates, in training and in adaptation, is best over seeds, and which pairs are as good?

Rows are runs trained at different rates and alike otherwise; each was adapted at the same rates after training.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from innerloop.analysis.inner_lr import Grid, InnerLr, Place
from innerloop.errors import ConfigError
from innerloop.statistics import mean_interval, ranking


@dataclass(frozen=True)
class RateGrid:
    """Accuracy by rate of training (rows) and of adaptation (columns), after one number of inner steps.

    Attributes:
        training: Rates of training, ascending.
        adaptation: Rates of adaptation that all runs were tried at, ascending.
        steps: Inner steps of adaptation.
        accuracy: Mean over seeds with its interval over seeds, in [0, 1]; of one seed alone no width is given (over
            episodes it would not be comparable). None where predictions diverged for a seed.
        best: Row and column of the highest mean.
        as_good: All cells not significantly worse, the best among them, in pairs over the seeds; None for one seed.
        seeds: Those that every row has.
        chance: Accuracy of guessing.
    """

    training: tuple[float, ...]
    adaptation: tuple[float, ...]
    steps: int
    accuracy: Grid
    best: Place
    as_good: tuple[Place, ...] | None
    seeds: tuple[int, ...]
    chance: float


def rate_grid(runs: Mapping[float, Mapping[int, InnerLr]], steps: int, zeroed: bool = False) -> RateGrid:
    """Put what `inner_lr` found for several runs side by side.

    Args:
        runs: By rate of training, by seed.
        steps: Inner steps of adaptation, 1 or more.
        zeroed: Whether the head is zeroed before adaptation.

    Raises:
        ConfigError: They share no seed, or no rate of adaptation, or were not tried with so many steps.
    """
    rates = sorted(runs)
    seeds = sorted(set.intersection(*(set(runs[rate]) for rate in rates))) if rates else []
    every = [runs[rate][seed] for rate in rates for seed in seeds]
    shared = sorted(set.intersection(*(set(each.rates) for each in every))) if every else []
    if not shared or any(each.most < steps for each in every):
        raise ConfigError(
            f"expected runs of common seeds, tried at common rates with {steps} inner steps, got none; explain "
            "inner_lr of all of them with the same settings"
        )

    def mean(each: InnerLr, rate: float) -> float:
        cell = (each.zeroed if zeroed else each.as_trained).accuracy[each.rates.index(rate)][steps]
        return float("nan") if cell is None else cell.mean

    table = np.array(
        [[[mean(runs[row][seed], column) for column in shared] for row in rates] for seed in seeds]
    )  # [seed training adaptation]
    ranked = ranking(table.reshape(len(seeds), -1))
    width = len(shared)
    return RateGrid(
        tuple(rates),
        tuple(shared),
        steps,
        tuple(
            tuple(
                None if np.isnan(table[:, row, column]).any() else mean_interval(table[:, row, column])
                for column in range(width)
            )
            for row in range(len(rates))
        ),
        divmod(ranked.best, width),
        None if ranked.as_good is None else tuple(divmod(each, width) for each in ranked.as_good),
        tuple(seeds),
        every[0].chance,
    )
