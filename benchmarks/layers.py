"""What the layers of Conv-4 reach by themselves, beside a large matrix product: where the time of a step goes.

    python benchmarks/layers.py

The 75 query images of one *omni* task (28x28, 64 filters), channels last, float32 and bf16; medians of 9.
"""

import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812

from innerloop.cli.memory import keep_big_blocks
from innerloop.engine.layout import channels_last


def milliseconds(work: Callable[[], object]) -> float:
    work()
    taken = []
    for _ in range(9):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return 1e3 * statistics.median(taken)


def main() -> None:
    keep_big_blocks()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    for kind in (torch.float32, torch.bfloat16):
        square = torch.randn(3000, 3000).to(kind)
        print(f"{kind}: product {54e3 / milliseconds(lambda: square @ square):.0f} GFLOP/s")  # noqa: B023
        for channels, size in ((1, 28), (64, 14), (64, 7)):
            images = channels_last(torch.randn(75, channels, size, size).to(kind))
            weight = channels_last(torch.randn(64, channels, 3, 3).to(kind))
            took = milliseconds(lambda: F.conv2d(images, weight, padding=1))  # noqa: B023
            rate = 2 * 75 * channels * 64 * 9 * size**2 / took / 1e6
            print(f"  convolution {channels:2} -> 64 at {size}x{size}: {took:.2f} ms, {rate:.0f} GFLOP/s")
        values = channels_last(torch.randn(75, 64, 28, 28).to(kind)).requires_grad_()
        scale, shift = torch.ones(64, requires_grad=True), torch.zeros(64, requires_grad=True)
        for name, layer in (
            ("BatchNorm", lambda: F.batch_norm(values, None, None, scale, shift, True)),  # noqa: B023
            ("pooling", lambda: F.max_pool2d(values, 2)),  # noqa: B023
        ):
            outputs = layer()
            back = torch.ones_like(outputs)
            there = milliseconds(layer)
            again = milliseconds(lambda: torch.autograd.grad(outputs, values, back, retain_graph=True))  # noqa: B023
            print(f"  {name} at 28x28: {there:.2f} ms, back {again:.2f} ms")


if __name__ == "__main__":
    main()
