"""Two ranks on one machine against one, each with one thread: outer gradients a second, as a ratio.

    python benchmarks/ranks.py

First-order MAML on 28x28 images of noise, 5-way 1-shot, 15 queries, Conv-4 with 64 filters, 32 tasks, one inner step,
float32. The processes live all the time and take turns, so that the machine's drift meets both; ratios are taken turn
by turn. The gradients of both are compared first.
"""

import argparse
import socket
import statistics
import subprocess
import sys
import time

import torch

import innerloop as il
from innerloop.data.episode import stacked
from innerloop.engine import Loop
from innerloop.engine.group import Group
from innerloop.engine.launch import Place, meet
from innerloop.engine.ranks import Sharded
from innerloop.params import digest, norm
from innerloop.seeds import generator


def world(tasks: int):
    """Return an algorithm, its parameters and a batch of episodes."""
    learner = il.build_learner(il.ModelConfig("conv4"), (1, 28, 28), 5, 0)
    algorithm = il.build_algorithm(il.AlgorithmConfig("fomaml"), learner, il.InnerLoop(lr=0.4, steps=1))
    rng = generator(0, "noise")

    def examples(per_way: int) -> il.Examples:
        slots = torch.arange(5).repeat_interleave(per_way)
        return il.Examples(torch.rand(5 * per_way, 1, 28, 28, generator=rng), slots)

    batch = stacked([il.Episode(examples(1), examples(15)) for _ in range(tasks)])
    return algorithm, algorithm.initial_params(), batch


def work(rank: int, size: int, port: int, tasks: int, turns: int) -> None:
    """Take turns: rank 0 reads a line for each, and prints the seconds it took."""
    torch.set_num_threads(1)
    algorithm, params, batch = world(tasks)
    with Group() as group:
        place = Place(rank, size, "127.0.0.1", port, torch.device("cpu"))
        group.connect(meet(place), rank, size, place.device)
        engine = Sharded(Loop(algorithm), group)
        found = engine.gradient(params, batch).gradient
        group.agree({"gradient": digest(found.values())})
        if group.leads:
            print(norm(found).item(), flush=True)
        for _ in range(turns):
            if group.leads:
                sys.stdin.readline()
            group.sum(torch.zeros(1))  # all begin at once
            begun = time.perf_counter()
            engine.gradient(params, batch)
            if group.leads:
                print(time.perf_counter() - begun, flush=True)


class Ranks:
    """So many processes, told when to work."""

    def __init__(self, size: int, tasks: int, turns: int) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
        commands = [[sys.executable, __file__, "--work", *map(str, (r, size, port, tasks, turns))] for r in range(size)]
        pipe = subprocess.PIPE
        self.first, *self.others = [subprocess.Popen(each, stdin=pipe, stdout=pipe, text=True) for each in commands]
        self.norm = float(self.first.stdout.readline())

    def turn(self) -> float:
        """Return the seconds that one outer gradient takes."""
        self.first.stdin.write("\n")
        self.first.stdin.flush()
        return float(self.first.stdout.readline())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=32)
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--work", type=int, nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(*options.work)
        return
    one, two = (Ranks(size, options.tasks, options.turns) for size in (1, 2))
    print(f"norm of the gradient: one rank {one.norm:.7g}, two ranks {two.norm:.7g}")
    seconds = [(one.turn(), two.turn()) for _ in range(options.turns)]
    ratios = sorted(single / double for single, double in seconds)
    for name, times in zip(("one rank", "two ranks"), zip(*seconds, strict=True), strict=True):
        print(f"{name:<10} median {statistics.median(times):.3f} s, from {min(times):.3f} to {max(times):.3f}")
    print(
        f"ratio      median {statistics.median(ratios):.2f}, middle half {ratios[len(ratios) // 4]:.2f} to "
        f"{ratios[-1 - len(ratios) // 4]:.2f} ({options.turns} turns, {options.tasks} tasks, torch {torch.__version__})"
    )


if __name__ == "__main__":
    main()
