import os
import subprocess
import sys

import pytest
import torch

from innerloop.algorithms import AlgorithmConfig, build
from innerloop.engine.compiled import Compiled
from innerloop.errors import ConfigError
from innerloop.inner import InnerLoop
from worlds import smooth_learner, vector_episode

# A process of its own, since torch looks for a compiler once.
WITHOUT_COMPILER = """
import warnings
import torch
from innerloop import AlgorithmConfig, Episode, InnerLoop, build_algorithm
from innerloop.engine import EngineConfig, Loop, build
from worlds import smooth_learner, vector_episode
learner, params = smooth_learner()
algorithm = build_algorithm(AlgorithmConfig("fomaml"), learner, InnerLoop(lr=0.1, steps=1))
batch = (vector_episode(seed=0), vector_episode(seed=1))
engine = build(EngineConfig(name="compiled"), algorithm, params, batch)
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    found = engine.gradient(params, batch)
assert torch.equal(found.losses, Loop(algorithm).gradient(params, batch).losses)
print(engine.name, *(each.message for each in said if each.category.__name__ == "EngineWarning"))
"""


@pytest.mark.slow
def test_without_a_compiler_the_loop_takes_over_and_says_so_once(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_COMPILER],
        env={
            **os.environ,
            "CXX": str(tmp_path / "none"),
            "TORCHINDUCTOR_CACHE_DIR": str(tmp_path),
            "PYTHONPATH": os.path.dirname(os.path.dirname(__file__)),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("loop engine compiled cannot compile here (")
    assert done.stdout.count("going on with the loop") == 1


def test_an_outer_loss_that_changes_at_every_step_is_refused():
    learner, params = smooth_learner()
    config = AlgorithmConfig("maml", outer_loss="every_step", last_from=5)
    engine = Compiled(build(config, learner, InnerLoop(lr=0.1, steps=2)))
    with pytest.raises(ConfigError, match=r"changes until algorithm\.last_from=5; use engine loop"):
        engine.gradient(params, (vector_episode(),))


def test_what_is_not_a_meta_gradient_is_mapped_as_by_the_loop():
    learner, params = smooth_learner()
    engine = Compiled(build(AlgorithmConfig("fomaml"), learner, InnerLoop(lr=0.1, steps=1)))
    said = engine.each(lambda algorithm, at, episode: algorithm.query_loss(at, episode)[0], params, (vector_episode(),))
    assert torch.isfinite(said).all()
    assert said.shape == (1,)
