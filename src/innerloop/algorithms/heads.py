"""Rows of the head: one for all classes, or as many as a task has.

With one row for all classes the rows stay equal, and each moves by what all of them are told. Keeping every row,
instead of one that is copied, leaves the head a head to all who look at it. Source: ye2022 (UNICORN-MAML), section 4.
Differs from the paper: nothing known; equal rows with the summed gradient are its one row.
"""

from torch import Tensor

from innerloop.data.episode import Examples
from innerloop.models import Learner
from innerloop.shapes import Params


def tied_head(learner: Learner, params: Params) -> Params:
    """Return the parameters with the head's first row in every row."""
    return {name: _first_row(value) if name in learner.head_names else value for name, value in params.items()}


def tied_gradient(learner: Learner, gradient: Params) -> Params:
    """Return the gradient with every row of the head's replaced by their sum: the gradient of the one row."""
    return {
        name: value.sum(0, keepdim=True).expand_as(value).clone() if name in learner.head_names else value
        for name, value in gradient.items()
    }


def few_rows(learner: Learner, params: Params, support: Examples) -> Params:
    """Return the parameters with a zero head of as many rows as the support set has classes."""
    rows = int(support.targets.max()) + 1
    return {
        name: value.new_zeros(rows, *value.shape[1:]) if name in learner.head_names else value
        for name, value in params.items()
    }


def _first_row(value: Tensor) -> Tensor:
    return value[:1].expand_as(value).clone()
