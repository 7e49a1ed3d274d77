"""Which kernels a module runs on: plain ones, whose derivatives have derivatives.

Fused attention and cuDNN's recurrent layers have a hand-written backward pass that cannot be differentiated again.
Whether a module calls attention cannot be seen from outside, so that is arranged for every module, for a microsecond
a call. cuDNN is turned off only where there is a recurrent layer, since convolutions want it. A transformer's fast
path for inference goes too, so that a module is the same function whether or not somebody takes its gradient.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.backends import cuda, cudnn, mha

# Attention by plain sums, no flash, memory-efficient or cuDNN kernel, no fast path.
PLAIN = (True, False, False, False, False)


def is_recurrent(module: nn.Module) -> bool:
    """Whether there is an RNN, LSTM or GRU in the module."""
    return any(isinstance(layer, nn.RNNBase) for layer in module.modules())


@contextmanager
def plain_kernels(recurrent: bool) -> Iterator[None]:
    """Let attention, and recurrent layers if told so, run on kernels that can be differentiated twice meanwhile.

    Only the forward pass needs it: backward follows what forward recorded. The settings are the process's: threads that
    run networks side by side need them set by whoever started the threads, for then there is nothing to change here.
    """
    before = (
        cuda.math_sdp_enabled(),  # type: ignore[no-untyped-call]
        cuda.flash_sdp_enabled(),  # type: ignore[no-untyped-call]
        cuda.mem_efficient_sdp_enabled(),  # type: ignore[no-untyped-call]
        cuda.cudnn_sdp_enabled(),  # type: ignore[no-untyped-call]
        mha.get_fastpath_enabled(),
    )
    changed, fused_recurrence = before != PLAIN, recurrent and cudnn.enabled
    if changed:
        _set(*PLAIN)
    if fused_recurrence:
        cudnn.enabled = False
    try:
        yield
    finally:
        if changed:
            _set(*before)
        if fused_recurrence:
            cudnn.enabled = True


def _set(plain: bool, flash: bool, efficient: bool, fused: bool, fast_path: bool) -> None:
    cuda.enable_math_sdp(plain)
    cuda.enable_flash_sdp(flash)
    cuda.enable_mem_efficient_sdp(efficient)
    cuda.enable_cudnn_sdp(fused)
    mha.set_fastpath_enabled(fast_path)
