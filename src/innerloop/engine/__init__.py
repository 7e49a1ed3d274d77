"""Engines: how a function of one episode is mapped over a batch of tasks."""

from innerloop.engine.batch_gradient import BatchGradient
from innerloop.engine.choice import Chosen, Made, build, cores
from innerloop.engine.config import EngineConfig
from innerloop.engine.device import device_of
from innerloop.engine.loop import Engine, Loop

__all__ = [
    "BatchGradient",
    "Chosen",
    "Engine",
    "EngineConfig",
    "Loop",
    "Made",
    "build",
    "cores",
    "device_of",
]
