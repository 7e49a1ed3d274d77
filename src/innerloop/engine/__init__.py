"""Engines: how a function of one episode is mapped over a batch of tasks."""

from innerloop.engine.loop import BatchGradient, mean_meta_gradient

__all__ = ["BatchGradient", "mean_meta_gradient"]
