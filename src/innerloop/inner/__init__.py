"""The inner loop: what a learner does with a support set."""

from innerloop.inner.adapt import InnerLoop, Trajectory, adapt
from innerloop.inner.gradient import final_gradient
from innerloop.inner.loss import LOSSES, accuracy, weighted

__all__ = ["LOSSES", "InnerLoop", "Trajectory", "accuracy", "adapt", "final_gradient", "weighted"]
