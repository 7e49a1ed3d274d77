"""Is the best training rate negative and the best adaptation rate positive, in simulation and in theory?

An over- and an under-parameterised world are trained at a grid of training rates and tested at a grid of adaptation
rates. Test losses are simulated, not computed from distances, so that G1 is tested too.

Source: bernacchia2021.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from innerloop.analysis.mixed_regression import theory
from innerloop.analysis.mixed_regression.model import Regression
from innerloop.analysis.mixed_regression.simulation import adapted_losses, draw, trained
from innerloop.data.storage import Watch, unwatched
from innerloop.errors import ConfigError
from innerloop.seeds import generator
from innerloop.statistics import Interval, mean_interval, paired_difference

AT_ONCE = 50  # worlds: what is drawn of them fits into a cache's memory many times over

OVER = Regression(dimensions=60, tasks=3, inner_points=30, outer_points=2, test_points=20)
UNDER = Regression(dimensions=20, tasks=40, inner_points=30, outer_points=5, test_points=20)

LARGEST = 1e6  # of a rate: its fourth power still leaves digits to tell losses apart


@dataclass(frozen=True)
class MixedRegressionSettings:
    """What is simulated.

    Attributes:
        over: A world with more dimensions than outer points.
        under: A world with fewer.
        training_rates: Inner rates to train at, of any sign, 0 among them or not.
        adaptation_rates: Inner rates to test at, likewise.
        training_rate: The training rate at which adaptation rates are compared; by default the predicted best.
        adaptation_rate: The adaptation rate at which training rates are compared.
        worlds: How many worlds are drawn of each kind; intervals are over them.
        test_tasks: How many tasks each is tested on.
        seed: Decides them.
    """

    over: Regression = OVER
    under: Regression = UNDER
    training_rates: tuple[float, ...] = (-2, -1.5, -1.2, -1, -0.8, -0.6, -0.4, -0.2, 0, 0.2, 0.4, 0.6, 0.8, 1, 1.5, 2)
    adaptation_rates: tuple[float, ...] = (-0.2, -0.1, 0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)
    training_rate: float | None = None
    adaptation_rate: float = 0.2
    worlds: int = 4000
    test_tasks: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.over.is_over or self.under.is_over:
            name, model, expected = (
                ("under", self.under, "above") if self.over.is_over else ("over", self.over, "below")
            )
            raise ConfigError(
                f"expected {name}.tasks * {name}.outer_points {expected} {name}.dimensions={model.dimensions}, got "
                f"{model.equations}; change one of them"
            )
        for name in ("training_rates", "adaptation_rates"):
            _check_rates(name, getattr(self, name))
        for name in ("training_rate", "adaptation_rate"):
            if not abs(getattr(self, name) or 0) <= LARGEST:
                raise ConfigError(
                    f"expected {name} of a size up to {LARGEST:g}, got {getattr(self, name)}; -1 to 1 is usual"
                )
        if self.over.noise == 0:
            raise ConfigError(
                "expected over.noise above 0, got 0; without noise all training rates of an over-parameterised world "
                "are alike"
            )
        if self.worlds < 2:
            raise ConfigError(f"expected worlds of at least 2 for an interval, got {self.worlds}; ask for more")
        if self.test_tasks < 1:
            raise ConfigError(f"expected test_tasks of at least 1, got {self.test_tasks}; ask for 1 or more")


@dataclass(frozen=True)
class Curve:
    """Test loss by one rate, the other held.

    Attributes:
        rates: In rising order.
        loss: As simulated.
        predicted: By theory.
        best: The rate of the smallest mean that was simulated.
        alike: The smallest and the largest rate not significantly worse than that, in pairs over worlds at 95%.
        predicted_best: The best rate by theory; it need not stand among the rates.
    """

    rates: tuple[float, ...]
    loss: tuple[Interval, ...]
    predicted: tuple[float, ...]
    best: float
    alike: tuple[float, float]
    predicted_best: float


@dataclass(frozen=True)
class Regime:
    """What one kind of world says.

    Attributes:
        model: Its sizes.
        training: Test loss by training rate, at the adaptation rate of the settings.
        distance: Squared distance of the trained weights from w0 by training rate (R).
        predicted_distance: The same by theory (G2, G4).
        departure: What was simulated minus what G1 makes of that distance, by training rate; 0 on average.
        gain: Loss at a training rate of 0 minus loss at the predicted best, in pairs: nothing is chosen here.
        adaptation: Test loss by adaptation rate, at `training_rate`.
        training_rate: The training rate of that.
    """

    model: Regression
    training: Curve
    distance: tuple[Interval, ...]
    predicted_distance: tuple[float, ...]
    departure: tuple[Interval, ...]
    gain: Interval
    adaptation: Curve
    training_rate: float


@dataclass(frozen=True)
class MixedRegression:
    """Theory against simulation.

    Attributes:
        adaptation_rate: At which training rates were compared.
        worlds: How many were drawn of each kind.
        over: The over-parameterised kind.
        under: The under-parameterised kind.
    """

    adaptation_rate: float
    worlds: int
    over: Regime
    under: Regime


def measure(settings: MixedRegressionSettings | None = None, watch: Watch = unwatched) -> MixedRegression:
    """Simulate both kinds of worlds and hold theory against them.

    Args:
        settings: What is simulated.
        watch: Shows how far it has come.
    """
    chosen = settings or MixedRegressionSettings()
    return MixedRegression(
        chosen.adaptation_rate,
        chosen.worlds,
        _regime("over-parameterised", chosen.over, chosen, watch),
        _regime("under-parameterised", chosen.under, chosen, watch),
    )


def simulated(
    model: Regression,
    rates: Sequence[float],
    worlds: int,
    test_tasks: int,
    *,
    rng: torch.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw worlds, train at every rate, and test.

    Returns:
        Squared distances from w0 [world rate], and test losses as polynomials of the adaptation rate [world rate 3].
    """
    tasks = draw(model, worlds, rng=rng)
    weights = torch.stack([trained(model, tasks, rate) for rate in rates], 1)
    return (weights**2).sum(-1).numpy(), adapted_losses(model, weights, test_tasks, rng=rng).numpy()


def at(losses: NDArray[np.float64], rate: float) -> NDArray[np.float64]:
    """Return the losses [...] at one adaptation rate, of polynomials [... 3] of it."""
    values: NDArray[np.float64] = losses @ np.array([1.0, rate, rate**2])
    return values


def _regime(label: str, model: Regression, settings: MixedRegressionSettings, watch: Watch) -> Regime:
    best = theory.best_training_rate(model)
    own = best if settings.training_rate is None else settings.training_rate
    rates = tuple(sorted(settings.training_rates))
    parts = [
        simulated(
            model,
            [*rates, 0.0, best, own],
            min(AT_ONCE, settings.worlds - first),
            settings.test_tasks,
            rng=generator(settings.seed, "mixed_regression", label, first),
        )
        for first in watch(label, range(0, settings.worlds, AT_ONCE))
    ]
    distances, losses = (np.concatenate([part[which] for part in parts]) for which in (0, 1))
    by_training = at(losses, settings.adaptation_rate)
    adaptation = tuple(sorted(settings.adaptation_rates))
    by_adaptation = np.stack([at(losses[:, -1], rate) for rate in adaptation], 1)
    predicted = [theory.distance(model, rate) for rate in rates]
    far = theory.distance(model, own)
    exact = [[theory.loss_at_test(model, settings.adaptation_rate, each) for each in world] for world in distances]
    count = len(rates)
    return Regime(
        model=model,
        training=_curve(
            rates,
            by_training[:, :count],
            [theory.loss_at_test(model, settings.adaptation_rate, each) for each in predicted],
            best,
        ),
        distance=tuple(mean_interval(each) for each in distances[:, :count].T),
        predicted_distance=tuple(predicted),
        departure=tuple(mean_interval(each) for each in (by_training - np.array(exact))[:, :count].T),
        gain=paired_difference(by_training[:, count], by_training[:, count + 1]),
        adaptation=_curve(
            adaptation,
            by_adaptation,
            [theory.loss_at_test(model, rate, far) for rate in adaptation],
            theory.best_adaptation_rate(model, far),
        ),
        training_rate=own,
    )


def _curve(
    rates: tuple[float, ...], losses: NDArray[np.float64], predicted: Sequence[float], predicted_best: float
) -> Curve:
    """Return what losses [world rate] say."""
    best = int(losses.mean(0).argmin())
    alike = [
        rate
        for rate, column in zip(rates, losses.T, strict=True)
        if paired_difference(column, losses[:, best]).low <= 0
    ]
    return Curve(
        rates=rates,
        loss=tuple(mean_interval(column) for column in losses.T),
        predicted=tuple(predicted),
        best=rates[best],
        alike=(min(alike), max(alike)),
        predicted_best=predicted_best,
    )


def _check_rates(name: str, rates: Sequence[Any]) -> None:
    if not rates:
        raise ConfigError(f"expected rates in {name}, got none; [-1,0,1] is a beginning")
    for rate in rates:
        if not abs(rate) <= LARGEST:
            raise ConfigError(f"expected rates of a size up to {LARGEST:g} in {name}, got {rate:g}; -1 to 1 is usual")
    twice = [rate for rate in rates if list(rates).count(rate) > 1]
    if twice:
        raise ConfigError(f"expected every rate once in {name}, got {twice[0]:g} twice; leave one out")
