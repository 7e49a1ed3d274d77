import torch

from innerloop.data.episode import task
from innerloop.data.sampler import draw_batch
from innerloop.engine import Loop
from worlds import SMALL, algorithm_of, conv_learner, made_up_data

SPLIT = made_up_data().split("train")


def test_a_batch_gives_the_mean_of_its_tasks_gradients():
    learner, params = conv_learner(dtype=torch.float32)
    algorithm = algorithm_of("maml", learner)
    batch = draw_batch(SPLIT, SMALL, 0, range(3))
    ones = [algorithm.meta_gradient(params, task(batch, index)) for index in range(3)]
    whole = Loop(algorithm).gradient(params, batch)
    assert list(whole.gradient) == list(params)
    for name, value in whole.gradient.items():
        torch.testing.assert_close(value, torch.stack([one.gradient[name] for one in ones]).mean(0))
    torch.testing.assert_close(whole.losses, torch.stack([one.loss for one in ones]))
    torch.testing.assert_close(whole.accuracies, torch.stack([one.accuracy for one in ones]))
