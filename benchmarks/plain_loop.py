"""One outer gradient of ours against a plain autograd loop over tasks, as a ratio.

    python benchmarks/plain_loop.py --root FOLDER_WITH_THE_OMNIGLOT_ZIPS

Omniglot 5-way 1-shot, strided Conv-4 with 64 filters, 32 tasks, 15 queries, 1 inner step, float32. The two take turns
in one process on the same episodes, so that the machine's drift meets both; ratios are taken turn by turn. The plain
loop is what one writes by hand: functional_call and torch.autograd.grad, no library. Both gradients are compared first.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from torch.func import functional_call

from innerloop import (
    AlgorithmConfig,
    DataConfig,
    EpisodeShape,
    InnerLoop,
    ModelConfig,
    build_algorithm,
    build_learner,
    draw_batch,
    load,
)
from innerloop.data.episode import Batch, tasks
from innerloop.engine import mean_meta_gradient
from innerloop.shapes import Params

LR = 0.4


def plain_loop(module: torch.nn.Module, params: Params, batch: Batch, second_order: bool) -> Params:
    total: dict[str, torch.Tensor] = {}
    count = 0
    for (support, slots), (query, answers) in tasks(batch):
        count += 1
        start = {name: value.clone().requires_grad_() for name, value in params.items()}
        loss = F.cross_entropy(functional_call(module, start, (support,)), slots)
        gradients = torch.autograd.grad(loss, list(start.values()), create_graph=second_order)
        adapted = {name: value - LR * g for (name, value), g in zip(start.items(), gradients, strict=True)}
        if not second_order:
            adapted = {name: value.detach().requires_grad_() for name, value in adapted.items()}
        loss = F.cross_entropy(functional_call(module, adapted, (query,)), answers)
        at = start if second_order else adapted
        gradients = torch.autograd.grad(loss, list(at.values()))
        for name, g in zip(at, gradients, strict=True):
            total[name] = total[name] + g if name in total else g
    return {name: value / count for name, value in total.items()}


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True)
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--tasks", type=int, default=32)
    options = parser.parse_args()

    train = load(DataConfig("omniglot", root=options.root, split="characters")).split("train")
    batch = draw_batch(train, EpisodeShape(5, 1, 15), 0, range(options.tasks))
    learner = build_learner(ModelConfig("strided_conv4"), train.input_shape, 5, 0)
    params = learner.initial_params()
    module = learner._whole
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {options.turns} turns")
    for name, second_order in (("fomaml", False), ("maml", True)):
        algorithm = build_algorithm(AlgorithmConfig(name), learner, InnerLoop(lr=LR, steps=1))
        theirs = plain_loop(module, params, batch, second_order)
        ours = mean_meta_gradient(algorithm, params, batch).gradient
        apart = max((ours[key] - theirs[key]).abs().max().item() for key in params)
        turns = [
            (
                seconds(lambda: mean_meta_gradient(algorithm, params, batch)),  # noqa: B023
                seconds(lambda: plain_loop(module, params, batch, second_order)),  # noqa: B023
            )
            for _ in range(options.turns)
        ]
        ratios = sorted(mine / plain for mine, plain in turns)
        mine, plain = (1000 * statistics.median(column) for column in zip(*turns, strict=True))
        print(
            f"{name:<7} ours {mine:6.0f} ms   plain {plain:6.0f} ms   ours/plain {statistics.median(ratios):.3f}, "
            f"middle half {ratios[len(ratios) // 4]:.3f} to {ratios[3 * len(ratios) // 4]:.3f}   "
            f"gradients apart by {apart:.1e}"
        )


if __name__ == "__main__":
    main()
