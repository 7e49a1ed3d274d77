"""The tests that runs took: which of them stand in one table, and the table.

Runs share a table where they were tested on the same episodes in the same way: with as many inner steps, the same
rate and the same head. Runs whose recipes adapt in different ways share one too, with the way beside the name.
"""

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import NamedTuple

from innerloop.data.episode import ends
from innerloop.figures import training as training_figure
from innerloop.report import sentences
from innerloop.report.words import HEADS, adapted, listed
from innerloop.runs import KeptEvaluation, OpenedRun
from innerloop.statistics import Interval
from innerloop.training import Evaluation


class Test(NamedTuple):
    """One test that several runs took: the same data, split, shape and seed."""

    title: str
    kept: dict[str, KeptEvaluation]

    @property
    def results(self) -> dict[str, Evaluation]:
        """The results by the run's label."""
        return {name: each.evaluation for name, each in self.kept.items()}


Key = tuple[object, ...]
ByRun = dict[str, KeptEvaluation]


def taken_by(runs: Sequence[OpenedRun]) -> list[Test]:
    """Return the tests of these runs: the data trained on first, then by shots, the order in which a reader asks."""
    found: dict[Key, dict[Key, ByRun]] = {}
    for run in runs:
        for kept in run.evaluations():
            by_way = found.setdefault(_episodes(kept), {})
            by_way.setdefault(_way(kept.evaluation), {})[training_figure.label(run)] = kept
    named = {training_figure.label(run): run for run in runs}
    tests = [
        Test(next(iter(by_run.values())).evaluation.title, by_run)
        for by_way in found.values()
        for by_run in _tables(by_way, named)
    ]
    trained = {run.recipe.data.name for run in runs}

    def order(test: Test) -> tuple[bool, str, tuple[int, int]]:
        kept = next(iter(test.kept.values()))
        return kept.data.name not in trained, kept.data.name, ends(kept.evaluation.shape.k_shot)

    return sorted(tests, key=order)


def table(test: Test) -> str:
    """Return one test's heading, sentence, table and conditions as HTML."""
    results = test.results
    sample = next(iter(results.values()))
    alike = len({_way(result) for result in results.values()}) == 1
    columns = _columns(list(results.values()))
    highest = max if sample.measure == "accuracy" else min
    best = [highest(measure(result).mean for result in results.values()) for _, measure in columns]
    rows = []
    for name, result in results.items():
        cells = []
        for (column, measure), top in zip(columns, best, strict=True):
            interval = measure(result)
            winning = len(results) > 1 and interval.mean == top and column != "before adaptation"
            mark = ' class="best"' if winning else ""
            cells.append(f"<td{mark}>{sentences.written(interval, result.measure)}</td>")
        way = "" if alike else f' <span class="small">{escape(adapted(result))}</span>'
        rows.append(f"<tr><td>{escape(name)}{way}</td>{''.join(cells)}</tr>")
    head = "".join(f"<th>{escape(column)}</th>" for column, _ in columns)
    said = sentences.comparison(results)
    return (
        f"<h2>Test: {escape(test.title)}</h2>" + (f"<p>{escape(said)}</p>" if said else "") + '<div class="scroll">'
        f"<table><thead><tr><th>learner</th>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
        f'<p class="small">{_note(test, sample, alike)}</p>'
    )


def _columns(results: Sequence[Evaluation]) -> list[tuple[str, Callable[[Evaluation], Interval]]]:
    counts = {result.inner_steps for result in results}
    steps = next(iter(counts))
    taken = f", {steps} step{'' if steps == 1 else 's'}" if len(counts) == 1 else ""
    columns: list[tuple[str, Callable[[Evaluation], Interval]]] = [
        ("before adaptation", lambda result: result.interval(step=0)),
        (f"adapted{taken}", lambda result: result.interval()),
    ]
    if all(result.head == "params" for result in results):  # else nothing is left of a head that could be zeroed
        columns.append((f"head zeroed{taken}", lambda result: result.interval(zero_head=True)))
    return columns


def _note(test: Test, sample: Evaluation, alike: bool) -> str:
    has_classes = sample.measure == "accuracy"
    query, queries = ("query image", "queries a class") if has_classes else ("query", "queries")
    normalised = (
        f"Predictions are <b>transductive</b>: each {query} is normalised by the statistics of all."
        if sample.transductive
        else f"Predictions are inductive: each {query} is normalised by the support set alone."
    )
    checkpoints = sorted({kept.checkpoint for kept in test.kept.values()})
    measured = "Accuracy in percent" if has_classes else "Query loss"
    made = "" if sample.head == "params" else f", {HEADS[sample.head]}"
    way = f"{made}, {adapted(sample)}" if alike else ", each learner's own way of adapting"
    return (
        f"{measured}, mean and 95% interval over {len(sample.as_trained)} episodes with {sample.shape.n_queries} "
        f"{queries}, {escape(f'{sample.source}{way}, {listed(checkpoints)}')} checkpoint. {normalised}"
    )


def _episodes(kept: KeptEvaluation) -> Key:
    result = kept.evaluation
    episodes = result.manifest or (result.shape, result.seed, len(result.as_trained))
    return (result.data_set, result.split, episodes, result.transductive, kept.checkpoint)


def _way(result: Evaluation) -> Key:
    rate = (
        (result.inner_lr, result.learned_rates, result.rates_by_name) if result.inner_steps else None
    )  # without a step it says nothing
    return (result.head, result.inner_steps, rate)


def _tables(by_way: Mapping[Key, ByRun], runs: Mapping[str, OpenedRun]) -> list[ByRun]:
    """Return what shares a table, out of the tests on the same episodes by the way of adapting."""
    own = {
        label: kept
        for by_run in by_way.values()
        for label, kept in by_run.items()
        if _is_own(runs[label], kept.evaluation)
    }
    if len({_way(kept.evaluation) for kept in own.values()}) < 2:
        return list(by_way.values())
    asked = [by_run for by_run in by_way.values() if any(own.get(label) is not kept for label, kept in by_run.items())]
    return [{label: own[label] for label in runs if label in own}, *asked]


def _is_own(run: OpenedRun, result: Evaluation) -> bool:
    recipe = run.recipe
    return (result.inner_lr, result.inner_steps) == recipe.test_loop and result.head == recipe.test_head
