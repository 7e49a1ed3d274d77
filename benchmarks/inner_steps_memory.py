"""Peak memory of one meta-gradient by the number of inner steps, implicit (iMAML) beside second and first order.

    python benchmarks/inner_steps_memory.py

A 5-way 1-shot episode of noise, 28x28, 15 queries, Conv-4 with 64 filters, float32; each number is the peak resident
memory of a process of its own above what it held before the meta-gradient.
"""

import resource
import subprocess
import sys

STEPS = (1, 4, 16, 64)


def peak(order: str, steps: int) -> float:
    """Return the mebibytes one meta-gradient adds to a fresh process."""
    done = subprocess.run([sys.executable, __file__, order, str(steps)], capture_output=True, text=True, check=True)
    return float(done.stdout)


def measure(order: str, steps: int) -> None:
    """Print the mebibytes that this process grows by."""
    import torch

    import innerloop as il
    from innerloop.seeds import generator

    torch.set_num_threads(1)
    learner = il.build_learner(il.ModelConfig("conv4"), (1, 28, 28), 5, 0)
    config = il.AlgorithmConfig("imaml") if order == "implicit" else il.AlgorithmConfig("maml", order=order)
    algorithm = il.build_algorithm(config, learner, il.InnerLoop(lr=0.01, steps=steps))
    rng = generator(0, "noise")
    support, query = (
        il.Examples(torch.rand(5 * count, 1, 28, 28, generator=rng), torch.arange(5).repeat_interleave(count))
        for count in (1, 15)
    )
    params = algorithm.initial_params()
    algorithm.with_inner(steps=1).meta_gradient(params, il.Episode(support, query))  # kernels and their buffers
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    algorithm.meta_gradient(params, il.Episode(support, query))
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)


def main() -> None:
    """Print the table."""
    print("| order | " + " | ".join(f"{steps} steps" for steps in STEPS) + " |\n|" + "---|" * (len(STEPS) + 1))
    for order in ("implicit", "second", "first"):
        print(f"| {order} | " + " | ".join(f"{peak(order, steps):.0f} MiB" for steps in STEPS) + " |")


if __name__ == "__main__":
    measure(sys.argv[1], int(sys.argv[2])) if len(sys.argv) == 3 else main()
