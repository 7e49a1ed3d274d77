"""How long embedding tasks takes, and asking a large bank for the nearest of a new one.

    python benchmarks/tasks.py FOLDER_OF_A_RUN [--tasks 1000] [--bank 10000] [--dimensions 2048] [--embedding direction]

Tasks are those of the run's own training classes, drawn, embedded and projected on as many threads as torch has. The
large bank holds random directions, which take as long to search as tasks do; a query is one new task, and the median is
of 50.
"""

import argparse
import time
from statistics import median

import numpy as np

from innerloop.analysis import Subject
from innerloop.analysis.bank import Bank, bank, embedder
from innerloop.data import load
from innerloop.engine import cores
from innerloop.runs import open_run

QUERIES = 50


def main() -> None:
    """Print both."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("run")
    asked.add_argument("--tasks", type=int, default=1000)
    asked.add_argument("--bank", type=int, default=10_000)
    asked.add_argument("--dimensions", type=int, default=2048)
    asked.add_argument("--neighbours", type=int, default=32)
    asked.add_argument("--embedding", default="direction")
    options = asked.parse_args()
    run = open_run(options.run)
    data = load(run.recipe.data)
    algorithm, state = run.learned(data.split("test"), "last")
    tested = run.recipe.evaluation.applied_to(algorithm)
    # Without a run the bank is kept nowhere, and made anew.
    subject = Subject(algorithm, tested, state.params, lambda: (), home=data.split, shape=run.recipe.episode)
    made = embedder(subject, options.embedding, options.dimensions)
    start = time.perf_counter()
    bank(subject, made, options.tasks)
    print(f"{options.tasks} embeddings by {made.kind}: {time.perf_counter() - start:.1f} s on {cores()} threads")
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(options.bank, made.dimensions)).astype(np.float32)
    held = Bank(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    held.nearest(rng.normal(size=(1, made.dimensions)), options.neighbours)  # the first has to find memory
    times = []
    for _ in range(QUERIES):
        target = rng.normal(size=(1, made.dimensions))
        start = time.perf_counter()
        held.nearest(target, options.neighbours)
        times.append(time.perf_counter() - start)
    print(f"query of {options.bank} tasks in {made.dimensions} dimensions: {1000 * median(times):.1f} ms")


if __name__ == "__main__":
    main()
