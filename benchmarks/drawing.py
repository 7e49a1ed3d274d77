"""How many episodes a second can be drawn, and what preparing and opening a data set costs.

    python benchmarks/drawing.py --omniglot FOLDER --tiny FOLDER

One core, 5-way 1-shot with 15 queries a class, one episode after another, from the memory-mapped cache. A fresh cache
folder is used, so that preparation is measured too; peak memory is the process's own, and includes torch.
"""

import argparse
import os
import resource
import tempfile
import time
from pathlib import Path

import torch

from innerloop import DataConfig, EpisodeShape, draw, load


def anonymous() -> float:
    """Return the process's own memory in MiB, without the pages of mapped files."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--omniglot", required=True)
    parser.add_argument("--tiny", required=True)
    parser.add_argument("--episodes", type=int, default=2000)
    options = parser.parse_args()
    torch.set_num_threads(1)
    shape = EpisodeShape(5, 1, 15)
    with tempfile.TemporaryDirectory() as cache:
        os.environ["INNERLOOP_CACHE"] = cache
        for config in (DataConfig("omniglot", root=options.omniglot), DataConfig("tiny_imagenet", root=options.tiny)):
            started = time.perf_counter()
            load(config)
            prepared = time.perf_counter() - started
            started = time.perf_counter()
            split = load(config).split("train")
            opened = time.perf_counter() - started
            for index in range(100):
                draw(split, shape, 1, index)
            held = anonymous()
            started = time.perf_counter()
            for index in range(options.episodes):
                draw(split, shape, 0, index)
            rate = options.episodes / (time.perf_counter() - started)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(
                f"{config.name:<14} prepared in {prepared:5.1f} s, opened in {opened:.3f} s, "
                f"{rate:6.0f} episodes/s, peak memory so far {peak:.0f} MiB, "
                f"own memory after {options.episodes} episodes {anonymous() - held:+.1f} MiB"
            )


if __name__ == "__main__":
    main()
