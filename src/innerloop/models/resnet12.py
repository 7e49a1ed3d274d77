"""ResNet-12: the deep network of the few-shot papers, four residual blocks of three convolutions.

    block     max-pool 2 of LeakyReLU( three x [conv 3x3, BatchNorm], LeakyReLU between  +  [conv 1x1, BatchNorm] )
    encoder   blocks of f, 2.5 f, 5 f and 10 f channels (64, 160, 320, 640 by default), then the mean over the image

Source: oreshkin2018, lee2019 (widths, LeakyReLU 0.1). Differs from lee2019: DropBlock is left out, and weights start
Kaiming-normal for all four networks of this room alike.
"""

from collections import OrderedDict

from torch import Tensor, nn

SLOPE = 0.1
HALF_WIDTHS = (2, 5, 10, 20)


class ResidualBlock(nn.Module):
    """Three convolutions beside a shortcut; halves height and width."""

    def __init__(self, channels: int, filters: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *_convolution(channels, filters, 3),
            nn.LeakyReLU(SLOPE),
            *_convolution(filters, filters, 3),
            nn.LeakyReLU(SLOPE),
            *_convolution(filters, filters, 3),
        )
        self.shortcut = nn.Sequential(*_convolution(channels, filters, 1))
        self.last = nn.Sequential(nn.LeakyReLU(SLOPE), nn.MaxPool2d(2))

    def forward(self, inputs: Tensor) -> Tensor:
        """Return [example filters height/2 width/2]."""
        pooled: Tensor = self.last(self.layers(inputs) + self.shortcut(inputs))
        return pooled


def resnet12(channels: int, filters: int) -> nn.Sequential:
    """Return the encoder, `10 * filters` features wide; widths that are no whole number are rounded down."""
    widths = [channels, *(filters * half // 2 for half in HALF_WIDTHS)]
    blocks = OrderedDict[str, nn.Module](
        (f"block{index + 1}", ResidualBlock(widths[index], widths[index + 1])) for index in range(4)
    )
    return nn.Sequential(OrderedDict(**blocks, mean=nn.AdaptiveAvgPool2d(1)))


def _convolution(channels: int, filters: int, kernel: int) -> tuple[nn.Module, nn.Module]:
    # BatchNorm takes a bias away again.
    return nn.Conv2d(channels, filters, kernel, padding=kernel // 2, bias=False), nn.BatchNorm2d(filters)
