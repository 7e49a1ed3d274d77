"""mlp: two hidden layers of ReLU units, for vectors, signals and tables; inputs of any shape are flattened.

Source: finn2017, section 5.1 (40 units for the sinusoid). Differs from the paper: weights and biases start uniform
within 1 / sqrt(inputs) of a layer, as torch's own do. Kaiming-normal weights are too large for inputs that no
BatchNorm scales, and with zero biases all units of a first layer on one input bend at the same point.
"""

from collections import OrderedDict
from math import prod, sqrt

import torch
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


def start(module: nn.Module, rng: torch.Generator) -> None:
    """Give linear layers, the head among them, uniform weights and biases within 1 / sqrt(inputs), in place."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            bound = 1 / sqrt(layer.in_features)
            for values in layer.parameters():
                nn.init.uniform_(values, -bound, bound, generator=rng)
