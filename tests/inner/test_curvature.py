"""Slopes and products with second derivatives against the dense Hessian of slow autograd."""

import pytest
import torch
from torch.autograd.functional import hessian

from innerloop.errors import ConfigError
from innerloop.inner import slope_and_product
from innerloop.models import Learner
from innerloop.params import select
from worlds import sequential, smooth_learner, vector_episode


def flat(params):
    return torch.cat([value.flatten() for value in params.values()])


def world():
    learner, params = smooth_learner()
    support = vector_episode().support

    def loss(here):
        return torch.nn.functional.cross_entropy(learner.logits(here, support.inputs), support.targets)

    return loss, params


@pytest.mark.parametrize("names", [{"head.weight"}, {"body.weight", "head.bias"}, None])
def test_the_product_is_the_dense_hessians_rows_of_all_parameters_and_columns_of_those_named(names):
    loss, params = world()
    names = set(params) if names is None else names
    slope, product = slope_and_product(loss, params, names)
    sizes = [value.numel() for value in params.values()]

    def of_flat(vector):
        parts = vector.split(sizes)
        return loss({name: part.view_as(params[name]) for name, part in zip(params, parts, strict=True)})

    dense, at = hessian(of_flat, flat(params)), flat(params).requires_grad_()
    columns = torch.cat([torch.full((size,), name in names) for name, size in zip(params, sizes, strict=True)])
    torch.testing.assert_close(flat(slope), torch.autograd.grad(of_flat(at), at)[0][columns], rtol=1e-10, atol=1e-13)
    for power in (1, 2, 3):
        vector = {name: value.cos() ** power for name, value in select(params, names).items()}
        turned = product(vector)
        assert list(turned) == list(params)
        torch.testing.assert_close(flat(turned), dense[:, columns] @ flat(vector), rtol=1e-10, atol=1e-13)


class Overwriting(torch.nn.Module):
    def forward(self, inputs):
        return inputs.exp().add_(1).sin().mul_(2)


def test_a_module_that_works_in_place_where_that_breaks_is_refused_in_one_line():
    module = sequential(body=lambda: torch.nn.Linear(6, 6), over=Overwriting, head=lambda: torch.nn.Linear(6, 3))
    learner = Learner(module.double())
    support = vector_episode().support
    with pytest.raises(ConfigError, match="in-place"):
        slope_and_product(
            lambda here: learner.logits(here, support.inputs).square().sum(), learner.initial_params(), learner.names
        )[1](learner.initial_params())
