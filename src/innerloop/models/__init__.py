"""Models: what turns inputs into features and logits, as pure functions of Params."""

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from innerloop.errors import ConfigError, unknown_name
from innerloop.models.conv4 import conv4, start, strided_conv4
from innerloop.models.head_rows import refuse_targets
from innerloop.models.in_place import refuse_in_place
from innerloop.models.kernels import plain_kernels
from innerloop.models.learner import Learner
from innerloop.models.mlp import mlp
from innerloop.models.mlp import start as start_mlp
from innerloop.models.normalization import Normalization
from innerloop.models.randomness import drawing_from, drawn, seeded
from innerloop.models.resnet12 import resnet12
from innerloop.seeds import generator

__all__ = [
    "MODELS",
    "Learner",
    "ModelConfig",
    "Normalization",
    "build",
    "drawing_from",
    "drawn",
    "plain_kernels",
    "refuse_in_place",
    "refuse_targets",
    "seeded",
]

Encoder = Callable[["ModelConfig", tuple[int, ...]], nn.Module]

MODELS: Mapping[str, Encoder] = {
    "conv4": lambda config, shape: conv4(shape[0], config.filters, config.order or "norm_relu"),
    "strided_conv4": lambda config, shape: strided_conv4(
        shape[0], config.filters, config.padding, config.order or "relu_norm"
    ),
    "resnet12": lambda config, shape: resnet12(shape[0], config.filters),
    "mlp": lambda config, shape: mlp(shape, config.hidden),
}


@dataclass(frozen=True)
class ModelConfig:
    """Which network, and how its head starts.

    Attributes:
        name: `conv4` (max-pool), `strided_conv4`, `resnet12`, or `mlp` for inputs that are no images.
        filters: Channels of every convolution; in resnet12 of its first block, the last has ten times as many.
        hidden: mlp: units in each of its two layers.
        padding: strided_conv4: pad by one pixel and stride by 2 in all four blocks, so that 28x28 ends in 2x2.
        order: conv4, strided_conv4: `norm_relu` or `relu_norm` inside a block; by default the order of the paper.
        head_bias: Whether the linear head has a bias.
        head_scale: Factor on the head's initial weights and bias; 0 is a head that starts at zero.
        normalization: BatchNorm by `batch` statistics (transductive), by those of the `support` set alone, or `frozen`:
            by the statistics it starts with.
    """

    name: str = "conv4"
    filters: int = 64
    hidden: int = 40
    padding: bool = False
    order: str | None = None
    head_bias: bool = True
    head_scale: float = 1.0
    normalization: Normalization = "batch"

    def __post_init__(self) -> None:
        if self.name not in MODELS:
            raise unknown_name("model", self.name, MODELS)
        if not math.isfinite(self.head_scale):
            raise ConfigError(
                f"expected a finite model.head_scale, got {self.head_scale}; 1 is the papers', 0 a zero head"
            )
        for name in ("filters", "hidden"):
            if getattr(self, name) < 1:
                raise ConfigError(f"expected model.{name} of at least 1, got {getattr(self, name)}; ask for 32 or more")


def build(config: ModelConfig, input_shape: tuple[int, ...], n_way: int, seed: int) -> Learner:
    """Build a learner for inputs of this shape and `n_way` classes, started from the stream `init`.

    Raises:
        ConfigError: The inputs do not fit the network.
    """
    # torch's layers draw first values from the global generator; ours replace them, and it is put back as it was.
    with torch.random.fork_rng(devices=[]):
        module = _module(config, input_shape, n_way)
    (start_mlp if config.name == "mlp" else start)(module, generator(seed, "init"))
    with torch.no_grad():
        for parameter in module.get_submodule("head").parameters():
            parameter.mul_(config.head_scale)
    return Learner(module, "head", config.normalization)


def _module(config: ModelConfig, input_shape: tuple[int, ...], n_way: int) -> nn.Module:
    if config.name != "mlp" and len(input_shape) != 3:
        raise ConfigError(
            f"expected images for '{config.name}', got inputs of shape {input_shape}; use --model.name=mlp for them"
        )
    encoder = MODELS[config.name](config, input_shape)
    module = nn.Sequential(OrderedDict(encoder=encoder, flatten=nn.Flatten(), head=nn.Identity()))
    try:
        with torch.no_grad():
            # In eval mode, so that BatchNorm's running statistics stay as they were.
            width = module.eval()(torch.zeros(1, *input_shape)).shape[1]
    except RuntimeError as error:
        height_width = "x".join(str(size) for size in input_shape[1:])
        raise ConfigError(
            f"expected images large enough for '{config.name}', got {height_width}; use larger images or another model"
        ) from error
    module.set_submodule("head", nn.Linear(width, n_way, bias=config.head_bias))
    return module.train()
