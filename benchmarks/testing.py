"""How long 1,000 Omniglot test episodes take, by engine: as trained and with a zero head, and from a zero head alone.

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
    zeroing = il.build_algorithm(il.AlgorithmConfig("zeroing"), learner, il.InnerLoop(lr=0.4, steps=1))
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {options.episodes} episodes")
    zeroed = il.initial_state(zeroing, zeroing.initial_params()).params
    for start, tests in ((params, "twice, as trained and zeroed"), (zeroed, "once, from a zero head")):
        for name in ("workers", "loop"):
            engine = il.Chosen(il.EngineConfig(name=name), algorithm)
            started = time.perf_counter()
            il.evaluate(algorithm, start, test, il.EpisodeShape(5, 1, 15), range(options.episodes), 0, engine=engine)
            print(f"{name:<8} each tested {tests}: {time.perf_counter() - started:5.1f} s", flush=True)


if __name__ == "__main__":
    main()
