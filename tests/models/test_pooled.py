"""BatchNorm, pooling and ReLU in one, against the three layers."""

import pytest
import torch
from torch import nn

from innerloop.models.pooled import PooledNorm, pooled
from innerloop.seeds import generator


def block(weights):
    norm = nn.BatchNorm2d(4, track_running_stats=False).double()
    with torch.no_grad():
        norm.weight.copy_(torch.tensor(weights, dtype=torch.float64))
        norm.bias.copy_(torch.tensor([0.3, -0.2, 0.0, 1.0], dtype=torch.float64))
    return nn.Sequential(norm, nn.MaxPool2d(2), nn.ReLU())


def results(layers, flat=False, size=7):
    rng = generator(0, "pooled")
    inputs = torch.randn(6, 4, size, size, generator=rng, dtype=torch.float64)
    if flat:
        inputs[:, :, :4] = inputs[0, 0, 0, 0]  # ties, as on the empty ground of a drawing
    inputs = inputs.contiguous(memory_format=torch.channels_last).requires_grad_()
    outputs = layers(inputs)
    target = torch.randn(outputs.shape, generator=rng, dtype=torch.float64)
    return [outputs, *torch.autograd.grad(((outputs - target) ** 2).sum(), [inputs, *layers.parameters()])]


@pytest.mark.parametrize("size", [7, 8])
@pytest.mark.parametrize("flat", [False, True], ids=["no ties", "ties"])
@pytest.mark.parametrize("weights", [[1.0, 0.5, 2.0, 0.1], [1.0, -0.5, 0.0, 0.1]], ids=["positive", "any sign"])
def test_the_block_is_the_three_layers(weights, flat, size):
    layers = block(weights)
    truth = results(layers, flat, size)
    found = results(pooled(block(weights)), flat, size)
    for one, other in zip(found, truth, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-11)


def test_only_such_a_row_of_layers_becomes_one():
    assert isinstance(pooled(block([1.0] * 4))[0], PooledNorm)
    norm = nn.BatchNorm2d(4, track_running_stats=False)
    for others in (
        (nn.ReLU(), nn.MaxPool2d(2)),
        (nn.MaxPool2d(3), nn.ReLU()),
        (nn.MaxPool2d(2, padding=1), nn.ReLU()),
        (nn.MaxPool2d(2, ceil_mode=True), nn.ReLU()),
    ):
        assert not isinstance(pooled(nn.Sequential(norm, *others))[0], PooledNorm)
    assert not isinstance(pooled(nn.Sequential(nn.BatchNorm2d(4), nn.MaxPool2d(2), nn.ReLU()))[0], PooledNorm)


def test_names_of_parameters_stay():
    before = [name for name, _ in nn.Sequential(nn.Sequential(*block([1.0] * 4))).named_parameters()]
    assert [name for name, _ in pooled(nn.Sequential(nn.Sequential(*block([1.0] * 4)))).named_parameters()] == before
