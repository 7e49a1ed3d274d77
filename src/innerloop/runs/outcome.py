"""What became of a grid: each cell's finished runs, what they measured, their tests, and who is behind whom."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from innerloop.data import DataConfig
from innerloop.data.episode import EpisodeShape
from innerloop.data.split import TEST
from innerloop.runs import saves
from innerloop.runs.checkpoint import whose
from innerloop.runs.grid import Cell
from innerloop.runs.opened import KeptEvaluation, OpenedRun
from innerloop.statistics import Interval, mean_interval, paired_difference
from innerloop.training import Measure

TEST_SEED = 0  # all runs of a sweep are tested on the same episodes, as `evaluate` does by default
VERB = "innerloop sweep"

Quantity = tuple[str, str]
Band = list[tuple[int, Interval]]


@dataclass(frozen=True, eq=False)
class Outcome:
    """One cell of a grid.

    Attributes:
        cell: Which.
        runs: Its finished runs, by seed.
        tests: Their tests, by seed; a finished run may have none.
    """

    cell: Cell
    runs: Mapping[int, OpenedRun]
    tests: Mapping[int, KeptEvaluation]

    @property
    def test(self) -> tuple[DataConfig, EpisodeShape, int, str]:
        """What must be the same for two cells to have been tested alike: data, shape, episodes, BatchNorm."""
        recipe = self.cell.recipe
        return recipe.data, recipe.episode, recipe.evaluation.episodes, recipe.model.normalization

    @property
    def measure(self) -> Measure:
        """What was tested: accuracy, unless a test says otherwise."""
        return next((kept.evaluation.measure for kept in self.tests.values()), "accuracy")

    def means(self, zero_head: bool = False) -> dict[int, float]:
        """Return each seed's mean over its test episodes, after adaptation."""
        return {seed: kept.evaluation.interval(zero_head).mean for seed, kept in self.tests.items()}

    def interval(self, zero_head: bool = False) -> Interval | None:
        """Return the mean with its 95% interval: over seeds where there are two, else over the one's episodes."""
        if not self.tests:
            return None
        if len(self.tests) > 1:
            return mean_interval(list(self.means(zero_head).values()))
        return next(iter(self.tests.values())).evaluation.interval(zero_head)

    def band(self, quantity: Quantity) -> Band:
        """Return outer steps, and there a quantity's mean with its interval over the seeds that have it."""
        found: dict[int, list[float]] = {}
        for run in self.runs.values():
            for step, value in curves(run).get(quantity, []):
                found.setdefault(step, []).append(value)
        return [(step, mean_interval(values)) for step, values in sorted(found.items())]

    def extremes(self, quantity: Quantity) -> list[float]:
        """Return every value of a quantity, of any seed at any step."""
        return [value for run in self.runs.values() for _, value in curves(run).get(quantity, [])]


def curves(run: OpenedRun) -> dict[Quantity, list[tuple[int, float]]]:
    """Return what was measured every so many outer steps: for each kind and name the steps and finite values."""
    found: dict[Quantity, list[tuple[int, float]]] = {}
    for record in run.history:
        for kind, values in record.items():
            for what, value in values.items() if isinstance(values, dict) else ():
                if isinstance(value, int | float) and math.isfinite(value):
                    found.setdefault((kind, what), []).append((record["step"], value))
    return found


def finished(run: OpenedRun) -> bool:
    """Return whether a run has been trained, and saved, to its end."""
    saved = saves.newest(run.directory, whose(run.about))
    return saved is not None and saved[0].step == run.recipe.training.steps


def own_test(run: OpenedRun) -> KeptEvaluation | None:
    """Return the test that a sweep gave a finished run, if it did.

    One made by hand may be of the run half-way, so it does not count.
    """
    recipe = run.recipe
    inner_lr, inner_steps = recipe.test_loop
    for kept in run.evaluations():
        result = kept.evaluation
        if (
            kept.command.startswith(f"{VERB} ")
            and (kept.data, kept.checkpoint) == (recipe.data, run.chosen("best"))
            and (result.split, result.shape, result.seed) == (TEST, recipe.episode, TEST_SEED)
            and (len(result.as_trained), result.inner_lr, result.inner_steps)
            == (recipe.evaluation.episodes, inner_lr, inner_steps)
            and result.head == recipe.test_head
        ):
            return kept
    return None


def ranks(outcomes: Sequence[Outcome], zero_head: bool = False) -> list[Outcome]:
    """Return the tested cells, the highest mean accuracy (the lowest loss) first; of equals the grid's first."""

    def worth(outcome: Outcome) -> float:
        interval = outcome.interval(zero_head)
        mean = 0.0 if interval is None else interval.mean
        return mean if outcome.measure == "loss" else -mean

    return sorted((outcome for outcome in outcomes if outcome.tests), key=worth)


def behind(ahead: Outcome, other: Outcome, zero_head: bool = False) -> Interval | None:
    """Return how far a cell is behind another, with its 95% interval; None where no seed is shared.

    Paired over the means of the seeds both have, which share first values and training episodes; with one such seed,
    over its test episodes, which both were tested on.
    """
    shared = [seed for seed in ahead.tests if seed in other.tests]
    if not shared:
        return None
    sign = -1 if ahead.measure == "loss" else 1
    if len(shared) > 1:
        means, others = ahead.means(zero_head), other.means(zero_head)
        return paired_difference([sign * means[seed] for seed in shared], [sign * others[seed] for seed in shared])
    left, right = (each.tests[shared[0]].evaluation for each in (ahead, other))
    if zero_head:
        return paired_difference(sign * left.zeroed[:, -1], sign * right.zeroed[:, -1])
    return paired_difference(sign * left.as_trained[:, -1], sign * right.as_trained[:, -1])


def to_values(outcome: Outcome, folder_of: Mapping[int, str], analyses: Sequence[str]) -> dict[str, Any]:
    """Return a cell as plain values: its settings, numbers by seed, and what its figures are drawn of.

    Args:
        outcome: The cell.
        folder_of: Where the run of each seed lies.
        analyses: Whose results are taken along.
    """
    return {
        "name": outcome.cell.name,
        "values": outcome.cell.values,
        "settings": outcome.cell.settings,
        "recipe": asdict(outcome.cell.recipe),
        "as_trained": _plain(outcome.interval()),
        "head_zeroed": _plain(outcome.interval(zero_head=True)),
        "interval_over": "seeds" if len(outcome.tests) > 1 else "episodes",
        "runs": [
            {
                "seed": seed,
                "folder": folder_of[seed],
                "test": _test(outcome.tests[seed]) if seed in outcome.tests else None,
                "curves": {
                    ".".join(quantity): {"steps": [step for step, _ in points], "values": [each for _, each in points]}
                    for quantity, points in curves(run).items()
                },
                "explained": [asdict(kept) for kept in run.explanations() if kept.analysis in analyses],
            }
            for seed, run in outcome.runs.items()
        ],
    }


def _test(kept: KeptEvaluation) -> dict[str, Any]:
    result = kept.evaluation
    by_step = {
        arm: [_plain(result.interval(zero_head, step)) for step in range(result.inner_steps + 1)]
        for arm, zero_head in (("as_trained", False), ("head_zeroed", True))
    }
    return {
        "data_set": result.data_set,
        "split": result.split,
        "shape": asdict(result.shape),
        "seed": result.seed,
        "episodes": len(result.as_trained),
        "measure": result.measure,
        "transductive": result.transductive,
        "inner_lr": result.inner_lr,
        "inner_steps": result.inner_steps,
        "head": result.head,
        "checkpoint": kept.checkpoint,
        "by_inner_step": by_step,
    }


def _plain(interval: Interval | None) -> dict[str, Any] | None:
    if interval is None:
        return None
    width = None if math.isinf(interval.half_width) else interval.half_width
    return {"mean": interval.mean, "half_width": width, "observations": interval.observations}
