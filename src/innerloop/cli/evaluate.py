"""`innerloop evaluate`: test a trained learner on classes it has never seen."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace
from rich.table import Table

from innerloop.cli.parsing import add_data, new_parser, only_given, to_data
from innerloop.cli.places import command_line
from innerloop.cli.progress import console, counted, watched
from innerloop.data import DATASETS, DataConfig, load
from innerloop.data import manifest as manifests
from innerloop.data.episode import EpisodeShape
from innerloop.data.family import Family
from innerloop.data.sampler import check, choose
from innerloop.data.split import TEST, TRAIN, Split, with_classes
from innerloop.engine import Chosen
from innerloop.errors import ConfigError, DataError
from innerloop.report.sentences import written
from innerloop.report.words import HEADS, rate
from innerloop.runs import KeptEvaluation, OpenedRun, Which, open_run
from innerloop.training import Evaluation, EvaluationConfig, TestHead, evaluate


def parser() -> ArgumentParser:
    """Return the verb's parser; what is left out is as in the run's recipe."""
    verb = new_parser()
    verb.add_argument("run", type=str, help="Folder of the run.")
    add_data(verb)
    verb.add_argument("--split", type=str, default=TEST, help="Side to test on: train, validation or test.")
    verb.add_argument("--episodes", type=int | None, default=None, help="How many episodes.")
    verb.add_argument("--k_shot", type=int | None, default=None, help="Support examples a class.")
    verb.add_argument("--n_queries", type=int | None, default=None, help="Query examples a class.")
    verb.add_argument("--inner_lr", type=float | None, default=None, help="Adaptation rate, any sign.")
    verb.add_argument("--inner_steps", type=int | None, default=None, help="Inner steps.")
    verb.add_argument("--head", type=TestHead | None, default=None, help="What takes the place of the run's own head.")
    verb.add_argument("--checkpoint", type=Which, default="best", help="Which state of the run.")
    verb.add_argument("--seed", type=int | None, default=None, help="Whose episodes [0].")
    verb.add_argument("--manifest", type=str | None, default=None, help="Test on exactly the episodes of this file.")
    return verb


def run(parsed: Namespace) -> None:
    """Evaluate, write the result into the run, and show it."""
    opened = open_run(parsed.run)
    data = to_data(parsed, opened.recipe.data)
    shape = EpisodeShape(
        **{**asdict(opened.recipe.episode), **only_given(k_shot=parsed.k_shot, n_queries=parsed.n_queries)}
    )
    how = EvaluationConfig(
        **{
            **asdict(opened.recipe.evaluation),
            **only_given(
                episodes=parsed.episodes, inner_lr=parsed.inner_lr, inner_steps=parsed.inner_steps, head=parsed.head
            ),
        }
    )
    manifest = None if parsed.manifest is None else _manifest(parsed)
    kept = assess(opened, data, parsed.split, shape, how, parsed.checkpoint, parsed.seed or 0, "testing", manifest)
    place = opened.keep(kept)
    console.print(table(kept.evaluation))
    console.print(about(kept.evaluation, parsed.manifest), soft_wrap=True)
    console.print(f"Kept in {place}", soft_wrap=True)


def _manifest(parsed: Namespace) -> manifests.Manifest:
    given = only_given(episodes=parsed.episodes, k_shot=parsed.k_shot, n_queries=parsed.n_queries, seed=parsed.seed)
    if given:
        raise ConfigError(
            f"expected --manifest alone to say which episodes, got --{next(iter(given))} beside it; leave one of the "
            "two out"
        )
    return manifests.read(Path(parsed.manifest))


def assess(
    opened: OpenedRun,
    data: DataConfig,
    side: str,
    shape: EpisodeShape,
    how: EvaluationConfig,
    checkpoint: Which,
    seed: int,
    label: str,
    manifest: manifests.Manifest | None = None,
) -> KeptEvaluation:
    """Test one checkpoint of a run, with a progress bar; on the manifest's episodes where there is one."""
    split = unseen(opened, data, side)
    choices = None
    if manifest is not None:
        choices = manifests.replay(with_classes(split), manifest)
        shape = manifests.shape_of(choices, shape)
        if shape.ways > opened.recipe.episode.ways:
            raise ConfigError(
                f"expected episodes of at most {opened.recipe.episode.ways} ways, which is what the head has rows for, "
                f"got {shape.ways} in the manifest; test a run with more ways"
            )
    else:
        check(split, shape)
        if isinstance(split, Split):
            choices = [choose(split, shape, seed, index) for index in range(how.episodes)]
    checkpoint = opened.chosen(checkpoint)
    learned, state = opened.learned(split, checkpoint)
    algorithm, params = how.applied_to(learned), state.params
    count = how.episodes if choices is None else len(choices)
    result = evaluate(
        algorithm,
        params,
        split,
        shape,
        counted(label, count),
        seed,
        choices,
        Chosen(opened.recipe.engine.of_tests, algorithm),
    )
    record = None
    if isinstance(split, Split) and choices is not None:
        record = manifests.record(split, choices)
        result = replace(result, manifest=record.digest, seed=None if manifest is not None else seed)
    return KeptEvaluation(command_line(), checkpoint, data, result, record)


def unseen(opened: OpenedRun, data: DataConfig, side: str) -> Split | Family:
    """Open one side of a data set, and refuse classes the run was trained on unless the training side was asked for.

    Raises:
        DataError: There is no such data, or some of its classes were trained on.
    """
    split = load(data, watched).split(side)
    if isinstance(split, Split) and side != TRAIN and data.name == opened.recipe.data.name:
        _refuse_seen(split, _trained_on(split, data, opened.recipe.data))
    return split


def _trained_on(split: Split, data: DataConfig, trained: DataConfig) -> Sequence[str]:
    """Return the classes trained on; of your own data only where it is the same: any file may have a class '1'."""
    if not DATASETS[data.name].is_yours or Path(data.root or "").resolve() == Path(trained.root or "").resolve():
        return load(trained, watched).classes(TRAIN).class_names
    with suppress(DataError):  # what was trained on may be gone
        there = load(trained, watched).classes(TRAIN)
        return there.class_names if there.content == split.content else ()
    return ()


def _refuse_seen(split: Split, trained_on: Sequence[str]) -> None:
    """Refuse classes the run was trained on: another cut of the same data set can put them on the test side."""
    seen = {name.split("@")[0] for name in trained_on}
    shared = sorted(name for name in split.class_names if name.split("@")[0] in seen)
    if shared:
        raise DataError(
            f"expected classes the run has never seen, got {len(shared)} it was trained on ('{shared[0]}' among them); "
            "test on the cut it was trained with"
        )


def table(result: Evaluation) -> Table:
    """Return accuracy by inner step, with the head as trained and zeroed, or with what took its place."""
    own = result.head == "params"
    shown = Table(title=result.title, title_justify="left")
    shown.add_column("inner steps", justify="right")
    shown.add_column("accuracy, %" if result.measure == "accuracy" else "query loss", justify="right")
    if own:
        shown.add_column("head zeroed first", justify="right")
    for step in range(result.inner_steps + 1):
        arms = [result.interval(zero_head, step) for zero_head in ((False, True) if own else (False,))]
        shown.add_row(str(step), *(written(interval, result.measure) for interval in arms))
    return shown


def about(result: Evaluation, manifest: str | None = None) -> str:
    """Return what a reader must know beside the numbers; `manifest` is the file that named the episodes."""
    kind = "transductive" if result.transductive else "inductive"
    source = result.source if manifest is None else f"episodes of {Path(manifest).name} (manifest {result.manifest})"
    made = "" if result.head == "params" else f"{HEADS[result.head]}; "
    own = rate(result.inner_lr, result.learned_rates, result.rates_by_name)
    way = own if result.inner_steps else "no inner step"
    return f"{kind}; mean and 95% interval over {len(result.as_trained)} episodes; {source}; {made}{way}"
