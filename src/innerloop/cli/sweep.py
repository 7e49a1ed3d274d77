"""`innerloop sweep`: cross settings of a recipe, train every cell for every seed, and tell all as one page."""

import json
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import dacite
from jsonargparse import ArgumentParser, Namespace
from rich.table import Table

from innerloop import driver
from innerloop.analysis import ANALYSES
from innerloop.analysis.values import to_values as measured
from innerloop.cli.evaluate import assess
from innerloop.cli.explain import explained, written
from innerloop.cli.parsing import AS_GIVEN, new_parser
from innerloop.cli.places import command_line
from innerloop.cli.progress import console, follow, watched
from innerloop.data import DATASETS, load
from innerloop.data.sampler import check
from innerloop.data.split import TEST
from innerloop.errors import ConfigError, DiskError, DivergedError, InnerloopError, RunError, unknown_name
from innerloop.report import rate_grids
from innerloop.report import sweep as page
from innerloop.report.page import fitting
from innerloop.runs import OpenedRun, RunDirectory, build, open_run, provenance
from innerloop.runs.files import make_folder, write_whole
from innerloop.runs.grid import Cell, Grid, cells, from_text, read, settings_of, text_of
from innerloop.runs.outcome import TEST_SEED, Outcome, finished, own_test, to_values

AFTERWARDS = ("evaluate", "explain", "analyses")  # what may be asked of runs that are there already
FORMAT = 1  # of sweep.json
GRID, NUMBERS, PAGE = "grid.yaml", "sweep.json", "sweep.html"


@dataclass(frozen=True)
class Job:
    """One run of the grid: a cell, a seed, and where it lies."""

    cell: Cell
    seed: int
    folder: Path

    @property
    def name(self) -> str:
        """What tells it apart from the others, as its place in the sweep's folder."""
        return f"{self.cell.name}/seed-{self.seed}"


class Clock:
    """Says when the time that was given is up."""

    def __init__(self, minutes: float | None) -> None:
        self._end = math.inf if minutes is None else time.monotonic() + 60 * minutes

    @property
    def is_up(self) -> bool:
        """Whether to stop."""
        return time.monotonic() >= self._end


def parser() -> ArgumentParser:
    """Return the verb's parser."""
    verb = new_parser()
    verb.add_argument("grid", type=str, help="The grid, a YAML file: recipe, set, axes, seeds, evaluate, explain.")
    verb.add_argument("--out", type=str, required=True, help="Folder of the sweep; a begun one is continued.")
    verb.add_argument("--data.root", type=str | None, default=None, help="Folder of the data's files, for all cells.")
    verb.add_argument("--minutes", type=float | None, default=None, help="Stop after so many, saved; 0 only tells.")
    verb.add_argument("--only", type=str | None, default=None, help="Only runs with this in their CELL/seed-N.")
    return verb


def run(parsed: Namespace) -> None:
    """Train, test and explain what is left, and tell what is finished."""
    if parsed.minutes is not None and not (math.isfinite(parsed.minutes) and parsed.minutes >= 0):
        raise ConfigError(f"expected --minutes of at least 0, got {parsed.minutes}; leave it out for no limit")
    clock, source, folder = Clock(parsed.minutes), Path(parsed.grid), Path(parsed.out)
    grid, base = read(source)
    for name in grid.explain:
        if name not in ANALYSES:
            raise unknown_name("analysis", name, ANALYSES)
        settings_for(name, grid)
    _refuse_idle_settings(grid)
    crossed = rooted(
        cells(grid, base, source.stem if grid.recipe is None else Path(grid.recipe).stem), parsed.data.root
    )
    # Seed by seed, so that what is finished early already compares all cells.
    jobs = [Job(cell, seed, folder / cell.name / f"seed-{seed}") for seed in grid.seeds for cell in crossed]
    chosen = [job for job in jobs if parsed.only is None or parsed.only in job.name]
    if not chosen:
        raise ConfigError(f"expected --only to be in the name of a run, got '{parsed.only}'; one is '{jobs[0].name}'")
    _refuse_another(folder, grid)
    for job in jobs:
        _refuse_another_run(job)
    _refuse_unfit(grid, [job for job in chosen if not _is_trained(job)])
    _keep_grid(folder, source)
    left_out: list[str] = []
    left = 0
    try:
        for number, job in enumerate(chosen, 1):
            left += not _worked(job, grid, f"{number}/{len(chosen)} {job.name}", clock, left_out)
    except KeyboardInterrupt:
        console.print(f"Saved; go on with: {command_line()}", soft_wrap=True)
        _tell(folder, grid, crossed, jobs, left_out)
        raise
    _tell(folder, grid, crossed, jobs, left_out)
    if left:
        console.print(
            f"Stopped after {parsed.minutes:g} minutes: {left} of {len(chosen)} runs left; "
            f"go on with: {command_line()}",
            soft_wrap=True,
        )


def rooted(crossed: Sequence[Cell], root: str | None) -> list[Cell]:
    """Return the cells with their data's files in `root`, where their data have files.

    Raises:
        ConfigError: None of them has.
    """
    if root is None:
        return list(crossed)
    takers = [cell for cell in crossed if "root" in DATASETS[cell.recipe.data.name].options]
    if not takers:
        raise ConfigError(f"expected data with files for --data.root, got {crossed[0].recipe.data.name}; leave it out")
    return [
        replace(cell, recipe=replace(cell.recipe, data=replace(cell.recipe.data, root=root)))
        if cell in takers
        else cell
        for cell in crossed
    ]


def settings_for(name: str, grid: Grid) -> Any:
    """Return an analysis's settings as the grid has them; None where it has none.

    Raises:
        ConfigError: The grid sets what is unknown, or to what cannot be.
    """
    kind = ANALYSES[name].settings
    given = {
        dotted.removeprefix(f"{name}."): value
        for dotted, value in grid.analyses.items()
        if dotted.startswith(f"{name}.")
    }
    known = [] if kind is None else [each.name for each in fields(kind)]
    for setting in given:
        if setting not in known:
            raise unknown_name(f"setting of {name}", setting, known)
    if kind is None:
        return None
    try:
        return dacite.from_dict(kind, given, AS_GIVEN)
    except (dacite.DaciteError, TypeError, ValueError) as error:
        raise ConfigError(f"expected other settings of {name} in analyses, got: {error}; correct them") from error


def _refuse_idle_settings(grid: Grid) -> None:
    for dotted in grid.analyses:
        if dotted.partition(".")[0] not in grid.explain:
            raise ConfigError(
                f"expected settings of what is explained ({', '.join(grid.explain) or 'nothing'}), got '{dotted}'; "
                "name the analysis in explain, or leave the setting out"
            )


def until(clock: Clock, progress: Iterable[driver.Progress]) -> Iterator[driver.Progress]:
    """Yield a run's steps until the time is up; at least one, so that every call comes further."""
    for step in progress:
        yield step
        if clock.is_up:
            return


def _opened(job: Job) -> OpenedRun | None:
    """Return the job's run, or None if it was not begun; titled by its cell."""
    if RunDirectory(job.folder).is_free:
        return None
    return replace(open_run(job.folder), title=f"{job.cell.label}, seed {job.seed}")


def _is_trained(job: Job) -> bool:
    opened = _opened(job)
    return opened is not None and finished(opened)


def _refuse_another(folder: Path, grid: Grid) -> None:
    """Refuse a folder that is not this sweep's; what the recipe says is held against every run instead."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    place = folder / GRID
    if not place.is_file():
        raise RunError(f"expected a new folder or a sweep's, got '{folder}' with no {GRID}; choose another with --out")
    kept = from_text(text_of(place, "grid"), str(place))
    trains = [name for name in asdict(grid) if name not in ("recipe", *AFTERWARDS)]
    other = [name for name in trains if asdict(grid)[name] != asdict(kept)[name]]
    if other:
        raise RunError(
            f"expected the grid that '{folder}' was made from, got another one (its {', '.join(other)} differ); "
            "choose another folder with --out"
        )


def _refuse_another_run(job: Job) -> None:
    opened, recipe = _opened(job), job.cell.seeded(job.seed).settled()
    if opened is None or opened.recipe == recipe:
        return
    there, here = settings_of(opened.recipe), settings_of(recipe)
    name = next(name for name in here if there[name] != here[name])
    raise RunError(
        f"expected '{job.folder}' as this grid has it, got {name} {there[name]!r} there and {here[name]!r} here; "
        "change it back, or choose another folder with --out"
    )


def _refuse_unfit(grid: Grid, jobs: Sequence[Job]) -> None:
    """Build every cell that is to be trained, so that what is refused is refused before hours have passed."""
    for cell in {job.cell.name: job.cell for job in jobs}.values():
        try:
            build(cell.recipe, watched)
            if grid.evaluate or grid.explain:
                check(load(cell.recipe.data, watched).split(TEST), cell.recipe.episode)
        except InnerloopError as error:
            raise ConfigError(f"cell '{cell.name}': {error}") from error


def _keep_grid(folder: Path, source: Path) -> None:
    make_folder(folder, parents=True)
    write_whole(folder / GRID, text_of(source, "grid"))


def _worked(job: Job, grid: Grid, label: str, clock: Clock, left_out: list[str]) -> bool:
    """Do what is left of one job, and return whether nothing is."""
    opened = _opened(job)
    try:
        if opened is None or not finished(opened):
            if clock.is_up:
                return False
            opened = _trained(job, label, clock, begun=opened is not None)
            if not finished(opened):
                return False
        if grid.evaluate and own_test(opened) is None:
            if clock.is_up:
                return False
            recipe = opened.recipe
            opened.keep(
                assess(
                    opened, recipe.data, TEST, recipe.episode, recipe.evaluation, "best", TEST_SEED, f"{label}, test"
                )
            )
    except DivergedError as error:
        left_out.append(f"{job.cell.label}, seed {job.seed}: {error}")
        console.print(left_out[-1], soft_wrap=True)
        return True
    return all(_told(opened, name, settings_for(name, grid), clock, left_out) for name in grid.explain)


def _trained(job: Job, label: str, clock: Clock, begun: bool) -> OpenedRun:
    """Begin or continue a run, until it is finished or the time is up."""
    if begun:
        progress = driver.resume(str(job.folder), command_line(), watched)
    else:
        progress = driver.begin(job.cell.seeded(job.seed), str(job.folder), command_line(), watched)
    with closing(progress):  # type: ignore[type-var]
        follow(label, until(clock, progress))
    return replace(open_run(job.folder), title=f"{job.cell.label}, seed {job.seed}")


def _told(opened: OpenedRun, name: str, settings: Any, clock: Clock, left_out: list[str]) -> bool:
    """Explain a run unless it is explained already, and return whether nothing is left of that."""
    if _is_explained(opened, name, settings):
        return True
    if clock.is_up:
        return False
    analysis, recipe = ANALYSES[name], opened.recipe
    try:
        kept, result = explained(
            opened,
            name,
            settings,
            recipe.data,
            TEST,
            recipe.episode,
            recipe.evaluation,
            analysis.episodes,
            "best",
            TEST_SEED,
        )
        written(opened, kept, result)
    except DiskError:
        raise
    except InnerloopError as error:
        left_out.append(f"{name} of {opened.title}: {error}")
        console.print(left_out[-1], soft_wrap=True)
    return True


def _is_explained(opened: OpenedRun, name: str, settings: Any) -> bool:
    analysis, recipe = ANALYSES[name], opened.recipe
    values = {} if settings is None else json.loads(json.dumps(asdict(settings)))
    checkpoint = opened.chosen("best")
    inner = recipe.inner_loop
    expected = (
        (name, checkpoint, opened.state(checkpoint).step, recipe.data, TEST, recipe.episode),
        (analysis.episodes, TEST_SEED, values),
        (inner.lr, inner.steps) if analysis.of_training else recipe.test_loop,
    )
    return any(
        (
            (kept.analysis, kept.checkpoint, kept.step, kept.data, kept.split, kept.shape),
            (kept.episodes, kept.seed, kept.settings),
            (kept.inner_lr, kept.inner_steps),
        )
        == expected
        for kept in opened.explanations()
    )


def _tell(folder: Path, grid: Grid, crossed: Sequence[Cell], jobs: Sequence[Job], left_out: Sequence[str]) -> None:
    """Show the table, and write numbers and page, of what is finished."""
    outcomes = [_outcome(cell, [job for job in jobs if job.cell is cell]) for cell in crossed]
    for group in page.groups(outcomes):
        console.print(_table(group))
        console.print(page.note(group), soft_wrap=True)
        for zero_head, _ in page.ARMS:
            if said := page.comparison(group, zero_head):
                console.print(said, soft_wrap=True)
    crossed_rates = rate_grids.rate_grids(outcomes)
    for said in rate_grids.sentences(crossed_rates):
        console.print(said, soft_wrap=True)
    values = {
        **provenance(command_line()),
        "format": FORMAT,
        "grid": asdict(grid),
        "cells": [
            to_values(each, {seed: f"{each.cell.name}/seed-{seed}" for seed in each.runs}, grid.explain)
            for each in outcomes
        ],
        "rates": {name: measured(each) for name, each in crossed_rates.items()},
        "left_out": list(left_out),
    }
    write_whole(folder / NUMBERS, json.dumps(values, allow_nan=False, ensure_ascii=False) + "\n")
    made = f"{command_line()}\n\n{text_of(folder / GRID, 'grid')}"
    name = folder.resolve().name
    with fitting("results", [name], "train the run with the odd values anew"):
        shown = page.render(name, outcomes, grid.seeds, made, left_out, crossed_rates)
    write_whole(folder / PAGE, shown)
    console.print(f"Numbers: {folder / NUMBERS}\nPage:    {folder / PAGE}", soft_wrap=True)


def _outcome(cell: Cell, jobs: Sequence[Job]) -> Outcome:
    runs = {job.seed: opened for job in jobs if (opened := _opened(job)) is not None and finished(opened)}
    tests = {seed: kept for seed, opened in runs.items() if (kept := own_test(opened)) is not None}
    return Outcome(cell, runs, tests)


def _table(group: Sequence[Outcome]) -> Table:
    shown = Table(title=page.heading(group), title_justify="left")
    first, *others = page.columns(group)
    shown.add_column(first)
    for column in others:
        shown.add_column(column, justify="right")
    for outcome in group:
        arms = [page.shown(outcome, zero_head, page.over_seeds(group)) for zero_head, _ in page.ARMS]
        shown.add_row(outcome.cell.label, str(len(outcome.tests)), *arms)
    return shown
