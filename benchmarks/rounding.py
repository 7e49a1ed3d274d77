"""How far a run drifts from itself when its first values change by as much as rounding does.

    python benchmarks/rounding.py runs/contrastive/MAML_zeroing/seed-0

Trains the run's recipe again from first values that are 1e-7 of themselves away, on the same episodes, and holds the
validation curve against the run's own. What two learners of one gradient differ by over training is to be judged by it.
"""

import argparse
import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import mean

import torch

from innerloop.data.split import VALIDATION
from innerloop.runs import build, open_run, training_batch
from innerloop.seeds import derived_seed, generator
from innerloop.training import evaluate, train

SIZE = 1e-7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    run = open_run(parser.parse_args().run)
    recipe, curve = (
        run.recipe,
        {record["step"]: record["validation"] for record in run.history if "validation" in record},
    )
    data, algorithm, start = build(recipe)
    rng = generator(recipe.seed, "rounding")
    nudged = {
        name: value * (1 + SIZE * torch.randn(value.shape, generator=rng)) for name, value in start.params.items()
    }
    gaps = []
    states = train(algorithm, replace(start, params=nudged), partial(training_batch, recipe, data), recipe.training)
    for state in states:
        if state.step not in curve:
            continue
        indices, seed = range(recipe.record.validation_episodes), derived_seed(recipe.seed, "validation")
        tested = recipe.evaluation.applied_to(algorithm)
        result = evaluate(tested, state.params, data.split(VALIDATION), recipe.episode, indices, seed)
        gaps.append(100 * abs(result.interval().mean - curve[state.step]["accuracy"]))
        print(json.dumps({"step": state.step, "gap": round(gaps[-1], 3)}), flush=True)
    print(f"{run.name}: mean {mean(gaps):.3f}, largest {max(gaps):.3f}, last {gaps[-1]:.3f} points ({len(gaps)})")


if __name__ == "__main__":
    main()
