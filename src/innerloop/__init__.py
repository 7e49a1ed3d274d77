"""innerloop: train gradient-based meta-learners, and explain them.

The names a user needs, in the order of the flow: data, learner, inner loop, algorithm, training, runs; the analyses
stand in `innerloop.analysis`, the figures in `innerloop.figures`.
"""

from innerloop.algorithms import Algorithm, AlgorithmConfig
from innerloop.algorithms import build as build_algorithm
from innerloop.data import DataConfig, load
from innerloop.data.episode import Episode, EpisodeShape, Examples
from innerloop.data.sampler import draw, draw_batch
from innerloop.errors import InnerloopError
from innerloop.inner import InnerLoop
from innerloop.models import Learner, ModelConfig
from innerloop.models import build as build_learner
from innerloop.runs import Recipe, open_run
from innerloop.training import TrainingConfig, evaluate, initial_state, train

__version__ = "0.1.0"

__all__ = [
    "Algorithm",
    "AlgorithmConfig",
    "DataConfig",
    "Episode",
    "EpisodeShape",
    "Examples",
    "InnerLoop",
    "InnerloopError",
    "Learner",
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
