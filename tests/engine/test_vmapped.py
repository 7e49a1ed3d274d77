import pytest
import torch
from torch import nn

from innerloop.algorithms import AlgorithmConfig, build
from innerloop.data.episode import Episode, stacked, tasks
from innerloop.engine import EngineConfig, Loop
from innerloop.engine import build as build_engine
from innerloop.engine.vmapped import Vmapped
from innerloop.errors import ConfigError, EngineWarning
from innerloop.inner import InnerLoop
from innerloop.models import Learner
from worlds import algorithm_of, conv_learner, image_episode, sequential

BATCH = stacked([image_episode(seed=seed) for seed in range(5)])


class Choosy(nn.Module):
    """A layer that looks at numbers to decide what to do."""

    def forward(self, features):
        return features * 2 if bool(features.sum() > 0) else features


def test_chunks_of_any_size_give_the_same_mean():
    learner, params = conv_learner()
    algorithm = algorithm_of("fomaml", learner)
    truth = Loop(algorithm).gradient(params, BATCH)
    for chunk in (0, 1, 2, 9):
        found = Vmapped(algorithm, chunk).gradient(params, BATCH)
        for name, value in truth.gradient.items():
            torch.testing.assert_close(found.gradient[name], value, rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(found.losses, truth.losses)


def test_a_layer_that_cannot_be_mapped_is_named():
    module = sequential(
        flatten=nn.Flatten, body=lambda: nn.Linear(256, 4), choosy=Choosy, head=lambda: nn.Linear(4, 3)
    ).double()
    learner = Learner(module)
    algorithm = build(AlgorithmConfig("fomaml"), learner, InnerLoop(lr=0.1))
    with pytest.raises(ConfigError, match=r"cannot in 'choosy' \(Choosy\).*use engine loop or workers"):
        build_engine(EngineConfig(name="vmap"), algorithm, learner.initial_params(), BATCH)


def test_a_chunk_that_does_not_fit_is_halved_and_said_so():
    learner, params = conv_learner()

    class Small(Vmapped):
        """Memory for two tasks."""

        def _mapped(self, function, part):
            if len(part.query.targets) > 2:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return super()._mapped(function, part)

    algorithm = algorithm_of("fomaml", learner)
    small = Small(algorithm)
    with pytest.warns(EngineWarning, match="5 tasks at once do not fit into memory; going on with 2"):
        found = small.gradient(params, BATCH)
    truth = Loop(algorithm).gradient(params, BATCH)
    torch.testing.assert_close(found.losses, truth.losses)
    assert small.chunk == 2


def test_one_task_that_does_not_fit_is_an_error():
    learner, params = conv_learner()

    class Full(Vmapped):
        def _mapped(self, *_):
            raise torch.OutOfMemoryError("CUDA out of memory.")

    with pytest.raises(torch.OutOfMemoryError):
        Full(algorithm_of("fomaml", learner), 1).gradient(params, BATCH)


def test_episodes_of_different_shapes_go_one_after_another():
    learner, params = conv_learner()
    algorithm = algorithm_of("fomaml", learner)
    batch = (image_episode(k_shot=1), image_episode(k_shot=2))
    assert not isinstance(batch, Episode)
    found, truth = Vmapped(algorithm).gradient(params, batch), Loop(algorithm).gradient(params, batch)
    torch.testing.assert_close(found.losses, truth.losses)
    assert len(list(tasks(batch))) == len(found.losses)
