"""Peak memory of one meta-gradient by the number of inner steps: first order, implicit (iMAML), and second order twice.

    python benchmarks/inner_steps_memory.py

A 5-way 1-shot episode of noise, 28x28, 15 queries, Conv-4 with 64 filters, float32, one thread. Each number is the peak
resident memory of a process of its own above what it held before its first meta-gradient (in brackets: of the whole
process). The last line is the time of second order with constant memory by that with the retained graph, medians of
turns taken in one process, one after the other.
"""

import resource
import statistics
import subprocess
import sys
import time
from dataclasses import replace

STEPS = (1, 4, 16, 50, 64)
CONSTANT = "second, constant memory"
TURNS = 7


def measured(*what: object) -> list[float]:
    """Return what a process of its own prints."""
    command = [sys.executable, __file__, *map(str, what)]
    return [float(each) for each in subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()]


def world(order: str, steps: int):
    """Return an algorithm, its parameters and an episode."""
    import torch

    import innerloop as il
    from innerloop.algorithms import adjoint
    from innerloop.seeds import generator

    torch.set_num_threads(1)
    learner = il.build_learner(il.ModelConfig("conv4"), (1, 28, 28), 5, 0)
    name = "imaml" if order == "implicit" else "fomaml" if order == "first" else "maml"
    algorithm = il.build_algorithm(il.AlgorithmConfig(name), learner, il.InnerLoop(lr=0.01, steps=steps))
    if order == CONSTANT:
        algorithm = replace(algorithm, rules={**algorithm.rules, "second": adjoint.meta_gradient})
    rng = generator(0, "noise")
    support, query = (
        il.Examples(torch.rand(5 * count, 1, 28, 28, generator=rng), torch.arange(5).repeat_interleave(count))
        for count in (1, 15)
    )
    return algorithm, algorithm.initial_params(), il.Episode(support, query)


def memory(order: str, steps: int) -> None:
    """Print the mebibytes that this process grows by, and how many it comes to."""
    algorithm, params, episode = world(order, steps)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    algorithm.meta_gradient(params, episode)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print((after - before) / 1024, after / 1024)


def ratio(steps: int) -> None:
    """Print the time of constant memory by that of the retained graph."""
    worlds = [world(order, steps) for order in (CONSTANT, "second")]
    times = [[], []]
    for turn in range(TURNS + 1):
        for taken, (algorithm, params, episode) in zip(times, worlds, strict=True):
            start = time.perf_counter()
            algorithm.meta_gradient(params, episode)
            if turn:  # the first is for kernels and their buffers
                taken.append(time.perf_counter() - start)
    constant, retained = map(statistics.median, times)
    print(constant / retained)


def main() -> None:
    """Print the table."""
    print("| order | " + " | ".join(f"{steps} steps" for steps in STEPS) + " |\n|" + "---|" * (len(STEPS) + 1))
    for order in ("first", "implicit", "second", CONSTANT):
        cells = ("{:.0f} ({:.0f}) MiB".format(*measured(order, steps)) for steps in STEPS)
        print(f"| {order} | " + " | ".join(cells) + " |", flush=True)
    print("| its time by second's | " + " | ".join(f"{measured(steps)[0]:.2f}" for steps in STEPS) + " |")


if __name__ == "__main__":
    asked = sys.argv[1:]
    if len(asked) == 2:
        memory(asked[0], int(asked[1]))
    elif asked:
        ratio(int(asked[0]))
    else:
        main()
