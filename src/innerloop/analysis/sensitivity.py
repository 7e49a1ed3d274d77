"""How much does a loss change when one layer does? By its gradient, and by steps in random directions.

    gradient    norm of the loss's gradient by the layer: change of the loss a unit of the steepest way
    change      root mean square, over random steps w -> w + size |w| direction, of the loss's change / size

The first is by an absolute unit, the second by a relative one, in which layers of other scales can be compared: to
first order it is |w| |gradient| / sqrt(number of weights), and what is beyond that is the loss's bend. A layer is a
parameter tensor.

Source: ours; relative steps as in li2018's filter normalisation, a layer at a time.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from innerloop.inner import final_gradient
from innerloop.params import norm
from innerloop.seeds import generator
from innerloop.shapes import Params

SIZE = 0.01  # of a step, relative to the layer's norm: small beside its bends, large beside rounding in float64
STEPS = 4  # random directions, each gone both ways


class LayerSensitivity(NamedTuple):
    """One layer's effect on one loss; NaN where it is not defined.

    Attributes:
        gradient: Loss a unit of the parameter.
        change: Loss a relative unit; NaN for a layer of zeros, which has no relative unit.
    """

    gradient: float
    change: float


def sensitivity(loss: Callable[[Params], Tensor], params: Params, draw: int = 0) -> dict[str, LayerSensitivity]:
    """Return the effect of each layer, in float64.

    Args:
        loss: Of the parameters.
        params: Where; each of them is a layer.
        draw: Which random directions; another number for every episode, or their luck would be in all of them alike.
    """
    params = {name: value.detach().double() for name, value in params.items()}
    gradient, (here, _) = final_gradient(lambda moved: (loss(moved), torch.zeros(())), params)
    return {
        name: LayerSensitivity(norm({name: gradient[name]}).item(), _change(loss, params, name, here.item(), draw))
        for name in params
    }


def _change(loss: Callable[[Params], Tensor], params: Params, name: str, here: float, draw: int) -> float:
    value = params[name]
    size = SIZE * value.norm().item()
    if not size:
        return math.nan
    rng = generator(draw, "sensitivity", name)
    squares = []
    with torch.no_grad():
        for _ in range(STEPS):
            way = torch.randn(value.shape, generator=rng, dtype=torch.float64)
            step = way * (size / way.norm())
            squares += [(loss({**params, name: value + sign * step}).item() - here) ** 2 for sign in (1, -1)]
    return math.sqrt(sum(squares) / len(squares)) / SIZE
