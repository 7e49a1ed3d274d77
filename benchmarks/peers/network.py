"""Conv-4 as the peers' users write it: convolution, BatchNorm by batch statistics, ReLU, max-pool; a linear head."""

from collections import OrderedDict

import torch
from torch import nn

from innerloop.bench.world import World

BLOCKS = 4


def conv4(world: World) -> nn.Sequential:
    """Return the network with the world's parameters in it, of their type and on their device."""
    values = world.values
    layers: list[nn.Module] = []
    for kernel in values[0 : 4 * BLOCKS : 4]:
        filters, channels = kernel.shape[:2]
        layers += [
            nn.Conv2d(channels, filters, 3, padding=1),
            nn.BatchNorm2d(filters, track_running_stats=False),
            nn.ReLU(),
            nn.MaxPool2d(2),
        ]
    rows, width = values[4 * BLOCKS].shape
    network = nn.Sequential(OrderedDict(encoder=nn.Sequential(*layers, nn.Flatten()), head=nn.Linear(width, rows)))
    network = network.to(values[0].device, values[0].dtype)
    with torch.no_grad():
        for parameter, value in zip(network.parameters(), values, strict=True):
            parameter.copy_(value)
    return network
