"""Small changes to training images that leave their class as it is: crops, flips, colour jitter."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from innerloop.data.family import Family
from innerloop.data.split import Split
from innerloop.errors import ConfigError


@dataclass(frozen=True)
class Augmentation:
    """What is done to every image of a meta-training episode; nothing by default, and never outside training.

    Attributes:
        crop: Images are padded by so many pixels on each side and cropped back at a random place.
        flip: Whether half of them are mirrored left to right.
        jitter: Brightness and contrast change by a factor from 1 - jitter to 1 + jitter each, in [0, 1).
    """

    crop: int = 0
    flip: bool = False
    jitter: float = 0.0

    def __post_init__(self) -> None:
        if self.crop < 0:
            raise ConfigError(f"expected augmentation.crop of at least 0 pixels, got {self.crop}; 0 leaves it out")
        if not 0 <= self.jitter < 1:
            raise ConfigError(f"expected augmentation.jitter from 0 to below 1, got {self.jitter}; 0.4 is usual")

    def __call__(self, images: Tensor, *, rng: torch.Generator) -> Tensor:
        """Change a stack of images [image channel height width] in [0, 1]."""
        count = len(images)
        if self.crop:
            padded = F.pad(images, (self.crop,) * 4)
            height, width = images.shape[2:]
            corners = torch.randint(2 * self.crop + 1, (count, 2), generator=rng).tolist()
            images = torch.stack(
                [
                    each[:, top : top + height, left : left + width]
                    for each, (top, left) in zip(padded, corners, strict=True)
                ]
            )
        if self.flip:
            mirrored = torch.rand(count, generator=rng) < 0.5
            images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
        if self.jitter:
            brightness, contrast = (1 + self.jitter * (2 * torch.rand(2, count, 1, 1, 1, generator=rng) - 1)).unbind()
            bright = images * brightness
            grey = bright.mean((1, 2, 3), keepdim=True)
            images = ((bright - grey) * contrast + grey).clamp(0, 1)
        return images


NONE = Augmentation()


def check_fits(augmentation: Augmentation, split: Split | Family) -> None:
    """Refuse what cannot be done to a split's examples.

    Raises:
        ConfigError: They are no images, too small to crop, or not in [0, 1], which jitter keeps to.
    """
    if augmentation == NONE:
        return
    shape = split.input_shape
    if isinstance(split, Family) or len(shape) != 3:
        raise ConfigError(
            f"expected images [channel height width] for augmentation, got examples of shape {shape} in "
            f"'{split.data_set}'; leave augmentation out"
        )
    if shape[2] in (1, 3) and shape[0] not in (1, 3):
        raise ConfigError(
            f"expected images [channel height width] for augmentation, got shape {shape}, which looks like channels "
            "last; save them with inputs.transpose(0, 3, 1, 2)"
        )
    if augmentation.crop >= min(shape[1:]):
        raise ConfigError(
            f"expected augmentation.crop below the images' {min(shape[1:])} pixels, got {augmentation.crop}; "
            "4 to 8 are usual"
        )
    if (
        augmentation.jitter
        and split.inputs.dtype != np.uint8
        and not 0 <= split.inputs.min() <= split.inputs.max() <= 1
    ):
        raise ConfigError(
            f"expected bytes, or values in [0, 1], for augmentation.jitter, got {split.inputs.dtype} from "
            f"{split.inputs.min():g} to {split.inputs.max():g} in '{split.data_set}'; save them as uint8, or scale them"
        )
