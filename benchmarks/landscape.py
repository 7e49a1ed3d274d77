"""How long a surface of the query loss takes, and the largest eigenvalues of its Hessian at one point.

    python benchmarks/landscape.py FOLDER_OF_A_RUN --root FOLDER_OF_THE_DATA [--points 41] [--eigenvalues 5]

Both are of the first test episode after adaptation, by the code that `innerloop explain RUN landscape` runs: the
surface on as many threads as torch has, over a plane of two filter-normalised random directions.
"""

import argparse
import time
from dataclasses import replace

from innerloop.analysis.planes import random_plane
from innerloop.analysis.spectrum import spectrum
from innerloop.analysis.surfaces import over_plane, spaced
from innerloop.data import load
from innerloop.data.episode import Episode, Examples
from innerloop.data.sampler import draw
from innerloop.engine import cores
from innerloop.engine.workers import of_slopes_and_bends
from innerloop.params import select
from innerloop.runs import open_run
from innerloop.seeds import generator


def main() -> None:
    """Print both."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("run")
    asked.add_argument("--root", required=True)
    asked.add_argument("--points", type=int, default=41)
    asked.add_argument("--eigenvalues", type=int, default=5)
    options = asked.parse_args()
    run = open_run(options.run)
    split = load(replace(run.recipe.data, root=options.root)).split("test")
    trained, state = run.learned(split, "last")
    tested = run.recipe.evaluation.applied_to(trained)
    episode = draw(split, run.recipe.episode, 0, 0)
    adapted = tested.adapt(state.params, episode.support).adapted
    own = select(adapted, tested.learner.names)
    quick, bending = of_slopes_and_bends(tested, cores())
    places = spaced(-1.0, 1.0, options.points)
    start = time.perf_counter()
    plane = random_plane(adapted, own, generator(0, "benchmark"))
    over_plane(quick, plane, places, places, {"query": lambda algorithm, here: algorithm.query_loss(here, episode)[0]})
    shape = f"{options.points}x{options.points}"
    print(f"{shape} query losses: {time.perf_counter() - start:.1f} s on {cores()} threads")
    doubled = Episode(*(Examples(side.inputs.double(), side.targets) for side in episode))
    start = time.perf_counter()
    found = spectrum(lambda here: bending.algorithm.query_loss(here, doubled)[0], own, options.eigenvalues)
    largest = max(found.residuals, default=float("nan"))
    print(
        f"{len(found.eigenvalues)} largest of {sum(value.numel() for value in own.values())} eigenvalues: "
        f"{time.perf_counter() - start:.1f} s, {found.products} products, residuals up to {largest:.1g}"
    )


if __name__ == "__main__":
    main()
