import torch

from innerloop.data import DataConfig, load
from innerloop.data.episode import EpisodeShape
from innerloop.data.sampler import draw
from innerloop.models import ModelConfig, build
from innerloop.training import score_by_step
from worlds import algorithm_of


def test_linear_layers_start_uniform_within_one_over_the_root_of_their_inputs():
    learner = build(ModelConfig("mlp", hidden=400), (4,), 3, seed=0)
    values = learner.initial_params()
    for layer, inputs in (("encoder.layer1", 4), ("encoder.layer2", 400), ("head", 400)):
        for part in ("weight", "bias"):
            spread = values[f"{layer}.{part}"].abs().max() * inputs**0.5
            assert spread <= 1
            assert spread > (0.9 if part == "weight" or layer != "head" else 0)
    again = build(ModelConfig("mlp", hidden=400), (4,), 3, seed=0).initial_params()
    assert all(torch.equal(values[name], again[name]) for name in values)
    other = build(ModelConfig("mlp", hidden=400), (4,), 3, seed=1).initial_params()
    assert not torch.equal(values["head.weight"], other["head.weight"])


def test_an_untrained_mlp_predicts_waves_no_worse_than_twice_the_loss_of_zero():
    family = load(DataConfig("sinusoid")).split("train")
    learner = build(ModelConfig("mlp"), (1,), 1, seed=0)
    algorithm = algorithm_of("maml", learner, lr=0.01, loss="mse")
    episodes = [draw(family, EpisodeShape(5, 10, 10), 0, index) for index in range(50)]
    losses = torch.tensor([score_by_step(algorithm, learner.initial_params(), each) for each in episodes]).mean(0)
    zero = torch.stack([each.query.targets.square().mean() for each in episodes]).mean()
    assert losses[0] < 2 * zero
    assert losses[1] < losses[0]
