"""`innerloop train`: meta-train a learner by a recipe, or continue a run; over several ranks where asked."""

import os
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from innerloop import driver
from innerloop.cli.ending import INTERRUPTED
from innerloop.cli.parsing import add_recipe, new_parser, to_recipe
from innerloop.cli.places import command_line, first_free, typed
from innerloop.cli.progress import console, follow, watched
from innerloop.data.storage import unwatched
from innerloop.engine import device_of
from innerloop.engine.group import ALONE, Group
from innerloop.engine.launch import launched
from innerloop.errors import ConfigError, InnerloopError
from innerloop.runs import Recipe, interventions, open_run

REFUSED = 2
BESIDE = ("--ranks", "--nodes", "--keep")  # what may stand beside --resume: nothing of it changes what is learned


def parser() -> ArgumentParser:
    """Return the verb's parser."""
    verb = new_parser()
    add_recipe(verb)
    verb.add_argument("--out", type=str | None, default=None, help="New folder of the run [runs/NAME-OF-THE-RECIPE].")
    verb.add_argument("--resume", type=str | None, default=None, help="Folder of a run to continue to its end.")
    verb.add_argument(
        "--keep", type=int | None, default=None, help="Checkpoints that stay, the newest [record.keep of the recipe]."
    )
    verb.add_argument(
        "--ranks",
        type=int | None,
        default=None,
        help="Processes that share the tasks of a batch on each machine [as torchrun or srun started, else 1].",
    )
    verb.add_argument("--nodes", type=int | None, default=None, help="Machines [as torchrun or srun started, else 1].")
    return verb


def run(parsed: Namespace) -> None:
    """Train."""
    recipe = to_recipe(parsed)
    if parsed.keep is not None:
        recipe = replace(recipe, record=replace(recipe.record, keep=parsed.keep))
    if parsed.resume is not None:
        _refuse_settings(parsed.arguments, parsed.resume)
    group = ALONE
    try:
        with launched(parsed.ranks, parsed.nodes, device_of(recipe.engine).type) as group:
            _train(parsed, recipe, group)
    except (InnerloopError, OSError, UnicodeError, KeyboardInterrupt) as error:
        if group.speaks:
            raise
        # Rank 0 says it for all. Python would wait for connections to a rank that hangs.
        os._exit(INTERRUPTED if isinstance(error, KeyboardInterrupt) else REFUSED)


def _refuse_settings(arguments: list[str], resumed: str) -> None:
    """Refuse settings beside `--resume`."""
    given = iter(arguments)
    for each in given:
        if each in BESIDE:
            next(given, None)
        elif each not in ("--resume", resumed, f"--resume={resumed}") and each.split("=")[0] not in BESIDE:
            raise ConfigError(
                "expected --resume alone, got other settings beside it; a run continues by the recipe in its folder, "
                "so leave them out, or train anew with --out"
            )


def _train(parsed: Namespace, recipe: Recipe, group: Group) -> None:
    if parsed.resume is not None:
        folder = parsed.resume
        progress = driver.resume(folder, command_line(), watched if group.leads else unwatched, group, parsed.keep)
    else:
        named = Path(str(parsed.config[0])).stem if parsed.config else f"{recipe.algorithm.name}-{recipe.data.name}"
        folder = parsed.out or str(first_free(Path("runs") / named))
        progress = driver.begin(recipe, folder, command_line(), watched if group.leads else unwatched, group)
    if not group.leads:
        for _ in progress:
            pass
        return
    try:
        with closing(progress):  # type: ignore[type-var]
            engine = follow(Path(folder).name, progress)
    except (KeyboardInterrupt, SystemExit):  # Ctrl-C, or a machine that is about to be taken away
        console.print(f"Saved; go on with: innerloop train --resume {typed(folder)}", soft_wrap=True)
        raise
    if said := interventions.told(open_run(folder)):
        console.print(said, soft_wrap=True)
    console.print(f"Run:  {folder}\nNext: innerloop evaluate {typed(folder)}", soft_wrap=True)
    if engine not in ("", "auto"):  # no step was left to do
        console.print(f"Done by engine {engine}.")
