import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch.func import grad

from innerloop.errors import ConfigError
from innerloop.models import refuse_targets


def test_a_slot_without_a_row_is_said_with_the_fix():
    with pytest.raises(ConfigError, match="below the head's 5 rows, got 7; build the head with 8 or more"):
        refuse_targets(torch.zeros(2, 5), torch.tensor([1, 7]))
    with pytest.raises(ConfigError, match="class slots from 0 up, got -1"):
        refuse_targets(torch.zeros(2, 5), torch.tensor([1, -1]))


def test_targets_that_fit_and_real_ones_pass():
    refuse_targets(torch.zeros(2, 5), torch.tensor([0, 4]))
    refuse_targets(torch.zeros(2, 1), torch.tensor([0.5, 7.0]))
    refuse_targets(torch.zeros(0, 5), torch.tensor([], dtype=torch.int64))


def test_it_can_be_asked_from_inside_a_transform():
    def loss(outputs):
        try:
            return F.cross_entropy(outputs, torch.tensor([1, 7]))
        except IndexError:
            refuse_targets(outputs, torch.tensor([1, 7]))
            raise

    with pytest.raises(ConfigError, match="got 7"):
        grad(loss)(torch.zeros(2, 5))
