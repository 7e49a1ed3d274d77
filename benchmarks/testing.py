"""How long 1,000 Omniglot test episodes take, as trained and with the head zeroed, by engine.

    python benchmarks/testing.py --root FOLDER_WITH_THE_OMNIGLOT_ZIPS

5-way 1-shot, 15 queries, strided Conv-4 with 64 filters, 1 inner step, before adaptation and after; drawing episodes
and starting the engine are counted. The process is set up as the command line sets up its own.
"""

import argparse
import time

import torch

import innerloop as il
from innerloop.cli.memory import keep_big_blocks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True)
    parser.add_argument("--episodes", type=int, default=1000)
    options = parser.parse_args()

    keep_big_blocks()
    test = il.load(il.DataConfig("omniglot", root=options.root, split="characters")).split("test")
    learner = il.build_learner(il.ModelConfig("strided_conv4"), test.input_shape, 5, 0)
    trained = il.build_algorithm(il.AlgorithmConfig("fomaml"), learner, il.InnerLoop(lr=0.4, steps=1))
    algorithm = il.EvaluationConfig().applied_to(trained)
    params = trained.initial_params()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {options.episodes} episodes")
    for name in ("workers", "loop"):
        engine = il.Chosen(il.EngineConfig(name=name), algorithm)
        started = time.perf_counter()
        found = il.evaluate(
            algorithm, params, test, il.EpisodeShape(5, 1, 15), range(options.episodes), 0, engine=engine
        )
        print(f"{name:<8} {time.perf_counter() - started:5.1f} s   accuracy {found.interval().mean:.4f}", flush=True)


if __name__ == "__main__":
    main()
