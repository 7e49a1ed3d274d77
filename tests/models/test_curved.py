"""BatchNorm with a fast second derivative, against torch's own."""

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad

from innerloop.models.curved import CurvedNorm, curved
from innerloop.seeds import generator


def norm(shape, zero=False):
    layer = (nn.BatchNorm2d if len(shape) == 4 else nn.BatchNorm1d)(shape[1], track_running_stats=False).double()
    rng = generator(0, "norm")
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=rng, dtype=torch.float64))
        if zero:
            layer.weight[0] = 0
    return layer


def drawn(shape, name):
    return torch.randn(shape, generator=generator(1, name), dtype=torch.float64)


def derivatives(layer, shape, channels_last):
    """Value, first derivatives, and second ones of all of them together."""
    inputs = drawn(shape, "inputs")
    if channels_last:
        inputs = inputs.contiguous(memory_format=torch.channels_last)
    leaves = [inputs.requires_grad_(), layer.weight, layer.bias]
    loss = ((layer(inputs) - drawn(shape, "target")) ** 3).mean()
    first = torch.autograd.grad(loss, leaves, create_graph=True)
    mixed = (first[0] * drawn(shape, "direction")).sum() + (first[1] ** 2).sum() + first[2].exp().sum()
    return [loss, *first, *torch.autograd.grad(mixed, leaves)]


@pytest.mark.parametrize("zero", [False, True], ids=["any weights", "a weight of 0"])
@pytest.mark.parametrize(("shape", "last"), [((6, 4, 5, 5), False), ((6, 4, 5, 5), True), ((7, 3), False)])
def test_values_and_both_derivatives_are_torchs(shape, last, zero):
    layer = norm(shape, zero)
    for found, truth in zip(derivatives(CurvedNorm(layer), shape, last), derivatives(layer, shape, last), strict=True):
        torch.testing.assert_close(found, truth, rtol=1e-10, atol=1e-11)


def test_the_inner_gradient_of_torch_func_can_be_differentiated():
    layer, shape = norm((6, 4, 5, 5)), (6, 4, 5, 5)

    def second(module):
        inputs = drawn(shape, "inputs").requires_grad_()

        def loss(weight):
            outputs = functional_call(module, {"weight": weight}, (inputs,))
            return ((outputs - drawn(shape, "target")) ** 3).mean()

        return torch.autograd.grad((grad(loss)(layer.weight) ** 2).sum(), [inputs, layer.weight])

    for found, truth in zip(second(CurvedNorm(layer)), second(layer), strict=True):
        torch.testing.assert_close(found, truth, rtol=1e-10, atol=1e-12)


def test_a_norm_without_scale_and_one_by_running_statistics_stay():
    bare = CurvedNorm(nn.BatchNorm1d(3, affine=False, track_running_stats=False))
    rows = drawn((5, 3), "rows")
    torch.testing.assert_close(bare(rows).mean(0), torch.zeros(3, dtype=torch.float64))
    module = nn.Sequential(nn.BatchNorm1d(3), nn.Sequential(nn.BatchNorm1d(3, track_running_stats=False)))
    changed = curved(module)
    assert isinstance(changed[0], nn.BatchNorm1d)
    assert isinstance(changed[1][0], CurvedNorm)
