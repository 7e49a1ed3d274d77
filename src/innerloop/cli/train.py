"""`innerloop train`: meta-train a learner by a recipe, or continue a run."""

import shlex
from contextlib import closing
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from innerloop import driver
from innerloop.cli.parsing import add_recipe, new_parser, to_recipe
from innerloop.cli.places import command_line, first_free
from innerloop.cli.progress import console, follow, watched
from innerloop.errors import ConfigError


def parser() -> ArgumentParser:
    """Return the verb's parser."""
    verb = new_parser()
    add_recipe(verb)
    verb.add_argument("--out", type=str | None, default=None, help="New folder of the run [runs/NAME-OF-THE-RECIPE].")
    verb.add_argument("--resume", type=str | None, default=None, help="Folder of a run to continue to its end.")
    return verb


def run(parsed: Namespace) -> None:
    """Train."""
    recipe = to_recipe(parsed)
    if parsed.resume is not None:
        if [each for each in parsed.arguments if each not in ("--resume", parsed.resume, f"--resume={parsed.resume}")]:
            raise ConfigError(
                "expected --resume alone, got other settings beside it; a run continues by the recipe in its folder, "
                "so leave them out, or train anew with --out"
            )
        folder = parsed.resume
        progress = driver.resume(folder, watched)
    else:
        named = Path(str(parsed.config[0])).stem if parsed.config else f"{recipe.algorithm.name}-{recipe.data.name}"
        folder = parsed.out or str(first_free(Path("runs") / named))
        progress = driver.begin(recipe, folder, command_line(), watched)
    try:
        with closing(progress):  # type: ignore[type-var]
            engine = follow(Path(folder).name, progress)
    except KeyboardInterrupt:
        console.print(f"Saved; go on with: innerloop train --resume {shlex.quote(folder)}", soft_wrap=True)
        raise
    console.print(f"Run:  {folder}\nNext: innerloop evaluate {shlex.quote(folder)}", soft_wrap=True)
    if engine != "auto":  # no step was left to do
        console.print(f"Done by engine {engine}.")
