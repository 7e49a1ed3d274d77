"""Engines: how a function of one episode is mapped over a batch of tasks."""

from innerloop.engine.batch_gradient import BatchGradient
from innerloop.engine.loop import Engine, Loop, mean_meta_gradient

__all__ = ["BatchGradient", "Engine", "Loop", "mean_meta_gradient"]
