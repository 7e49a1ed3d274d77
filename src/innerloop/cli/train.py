"""`innerloop train`: meta-train a learner by a recipe, or continue a run."""

from contextlib import closing
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from innerloop import driver
from innerloop.cli.parsing import add_recipe, new_parser, to_recipe
from innerloop.cli.places import command_line, first_free
from innerloop.cli.progress import console, follow, watched
from innerloop.errors import ConfigError
from innerloop.runs import Recipe


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
        if recipe != Recipe() or parsed.out is not None:
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
    with closing(progress):  # type: ignore[type-var]
        follow(Path(folder).name, progress)
    console.print(f"Run:  {folder}\nNext: innerloop evaluate {folder}", highlight=False, soft_wrap=True)
