"""mlp: two hidden layers of ReLU units, for vectors, signals and tables; inputs of any shape are flattened.

Source: finn2017, section 5.1 (40 units for the sinusoid).
"""

from collections import OrderedDict
from math import prod

from torch import nn


def mlp(input_shape: tuple[int, ...], hidden: int) -> nn.Sequential:
    """Return the encoder, `hidden` features wide."""
    return nn.Sequential(
        OrderedDict(
            flatten=nn.Flatten(),
            layer1=nn.Linear(prod(input_shape), hidden),
            relu1=nn.ReLU(),
            layer2=nn.Linear(hidden, hidden),
            relu2=nn.ReLU(),
        )
    )
