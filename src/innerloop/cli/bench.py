"""`innerloop bench`: what one outer gradient costs on this machine, by engine, beside a plain autograd loop."""

import json
from dataclasses import replace
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from innerloop.bench import flops, specs
from innerloop.bench.machine import described
from innerloop.bench.plain import departure
from innerloop.bench.race import Contender, race
from innerloop.bench.settings import ORDERS, SETTINGS, algorithm_of, to_world, world_of
from innerloop.bench.table import Cell, markdown
from innerloop.bench.world import World
from innerloop.cli.parsing import add_data, new_parser, to_data
from innerloop.cli.places import command_line
from innerloop.cli.progress import console, watched
from innerloop.engine import EngineConfig, device_of
from innerloop.errors import ConfigError, one_of
from innerloop.runs import Recipe, build, training_batch
from innerloop.runs.files import write_whole
from innerloop.runs.grid import text_of
from innerloop.runs.recipe import from_yaml


def parser() -> ArgumentParser:
    """Return the verb's parser."""
    verb = new_parser()
    verb.add_argument(
        "--recipe", type=str | None, default=None, help="Recipe in YAML, measured on its own first batch."
    )
    add_data(verb)
    verb.add_argument(
        "--settings",
        type=str,
        default=",".join(SETTINGS),
        help="Without a recipe: which of omni,mini, on made-up images.",
    )
    verb.add_argument("--orders", type=str, default="second,first", help="In them: second,first,zeroing,zeroing-first.")
    verb.add_argument(
        "--engines", type=str | None, default=None,
        help="As in engine.name, with + and how: auto,workers+bf16,loop+constant,vmap+chunk=8.",
    )  # fmt: skip
    verb.add_argument("--rounds", type=int, default=5, help="How often each works.")
    verb.add_argument("--patience", type=float, default=0.0, help="Seconds each turn may wait for a quiet machine.")
    verb.add_argument("--device", type=str, default="auto", help="auto, cpu or cuda.")
    verb.add_argument("--json", type=str | None, default=None, help="File for all numbers.")
    return verb


def run(parsed: Namespace) -> None:
    """Measure, and show a table for each setting."""
    if parsed.rounds < 1:
        raise ConfigError(f"expected --rounds of at least 1, got {parsed.rounds}; 5 is usual")
    if parsed.patience < 0:
        raise ConfigError(f"expected --patience of at least 0 seconds, got {parsed.patience}; 60 is much")
    if parsed.json is not None and not Path(parsed.json).absolute().parent.is_dir():
        raise ConfigError(f"expected a folder for --json, got none at '{Path(parsed.json).parent}'; make it first")
    device = device_of(EngineConfig(device=parsed.device))
    usual = "auto,loop,vmap" if device.type == "cuda" else "auto,loop,workers"
    engines = [specs.engine(each) for each in _listed(parsed.engines or usual)]
    if not engines:
        raise ConfigError("expected an engine or more in --engines, got none; loop,workers are two")
    worlds = _of_recipe(parsed) if parsed.recipe else _of_settings(parsed)
    machine = described(str(device))
    console.print(machine, soft_wrap=True)
    rows = []
    for name, world in worlds.items():
        cell = _cell(name, world, engines, parsed, str(device))
        console.print(f"\n{markdown(cell)}", soft_wrap=True)
        rows += cell.rows()
    if parsed.json is not None:
        kept = {"machine": machine, "command": command_line(), "rows": rows}
        write_whole(Path(parsed.json), json.dumps(kept, indent=1) + "\n")
        console.print(f"\nKept in {parsed.json}", soft_wrap=True)


def _cell(name: str, world: World, engines: list[Contender], parsed: Namespace, device: str) -> Cell:
    algorithm = algorithm_of(world)
    departs = departure(algorithm)
    if departs is not None:
        console.print(f"\nNo plain loop beside the engines: it has no {departs}.", soft_wrap=True)
    contenders = [*([specs.PLAIN] if departs is None else []), *engines, *specs.products(engines)]
    done = flops.of_loop(algorithm, world)
    with console.status(name) as status:
        measured = race(
            world, contenders, parsed.rounds, device, parsed.patience, lambda now: status.update(f"{name}: {now}")
        )
    return Cell(name, done, measured)


def _of_settings(parsed: Namespace) -> dict[str, World]:
    given = [name for name, value in parsed.data.as_dict().items() if value is not None]
    if given:
        raise ConfigError(f"expected a recipe beside --data.{given[0]}, got none; name one with --recipe")
    settings, orders = _listed(parsed.settings), _listed(parsed.orders)
    for each in settings:
        one_of("--settings", each, SETTINGS)
    for each in orders:
        one_of("--orders", each, ORDERS)
    return {f"{setting}/{order}": world_of(setting, order) for setting in settings for order in orders}


def _of_recipe(parsed: Namespace) -> dict[str, World]:
    path = Path(parsed.recipe)
    recipe: Recipe = from_yaml(text_of(path, "recipe"), str(path))
    recipe = replace(recipe, data=to_data(parsed, recipe.data))
    workshop = build(recipe, watched)
    return {path.stem: to_world(recipe, workshop.algorithm, training_batch(recipe, workshop.data, 0))}


def _listed(given: str) -> list[str]:
    return [name.strip() for name in given.split(",") if name.strip()]
