import torch
from torch import nn

from innerloop.engine.layout import channels_last, last_batch
from worlds import image_episode


def test_channels_lie_next_to_each_other_and_values_stay():
    for channels in (1, 3):
        images = torch.arange(2.0 * channels * 4 * 5).reshape(2, channels, 4, 5)
        laid = channels_last(images)
        assert torch.equal(laid, images)
        assert laid.stride() == (channels * 20, 1, 5 * channels, channels)


def test_a_convolution_of_a_single_channel_goes_on_so():
    convolution = nn.utils.skip_init(nn.Conv2d, 1, 8, 3)
    laid = convolution(channels_last(torch.zeros(2, 1, 6, 6)))
    assert laid.is_contiguous(memory_format=torch.channels_last)
    assert not laid.is_contiguous()


def test_a_batch_is_laid_out_task_by_task():
    batch = (image_episode(seed=0), image_episode(seed=1))
    for laid, before in zip(last_batch(batch), batch, strict=True):
        assert laid.support.inputs.stride(1) == laid.query.inputs.stride(1) == 1
        assert torch.equal(laid.query.inputs, before.query.inputs)
        assert torch.equal(laid.support.targets, before.support.targets)
