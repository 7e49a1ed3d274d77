"""Driving a training run: iterate over its states, measure what the recipe asks for, and write the run.

Knows nothing of terminals: it yields what happened, and whoever iterates shows it.
"""

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.metadata import version
from types import MappingProxyType
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
from innerloop.errors import DataError, DivergedError
from innerloop.interrupts import undivided
from innerloop.params import digest
from innerloop.runs import (
    Best,
    Lock,
    OpenedRun,
    Recipe,
    RunDirectory,
    Workshop,
    build,
    clear_ahead,
    heads,
    history,
    machine,
    open_run,
    probe_episodes,
    provenance,
    refuse_changed,
    saves,
    settle,
    snapshots,
    standing,
    training_batch,
    whose,
    write_checkpoint,
)
from innerloop.runs.recipe import from_yaml, to_yaml
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


@dataclass(frozen=True, eq=False)
class _Work:
    """A run about to go on: what is trained, from where, by what, and where it is written.

    Attributes:
        recipe: What the run is.
        workshop: What that builds.
        directory: Where it is written.
        start: Where training goes on from.
        best: The best so far.
        is_saved: Whether the start is recorded and saved already.
        engine: What maps over tasks on this rank.
        group: The ranks.
        about: What made the run, as run.json has it.
        held: The right to write the run, where this rank has it; let go of at the end.
    """

    recipe: Recipe
    workshop: Workshop
    directory: RunDirectory
    start: State
    best: Best
    is_saved: bool
    engine: Chosen
    group: Group
    about: dict[str, Any]
    held: ExitStack


def begin(
    recipe: Recipe, folder: str, command: str, watch: Watch = unwatched, group: Group = ALONE
) -> Iterator[Progress]:
    """Build the recipe, make its run folder, and train.

    Everything that can be refused is refused before the folder is made. Of several ranks, the first writes the run.

    Raises:
        InnerloopError: At once for what does not fit; while iterating, for a loss that is not finite.
    """
    recipe = from_yaml(to_yaml(recipe.settled()), "the settings given")  # as whoever opens the run will read it
    group.agree(_settings(recipe))
    with group.together():
        workshop = build(recipe, watch)
    start = workshop.start
    _agree_on_start(group, recipe, workshop, start)
    directory = RunDirectory(folder)
    with ExitStack() as held:
        with group.together():
            engine = _engine(recipe, workshop, start, group)
            about = {**provenance(command), **_told(recipe, workshop, engine, group)}
            if group.leads:
                held.enter_context(directory.made())
                about = directory.begin(recipe, about)
        return _driven(_Work(recipe, workshop, directory, start, Best(), False, engine, group, about, held.pop_all()))


def resume(
    folder: str, command: str, watch: Watch = unwatched, group: Group = ALONE, keep: int | None = None
) -> Iterator[Progress]:
    """Continue a run from its newest checkpoint, as if it had never stopped.

    Args:
        folder: The run's.
        command: What continues it, for run.json.
        watch: Shows how far the preparation of data has come.
        group: The ranks.
        keep: How many checkpoints stay from here on; by default as many as the recipe says.

    Raises:
        RunError: The folder holds no run, another process writes it, or it cannot be continued.

    Warns:
        RunWarning: A damaged file is done without, or the run cannot equal the uninterrupted one to the bit.
    """
    with ExitStack() as held:
        with group.together():
            run = open_run(folder, to_resume=True)
            if group.leads:
                held.enter_context(Lock(run.directory.folder))
                # Whoever wrote it until now may have written more meanwhile.
                run = open_run(folder, to_resume=True)
            refuse_changed(run)
            workshop = _built(run, watch)
            start, best, is_saved = standing(run, workshop)
        recipe = run.recipe if keep is None else replace(run.recipe, record=replace(run.recipe.record, keep=keep))
        group.agree(_settings(recipe))
        _agree_on_start(group, recipe, workshop, start)
        with group.together(), machine.threads(run.about):
            engine = _engine(recipe, workshop, start, group, run.about)
            about = run.about
            if group.leads:
                made, by = provenance(command), _told(recipe, workshop, engine, group)
                machine.warn_of_differences(about, {**made, **by}, _device(recipe, group))
                clear_ahead(run, workshop, start.step if is_saved else -1)
                about = run.directory.continued(about, made, by, start.step)
        return _driven(
            _Work(recipe, workshop, run.directory, start, best, is_saved, engine, group, about, held.pop_all())
        )


def _built(run: OpenedRun, watch: Watch) -> Workshop:
    try:
        return build(run.recipe, watch)
    except DataError as error:
        where = f"where a run's data lie is `root` under `data` in '{run.directory.recipe}'"
        raise DataError(f"{error} ({where})") from error


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


def _engine(
    recipe: Recipe, workshop: Workshop, start: State, group: Group, about: Mapping[str, Any] = MappingProxyType({})
) -> Chosen:
    """Return what maps over this rank's tasks, as `about` says a run did before, or chosen.

    It is tried on the first batch, so that what cannot be done is refused at once.
    """
    device = _device(recipe, group)
    engine = Chosen(recipe.engine, workshop.algorithm, machine.as_before(about, recipe.engine, device))
    if start.step < recipe.training.steps:
        engine.begin(start.on(device).params, training_batch(recipe, workshop.data, start.step))
    return engine


def _told(recipe: Recipe, workshop: Workshop, engine: Chosen, group: Group) -> dict[str, Any]:
    """Return by what the run is worked out, and on which data."""
    by = machine.told(recipe.engine, engine.made or engine.as_before, _device(recipe, group), group.size)
    return {**by, "data": workshop.data.digest}


def _device(recipe: Recipe, group: Group) -> torch.device:
    return device_of(recipe.engine) if group.size == 1 else group.device


def _driven(work: _Work) -> Iterator[Progress]:
    recipe, group = work.recipe, work.group
    batches = Ahead(partial(training_batch, recipe, work.workshop.data), recipe.training.steps)
    engine = work.engine if group.size == 1 else Sharded(work.engine, group)
    start = work.start.on(_device(recipe, group))
    states = train(work.workshop.algorithm, start, batches, recipe.training, recipe.seed, engine)
    try:
        with machine.threads(work.about):
            if group.leads:
                yield from _written(work, states, engine)
            else:
                for state in states:
                    yield Progress(state.step, recipe.training.steps, {"step": state.step}, work.best, engine.name)
    finally:
        batches.close()
        work.held.close()


def _written(work: _Work, states: Iterator[State], engine: Engine) -> Iterator[Progress]:
    """Measure the states, and write the run."""
    recipe, workshop, directory, best = work.recipe, work.workshop, work.directory, work.best
    clock = saved_at = time.perf_counter()
    # A continued run has its first state behind it: recorded and saved.
    recorded = saved = work.start if work.is_saved else None
    try:
        for state in states:
            if work.is_saved and state.step == work.start.step:
                continue
            record = _measured(recipe, workshop, state)
            now = time.perf_counter()
            record["seconds"], clock = now - clock, now
            if state.step == 1:
                record["engine"] = engine.name
            score = _score(record)
            best_now = Best(score, state.step) if score > best.score else best
            # What belongs to a step is there before the step is recorded: a run goes on behind what is recorded.
            if best_now is not best:
                write_checkpoint(directory.best, state, best_now, whose(work.about))
            if snapshots.is_due(recipe.record.snapshots, state.step, recipe.training.steps):
                snapshots.write(directory.snapshots, state, whose(work.about))
            with undivided():
                history.append(directory.history, record)
                if recipe.record.heads:
                    heads.append(directory.heads, workshop.algorithm.learner.head_params(state.params))
                recorded, best = state, best_now
            # The first state too: a run that is killed before the next can be begun again from its folder.
            if state.step == 0 or _due_to_save(recipe, state.step, now - saved_at):
                _save(work, state, best)
                saved, saved_at = state, now
            yield Progress(state.step, recipe.training.steps, record, best, engine.name)
    finally:
        # Interrupted or diverged: the newest recorded state is kept, so nothing is lost.
        if recorded is not None and recorded is not saved:
            _save(work, recorded, best)


def _save(work: _Work, state: State, best: Best) -> None:
    """Save a state to continue from, once what was written before it is on the disk."""
    directory = work.directory
    with undivided():
        settle(directory.history)
        settle(directory.heads)
        saves.write(directory, state, best, work.recipe.record.keep, whose(work.about))
    engine = machine.asked_and_made(work.recipe.engine, work.engine.made or work.engine.as_before)
    if engine != work.about["engine"]:  # a chunk that did not fit is smaller by now
        work.about["engine"] = engine
        directory.tell(work.about)


def _due_to_save(recipe: Recipe, step: int, seconds: float) -> bool:
    minutes = recipe.record.checkpoint_minutes
    return _due(recipe.record.checkpoint, step, recipe.training.steps) or (minutes > 0 and seconds >= 60 * minutes)


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
        record.update(_validated(recipe, workshop, state))
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


def _validated(recipe: Recipe, workshop: Workshop, state: State) -> history.Record:
    """Return the scores on meta-validation; or why there are none, where training is to go on whatever diverges."""
    algorithm = recipe.evaluation.applied_to(workshop.algorithm)
    try:
        result = evaluate(
            algorithm,
            state.params,
            workshop.data.split(VALIDATION),
            recipe.episode,
            range(recipe.record.validation_episodes),
            derived_seed(recipe.seed, "validation"),
            engine=Chosen(recipe.engine.of_tests, algorithm),
        )
    except DivergedError as error:
        if recipe.training.nonfinite == "stop":
            raise
        return {"unscored": str(error)}
    return {"validation": {result.measure: result.interval().mean, "zeroed": result.interval(zero_head=True).mean}}
