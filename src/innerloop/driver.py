"""Driving a training run: iterate over its states, measure what the recipe asks for, and write the run.

Knows nothing of terminals: it yields what happened, and whoever iterates shows it.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from typing import Any

import torch

from innerloop.analysis import cosine, learned_rates, parts
from innerloop.data.ahead import Ahead
from innerloop.data.episode import tasks
from innerloop.data.split import VALIDATION
from innerloop.data.storage import Watch, unwatched
from innerloop.engine import Chosen, Engine, device_of
from innerloop.engine.group import ALONE, Group
from innerloop.engine.ranks import Sharded
from innerloop.errors import RunError
from innerloop.params import digest
from innerloop.runs import (
    Best,
    OpenedRun,
    Recipe,
    RunDirectory,
    Workshop,
    build,
    fingerprint,
    heads,
    history,
    open_run,
    probe_episodes,
    read_checkpoint,
    snapshots,
    training_batch,
    write_checkpoint,
)
from innerloop.seeds import derived_seed
from innerloop.training import State, evaluate, train


@dataclass(frozen=True)
class Progress:
    """One outer step, done and recorded.

    Attributes:
        step: Outer steps done.
        steps: Outer steps in all.
        record: What stands in the history for this step.
        best: The best meta-validation accuracy so far.
        engine: What does the work, as `EngineConfig.name`, perhaps with the rule it works by.
    """

    step: int
    steps: int
    record: history.Record
    best: Best
    engine: str = "auto"


def begin(
    recipe: Recipe, folder: str, command: str, watch: Watch = unwatched, group: Group = ALONE
) -> Iterator[Progress]:
    """Build the recipe, make its run folder, and train.

    Everything that can be refused is refused before the folder is made. Of several ranks, the first writes the run.

    Raises:
        InnerloopError: At once for what does not fit; while iterating, for a loss that is not finite.
    """
    recipe = recipe.settled()
    group.agree(_settings(recipe))
    with group.together():
        workshop = build(recipe, watch)
    _agree_on_start(group, recipe, workshop, workshop.start)
    directory = RunDirectory(folder)
    with group.together():
        engine = _engine(recipe, workshop, workshop.start, group)
        if group.leads:
            directory.begin(recipe, command)
    return _driven(recipe, workshop, directory, workshop.start, Best(), engine, group)


def resume(folder: str, watch: Watch = unwatched, group: Group = ALONE) -> Iterator[Progress]:
    """Continue a run from its last checkpoint, as if it had never stopped.

    Raises:
        RunError: The folder holds no run.
    """
    with group.together():
        run = open_run(folder)
        workshop = build(run.recipe, watch)
        start, best = _last(run, workshop)
    group.agree(_settings(run.recipe))
    _agree_on_start(group, run.recipe, workshop, start)
    directory = run.directory
    with group.together():
        engine = _engine(run.recipe, workshop, start, group)
        if group.leads:
            kept = start.step if directory.last.exists() else -1
            history.keep_until(directory.history, kept)
            snapshots.keep_until(directory.snapshots, kept)
            heads.keep_until(directory.heads, kept, workshop.algorithm.learner.head_params(workshop.start.params))
    return _driven(run.recipe, workshop, directory, start, best, engine, group)


def _last(run: OpenedRun, workshop: Workshop) -> tuple[State, Best]:
    """Return where a run stands, and refuse one that was changed or lacks something."""
    directory = run.directory
    if run.about.get("recipe") != fingerprint(run.recipe):
        raise RunError(
            f"expected '{directory.recipe}' as the run began with it (more steps are welcome), got it changed; "
            "change it back, or train anew with it"
        )
    if not directory.last.exists():
        if len(run.history) > 1:
            raise RunError(f"expected the checkpoint '{directory.last}', got none; restore it, or train anew")
        return workshop.start, Best()
    start, best = read_checkpoint(directory.last)
    if all(record["step"] != start.step for record in run.history):
        raise RunError(f"expected '{directory.history}' up to step {start.step}, got less; restore it, or train anew")
    return start, best


def _settings(recipe: Recipe) -> dict[str, Any]:
    """Return all that ranks may differ in before anything is built, by name."""
    settings = dict(_flat("", asdict(recipe)))
    return {**settings, "version of innerloop": version("innerloop"), "version of torch": torch.__version__}


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, dict):
        yield name, value
        return
    for key, own in value.items():
        yield from _flat(f"{name}.{key}" if name else key, own)


def _agree_on_start(group: Group, recipe: Recipe, workshop: Workshop, start: State) -> None:
    """Refuse ranks that would start from something else, or draw other episodes."""
    if group.size == 1:
        return
    facts = {"outer step": start.step, "parameters": digest([*start.params.values(), *start.optimizer.values()])}
    if start.step < recipe.training.steps:
        batch = tasks(training_batch(recipe, workshop.data, start.step))
        facts["data"] = digest(values for episode in batch for side in episode for values in side)
    group.agree(facts)


def _engine(recipe: Recipe, workshop: Workshop, start: State, group: Group) -> Engine:
    """Return what maps over tasks, tried on the first batch, so that what cannot be done is refused at once."""
    device = _device(recipe, group)
    engine = Chosen(recipe.engine, workshop.algorithm)
    if start.step < recipe.training.steps:
        engine.begin(start.on(device).params, training_batch(recipe, workshop.data, start.step))
    return engine if group.size == 1 else Sharded(engine, group)


def _device(recipe: Recipe, group: Group) -> torch.device:
    return device_of(recipe.engine) if group.size == 1 else group.device


def _driven(
    recipe: Recipe,
    workshop: Workshop,
    directory: RunDirectory,
    start: State,
    best: Best,
    engine: Engine,
    group: Group,
) -> Iterator[Progress]:
    start = start.on(_device(recipe, group))
    batches = Ahead(partial(training_batch, recipe, workshop.data), recipe.training.steps)
    states = train(workshop.algorithm, start, batches, recipe.training, recipe.seed, engine)
    try:
        if group.leads:
            yield from _written(recipe, workshop, directory, start, best, states, engine)
        else:
            for state in states:
                yield Progress(state.step, recipe.training.steps, {"step": state.step}, best, engine.name)
    finally:
        batches.close()


def _written(
    recipe: Recipe,
    workshop: Workshop,
    directory: RunDirectory,
    start: State,
    best: Best,
    states: Iterator[State],
    engine: Engine,
) -> Iterator[Progress]:
    """Measure the states, and write the run."""
    clock = time.perf_counter()
    # A continued run has its first state behind it: recorded and saved.
    recorded = start if directory.last.exists() else None
    saved = recorded
    try:
        for state in states:
            if saved is not None and state.step == start.step:
                continue
            record = _measured(recipe, workshop, state)
            now = time.perf_counter()
            record["seconds"], clock = now - clock, now
            if state.step == 1:
                record["engine"] = engine.name
            score = _score(record)
            if score > best.score:
                best = Best(score, state.step)
                write_checkpoint(directory.best, state, best)
            history.append(directory.history, record)
            if recipe.record.heads:
                heads.append(directory.heads, workshop.algorithm.learner.head_params(state.params))
            recorded = state
            if snapshots.is_due(recipe.record.snapshots, state.step, recipe.training.steps):
                snapshots.write(directory.snapshots, state)
            if _due(recipe.record.checkpoint, state.step, recipe.training.steps):
                write_checkpoint(directory.last, state, best)
                saved = state
            yield Progress(state.step, recipe.training.steps, record, best, engine.name)
    finally:
        # Interrupted or diverged: the newest recorded state is kept, so nothing is lost.
        if recorded is not None and recorded is not saved:
            write_checkpoint(directory.last, recorded, best)


def _score(record: history.Record) -> float:
    """Return what the best checkpoint has most of: validation accuracy, or minus the loss of real targets."""
    validation = record.get("validation", {})
    return float(validation["accuracy"]) if "accuracy" in validation else -float(validation.get("loss", "inf"))


def _due(every: int, step: int, steps: int) -> bool:
    return step == steps or (every > 0 and step % every == 0)


def _measured(recipe: Recipe, workshop: Workshop, state: State) -> history.Record:
    """Return the step's record, with the measurements that are due."""
    record: history.Record = {"step": state.step}
    if state.skipped:
        record["skipped"] = state.skipped
        if recipe.training.nonfinite == "halve":
            record["outer_lr"] = recipe.training.outer_lr * state.rate
    elif state.step > 0:
        record["loss"] = state.loss
        if not math.isnan(state.accuracy):  # real targets have none
            record["accuracy"] = state.accuracy
        if recipe.training.clip is not None:
            record["gradient_norm"] = state.gradient_norm
    wanted, steps = recipe.record, recipe.training.steps

    def due(every: int) -> bool:
        return every > 0 and _due(every, state.step, steps)

    if due(wanted.validation):
        held_out = workshop.data.split(VALIDATION)
        algorithm = recipe.evaluation.applied_to(workshop.algorithm)
        indices = range(wanted.validation_episodes)
        seed = derived_seed(recipe.seed, "validation")
        result = evaluate(
            algorithm,
            state.params,
            held_out,
            recipe.episode,
            indices,
            seed,
            engine=Chosen(recipe.engine.of_tests, algorithm),
        )
        record["validation"] = {result.measure: result.interval().mean, "zeroed": result.interval(zero_head=True).mean}
    if due(wanted.contrast) or due(wanted.cosine):
        probes = probe_episodes(recipe, workshop.data)
        here = {name: value.cpu() for name, value in state.params.items()}
        if due(wanted.contrast):
            record["contrast"] = parts.recorded(workshop.algorithm, here, probes)
        if due(wanted.cosine):
            record["cosine"] = cosine.recorded(workshop.algorithm, here, probes)
    if due(wanted.rates) and workshop.algorithm.inner.learned_rates != "none":
        record["rates"] = learned_rates.recorded(workshop.algorithm, state.params)
    return record
