import pytest
import torch
from torch import nn

from innerloop.algorithms import AlgorithmConfig, build
from innerloop.data.episode import stacked
from innerloop.engine import Loop
from innerloop.engine.workers import Workers, of_slopes_and_bends
from innerloop.errors import ConfigError
from innerloop.inner import InnerLoop, final_gradient, slope_and_product
from innerloop.models import Learner
from innerloop.models.curved import CurvedNorm
from innerloop.models.pooled import PooledNorm
from worlds import algorithm_of, conv_learner, image_episode, sequential

BATCH = stacked([image_episode(seed=seed) for seed in range(5)])


def test_any_number_of_threads_gives_the_bits_of_the_loop_on_one():
    learner, params = conv_learner()
    algorithm = algorithm_of("maml", learner)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        truth = Loop(algorithm).gradient(params, BATCH)
    finally:
        torch.set_num_threads(before)
    for count in (1, 2, 3, 7):
        found = Workers(algorithm, count).gradient(params, BATCH)
        assert all(torch.equal(found.gradient[name], value) for name, value in truth.gradient.items())
        assert torch.equal(found.losses, truth.losses)
    assert torch.get_num_threads() == before


def test_support_statistics_and_recurrent_layers_do_not_mix_between_threads():
    learner, params = conv_learner(normalization="support")
    algorithm = algorithm_of("fomaml", learner)
    close(Workers(algorithm, 4).gradient(params, BATCH), Loop(algorithm).gradient(params, BATCH))

    class Rows(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(16, 5, batch_first=True)

        def forward(self, images):
            return self.lstm(images.flatten(1, 2))[0][:, -1]

    learner = Learner(sequential(rows=Rows, head=lambda: nn.Linear(5, 3)).double())
    algorithm = build(AlgorithmConfig("maml"), learner, InnerLoop(lr=0.1))
    params = learner.initial_params()
    close(Workers(algorithm, 4).gradient(params, BATCH), Loop(algorithm).gradient(params, BATCH))


def test_the_threads_leave_torchs_generator_where_it_was():
    learner, params = conv_learner()
    state = torch.get_rng_state()
    Workers(algorithm_of("fomaml", learner), 3).gradient(params, BATCH)
    assert torch.equal(torch.get_rng_state(), state)


def test_what_a_task_refuses_is_refused_and_the_threads_go_on():
    learner, params = conv_learner()
    workers = Workers(algorithm_of("fomaml", learner), 2)
    wrong = BATCH._replace(support=BATCH.support._replace(targets=BATCH.support.targets + 9))
    with pytest.raises(ConfigError, match="rows, got"):
        workers.gradient(params, wrong)
    close(workers.gradient(params, BATCH), Loop(workers.algorithm).gradient(params, BATCH))


def test_slopes_and_bends_are_those_of_the_network_without_dropout():
    layers = {
        "body": lambda: nn.Conv2d(1, 4, 3),
        "norm": lambda: nn.BatchNorm2d(4, track_running_stats=False),
        "pool": lambda: nn.MaxPool2d(2),
        "relu": nn.ReLU,
        "drop": lambda: nn.Dropout(0.9),
        "flatten": nn.Flatten,
        "head": lambda: nn.Linear(16, 3),
    }
    learner = Learner(sequential(**layers).double())
    support, params = image_episode(size=6).support, learner.initial_params()

    def both(algorithm, way):
        slope, product = slope_and_product(lambda here: algorithm.support_loss(here, support)[0], params, params)
        return slope, product(way)

    slope, bend = both(algorithm_of("maml", learner.tested()), params)
    slopes, bends = of_slopes_and_bends(algorithm_of("maml", learner), 2)
    first = slopes.over([params], lambda own, here: final_gradient(lambda at: own.support_loss(at, support), here)[0])
    for found, truth in ((first[0], slope), *zip(bends.over([params], both)[0], (slope, bend), strict=True)):
        for name, value in truth.items():
            torch.testing.assert_close(found[name], value, rtol=1e-9, atol=1e-12)
    for workers, layer in ((slopes, PooledNorm), (bends, CurvedNorm)):
        assert any(isinstance(each, layer) for each in workers.algorithm.learner._whole.modules())


def close(found, truth):
    for name, value in truth.gradient.items():
        torch.testing.assert_close(found.gradient[name], value, rtol=1e-9, atol=1e-12)
