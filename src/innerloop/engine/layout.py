"""How images lie in memory: channels last, where convolutions, pooling and BatchNorm are faster for it on a CPU.

Values and shapes stay what they are; only strides change. A module that looks at strides (`x.view(...)` of an image)
may refuse, and then images stay as they were.
"""

import torch
from torch import Tensor

from innerloop.algorithms import Algorithm
from innerloop.data.episode import Batch, Episode, Examples, tasks
from innerloop.models import seeded
from innerloop.shapes import Params


def suits(algorithm: Algorithm, params: Params, episode: Episode) -> bool:
    """Whether the learner takes images with channels last: it runs forward and back on them, and says the same."""
    inputs = episode.support.inputs
    if inputs.dim() != 4 or not inputs.is_floating_point() or inputs.device.type != "cpu":
        return False

    def said(params: Params, inputs: Tensor) -> Tensor:
        with seeded(0), torch.no_grad():
            return algorithm.learner.logits(params, inputs)

    try:
        algorithm.meta_gradient(laid_out(params), last_episode(episode))
        plain, laid = said(params, inputs), said(laid_out(params), channels_last(inputs))
    except RuntimeError:
        return False
    # A module that reads memory by its strides says other things, without a word.
    return bool(torch.linalg.norm(laid - plain) <= 0.05 * torch.linalg.norm(plain))


def laid_out(params: Params) -> Params:
    """Return the parameters with those of two-dimensional convolutions channels last."""
    return {name: channels_last(value) if value.dim() == 4 else value for name, value in params.items()}


def last_batch(batch: Batch) -> Batch:
    """Return the batch as episodes one by one whose images have their channels last."""
    return tuple(last_episode(episode) for episode in tasks(batch))


def last_episode(episode: Episode) -> Episode:
    """Return the episode with its images channels last."""
    return Episode(*(Examples(channels_last(side.inputs), side.targets) for side in episode))


def channels_last(images: Tensor) -> Tensor:
    """Return the values [example channel height width] with channels next to each other in memory.

    torch takes a single channel for either order, and then for the other one: its strides have to say so.
    """
    _, channels, height, width = images.shape
    strides = (channels * height * width, 1, width * channels, channels)
    return torch.empty_strided(images.shape, strides, dtype=images.dtype, device=images.device).copy_(images)
