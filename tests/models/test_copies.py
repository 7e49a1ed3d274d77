import threading

import pytest
import torch
from torch import nn

from brought import Tied, Writing, brought
from innerloop.errors import ConfigError
from innerloop.models.copies import copy_of


def test_a_copy_shares_nothing_but_what_it_is_told_to_and_ties_stay_tied():
    module = brought(Tied)
    other = copy_of(module, lambda value: nn.Parameter(value.detach() + 1))
    assert other.left.weight is other.right.weight
    assert other.head.weight is other.embed.weight
    torch.testing.assert_close(other.left.weight, module.left.weight + 1)
    shared = copy_of(module, lambda value: value)
    assert shared.left is not module.left
    assert shared.left.weight is module.left.weight


def test_buffers_are_copied_as_told_too():
    module = brought(Writing)
    other = copy_of(module, lambda value: value if value.requires_grad else value.clone())
    other.mean.add_(1)
    assert not module.mean.any()
    assert other.body.weight is module.body.weight


def test_a_module_that_kept_something_of_a_forward_pass_can_be_copied():
    module = brought(nn.Linear, in_features=2, out_features=2)
    module.last = module(torch.ones(1, 2, dtype=torch.float64))
    assert copy_of(module, lambda value: value).last is module.last


def test_what_cannot_be_copied_is_refused():
    module = brought(nn.Linear, in_features=2, out_features=2)
    module.lock = threading.Lock()
    with pytest.raises(ConfigError, match=r"a module that can be copied, got Linear, in which Python says: .*lock"):
        copy_of(module, lambda value: value)
