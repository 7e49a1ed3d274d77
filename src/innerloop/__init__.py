"""innerloop: train gradient-based meta-learners, and explain them.

The names a user needs, in the order of the flow: data, learner, inner loop, algorithm, training, runs; the analyses
stand in `innerloop.analysis`, the figures in `innerloop.figures`. A name is imported when it is first asked for, so
that the command line can answer, and be interrupted, before torch is there.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from innerloop.algorithms import Algorithm, AlgorithmConfig
    from innerloop.algorithms import build as build_algorithm
    from innerloop.data import DataConfig, load
    from innerloop.data.episode import Episode, EpisodeShape, Examples
    from innerloop.data.sampler import draw, draw_batch
    from innerloop.engine import Chosen, EngineConfig
    from innerloop.errors import InnerloopError
    from innerloop.inner import InnerLoop
    from innerloop.models import Learner, ModelConfig
    from innerloop.models import build as build_learner
    from innerloop.modules import MAML, MetaSGD
    from innerloop.runs import Recipe, open_run
    from innerloop.training import EvaluationConfig, TrainingConfig, evaluate, initial_state, train

__version__ = "0.1.0"

_HOMES = {
    "Algorithm": ("innerloop.algorithms", "Algorithm"),
    "AlgorithmConfig": ("innerloop.algorithms", "AlgorithmConfig"),
    "Chosen": ("innerloop.engine", "Chosen"),
    "DataConfig": ("innerloop.data", "DataConfig"),
    "EngineConfig": ("innerloop.engine", "EngineConfig"),
    "Episode": ("innerloop.data.episode", "Episode"),
    "EpisodeShape": ("innerloop.data.episode", "EpisodeShape"),
    "EvaluationConfig": ("innerloop.training", "EvaluationConfig"),
    "Examples": ("innerloop.data.episode", "Examples"),
    "InnerLoop": ("innerloop.inner", "InnerLoop"),
    "InnerloopError": ("innerloop.errors", "InnerloopError"),
    "Learner": ("innerloop.models", "Learner"),
    "MAML": ("innerloop.modules", "MAML"),
    "MetaSGD": ("innerloop.modules", "MetaSGD"),
    "ModelConfig": ("innerloop.models", "ModelConfig"),
    "Recipe": ("innerloop.runs", "Recipe"),
    "TrainingConfig": ("innerloop.training", "TrainingConfig"),
    "build_algorithm": ("innerloop.algorithms", "build"),
    "build_learner": ("innerloop.models", "build"),
    "draw": ("innerloop.data.sampler", "draw"),
    "draw_batch": ("innerloop.data.sampler", "draw_batch"),
    "evaluate": ("innerloop.training", "evaluate"),
    "initial_state": ("innerloop.training", "initial_state"),
    "load": ("innerloop.data", "load"),
    "open_run": ("innerloop.runs", "open_run"),
    "train": ("innerloop.training", "train"),
}

__all__ = [
    "MAML",
    "Algorithm",
    "AlgorithmConfig",
    "Chosen",
    "DataConfig",
    "EngineConfig",
    "Episode",
    "EpisodeShape",
    "EvaluationConfig",
    "Examples",
    "InnerLoop",
    "InnerloopError",
    "Learner",
    "MetaSGD",
    "ModelConfig",
    "Recipe",
    "TrainingConfig",
    "__version__",
    "build_algorithm",
    "build_learner",
    "draw",
    "draw_batch",
    "evaluate",
    "initial_state",
    "load",
    "open_run",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'innerloop' has no attribute '{name}'")
    room, own = _HOMES[name]
    return getattr(import_module(room), own)
