"""Conv-4: the four-block convolutional network of the few-shot papers, pooled or strided.

    conv4           4 x [conv 3x3, BatchNorm, ReLU, max-pool 2]            finn2017, section 5.2
    strided_conv4   4 x [conv, ReLU, BatchNorm], strides 2, 2, 2, 1       kao2022, Omniglot

Without padding the strided network's last kernel is 2x2, so that 28x28 ends in a 1x1 map (d = filters); with padding
28x28 ends in 2x2 (d = 4 filters). Convolutions and head start Kaiming-normal, all biases zero (kao2022's code).
"""

from collections import OrderedDict

import torch
from torch import nn

from innerloop.errors import ConfigError

STRIDES = (2, 2, 2, 1)


def conv4(channels: int, filters: int, order: str = "norm_relu") -> nn.Sequential:
    """Return the pooled encoder; each block halves height and width."""
    blocks = OrderedDict[str, nn.Module]()
    for index in range(4):
        convolution = nn.Conv2d(filters if index else channels, filters, 3, padding=1)
        blocks[f"block{index + 1}"] = _block(convolution, order, nn.MaxPool2d(2))
    return nn.Sequential(blocks)


def strided_conv4(channels: int, filters: int, padding: bool = False, order: str = "relu_norm") -> nn.Sequential:
    """Return the strided encoder, which pools nothing."""
    blocks = OrderedDict[str, nn.Module]()
    for index, stride in enumerate(STRIDES):
        kernel = 2 if index == 3 and not padding else 3
        size = filters if index else channels
        convolution = nn.Conv2d(size, filters, kernel, stride=2 if padding else stride, padding=int(padding))
        blocks[f"block{index + 1}"] = _block(convolution, order)
    return nn.Sequential(blocks)


def start(module: nn.Module, rng: torch.Generator) -> None:
    """Give convolutions and linear layers Kaiming-normal weights and zero biases, in place."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, generator=rng)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def _block(convolution: nn.Conv2d, order: str, *last: nn.Module) -> nn.Sequential:
    if order not in ("norm_relu", "relu_norm"):
        raise ConfigError(f"expected model.order 'norm_relu' or 'relu_norm', got '{order}'; choose one of the two")
    norm, relu = nn.BatchNorm2d(convolution.out_channels), nn.ReLU()
    # Where pooling follows ReLU it may as well come first: the same numbers for a quarter of the work.
    return nn.Sequential(convolution, *((norm, *last, relu) if order == "norm_relu" else (relu, norm, *last)))
