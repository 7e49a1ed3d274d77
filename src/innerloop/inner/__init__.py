"""The inner loop: what a learner does with a support set."""

from innerloop.inner.adapt import Position, Trajectory, adapt, descend, inner_step
from innerloop.inner.attention import attended
from innerloop.inner.curvature import slope_and_product
from innerloop.inner.gradient import final_gradient, lasting_gradient, transformable
from innerloop.inner.loop import InnerLoop, LearnedRates, Rule, Start
from innerloop.inner.loss import LOSSES, Loss, accuracy, loss_of, weighted
from innerloop.inner.norms import initial_norms
from innerloop.inner.rates import initial_rates
from innerloop.inner.ridge import initial_ridge
from innerloop.inner.rule import Memory
from innerloop.inner.start import refuse_start, started

__all__ = [
    "LOSSES",
    "InnerLoop",
    "LearnedRates",
    "Loss",
    "Memory",
    "Position",
    "Rule",
    "Start",
    "Trajectory",
    "accuracy",
    "adapt",
    "attended",
    "descend",
    "final_gradient",
    "initial_norms",
    "initial_rates",
    "initial_ridge",
    "inner_step",
    "lasting_gradient",
    "loss_of",
    "refuse_start",
    "slope_and_product",
    "started",
    "transformable",
    "weighted",
]
