"""Bernacchia's exact model of the inner rates: mixed linear regression, simulated and in closed form."""

from innerloop.analysis.mixed_regression.experiment import (
    Curve,
    MixedRegression,
    MixedRegressionSettings,
    Regime,
    at,
    measure,
    simulated,
)
from innerloop.analysis.mixed_regression.model import Regression
from innerloop.analysis.mixed_regression.simulation import TrainingTasks, adapted_losses, draw, trained
from innerloop.analysis.mixed_regression.theory import (
    best_adaptation_rate,
    best_over_rate,
    best_training_rate,
    best_under_rate,
    contraction,
    distance,
    loss_at_test,
    over_distance,
    slope_at_zero,
    under_distance,
    worst_over_rate,
)
from innerloop.analysis.mixed_regression.wishart import mean_of_traces

__all__ = [
    "Curve",
    "MixedRegression",
    "MixedRegressionSettings",
    "Regime",
    "Regression",
    "TrainingTasks",
    "adapted_losses",
    "at",
    "best_adaptation_rate",
    "best_over_rate",
    "best_training_rate",
    "best_under_rate",
    "contraction",
    "distance",
    "draw",
    "loss_at_test",
    "mean_of_traces",
    "measure",
    "over_distance",
    "simulated",
    "slope_at_zero",
    "trained",
    "under_distance",
    "worst_over_rate",
]
