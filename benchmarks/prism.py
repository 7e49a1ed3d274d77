"""What the prism costs: a split, a recording beside a training step, and responsibility over episodes.

    OMP_NUM_THREADS=1 python benchmarks/prism.py --root FOLDER_WITH_OMNIGLOT

The recording is timed as the call that training makes, against outer steps of the same recipe in the same process.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from innerloop.algorithms import AlgorithmConfig
from innerloop.algorithms import build as build_algorithm
from innerloop.analysis import Subject, parts, probes, split
from innerloop.analysis.responsibility import ResponsibilitySettings, measure
from innerloop.data import DataConfig
from innerloop.data.episode import EpisodeShape
from innerloop.models import ModelConfig
from innerloop.params import zeroed
from innerloop.runs import Recipe, build, probe_episodes, training_batch
from innerloop.seeds import generator
from innerloop.training import TrainingConfig, train


def median(work: Callable[[], object], turns: int) -> float:
    """Return the median of several turns, in seconds."""
    times = []
    for _ in range(turns):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--root", required=True)
    options.add_argument("--episodes", type=int, default=600)
    given = options.parse_args()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")

    rng = generator(0, "features")
    support, query, weight = (torch.randn(n, 800, generator=rng) for n in (25, 75, 5))
    labels = torch.arange(5)
    worlds = (support, labels.repeat_interleave(5), query, labels.repeat_interleave(15), weight, torch.zeros(5))
    for steps in (1, 5):
        took = median(lambda steps=steps: split(*worlds, inner_lr=0.01, inner_steps=steps), 50)
        print(f"split, 5-way 5-shot, 75 queries, 800 features, second order, {steps} steps: {1000 * took:.2f} ms")

    recipe = Recipe(
        data=DataConfig("omniglot", given.root),
        episode=EpisodeShape(5, 1, 15),
        model=ModelConfig("strided_conv4"),
        training=TrainingConfig(steps=12, tasks=32),
    )
    workshop = build(recipe)
    for order in ("first", "second"):
        algorithm = build_algorithm(AlgorithmConfig("maml", order=order), workshop.algorithm.learner, recipe.inner_loop)
        states = train(
            algorithm, workshop.start, lambda step: training_batch(recipe, workshop.data, step), recipe.training
        )
        state = next(states)
        one = median(lambda states=states: next(states), 10)
        probed = probe_episodes(recipe, workshop.data)
        took = median(
            lambda algorithm=algorithm, params=state.params, probed=probed: parts.recorded(algorithm, params, probed), 5
        )
        print(
            f"one recording of {len(probed)} probe episodes, {order} order: {took / one:.2f} training steps of 32 tasks"
        )

    algorithm = workshop.algorithm
    held_out = workshop.data.split("test")
    for shots in (1, 5):
        shape = EpisodeShape(5, shots, 15)
        for head, params in (
            ("random", workshop.start.params),
            ("zeroed", zeroed(workshop.start.params, algorithm.learner.head_names)),
        ):
            subject = Subject(
                algorithm, algorithm, params, lambda shape=shape: probes(held_out, shape, 0, range(given.episodes))
            )
            started = time.perf_counter()
            measure(subject, ResponsibilitySettings())
            took = time.perf_counter() - started
            print(f"responsibility, {given.episodes} episodes, {shape}, {head} head: {took:.1f} s")


if __name__ == "__main__":
    main()
