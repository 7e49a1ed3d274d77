"""One mean meta-gradient by our engines and by the peers, on the same network, episodes and machine.

    python benchmarks/peers/environment.py --env FOLDER
    FOLDER/bin/python benchmarks/peers/compare.py

Each contender is a process of its own, set up as its users run it: default threads, default allocator, float32; ours is
set up as our command line does. They take turns, and ratios are taken round by round against the fastest peer. In the
cells called zeroing the head is zero and the peers compute second order in full. Shares are the operations of the plain
loop, over the seconds, over the rate of a large matrix product measured in the same rounds.
"""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

from plain_loop import forward_of

from innerloop.bench.machine import described
from innerloop.bench.plain import flops
from innerloop.bench.race import Contender, race
from innerloop.bench.settings import ORDERS, SETTINGS, built, made_up, to_world
from innerloop.bench.table import Cell, markdown
from innerloop.bench.world import World

HERE = Path(__file__).resolve().parent
PEERS = {
    "plain": "plain_loop.py",
    "learn2learn": "learn2learn_loop.py",
    "higher": "higher_loop.py",
    "torchopt": "torchopt_loop.py",
    "parallel-metalearn": "metalearn_vmap.py",
}
PRODUCTS = ("float32", "bf16")


def contender(spec: str) -> Contender:
    """Read `learn2learn`, or `innerloop:engine=workers,precision=bf16`."""
    name, _, given = spec.partition(":")
    options = dict(pair.split("=", 1) for pair in given.split(",") if pair)
    if name == "innerloop":
        return Contender(spec, "ours", ("-m", "innerloop.cli.contender"), options)
    if name not in PEERS:
        raise SystemExit(f"unknown contender '{name}'; known: innerloop, {', '.join(PEERS)}")
    return Contender(spec, "plain" if name == "plain" else "peer", (str(HERE / PEERS[name]),), options)


def product(precision: str) -> Contender:
    """Return the large matrix product that shares are taken of."""
    options = {"precision": precision}
    return Contender(f"matrix product, {precision}", "product", ("-m", "innerloop.bench.product"), options)


def world_of(cell: str) -> World:
    """Return what everybody is given in `omni/second` and so on."""
    setting, _, order = cell.partition("/")
    recipe, image = SETTINGS[setting]
    recipe = replace(recipe, algorithm=ORDERS[order])
    batch = made_up(recipe.episode, image, recipe.training.tasks, recipe.seed)
    return to_world(recipe, built(recipe, image, recipe.episode.ways), batch)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = [f"{setting}/{order}" for setting in SETTINGS for order in ORDERS]
    parser.add_argument("--cells", nargs="+", choices=known, default=[name for name in known if name.count("-") == 0])
    parser.add_argument("--contenders", nargs="+", default=[*PEERS, "innerloop"], metavar="NAME[:OPTION=VALUE,...]")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--patience", type=float, default=0.0, help="Seconds a turn may wait for a quiet machine.")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    wanted = [*map(contender, options.contenders), *map(product, PRODUCTS)]
    machine = described(options.device)
    command = " ".join(["python", "benchmarks/peers/compare.py", *sys.argv[1:]])
    print(f"{machine}\n{command}\n", flush=True)
    cells = []
    for name in options.cells:
        world = world_of(name)
        measured = race(world, wanted, options.rounds, options.device, options.patience, watch=_say)
        cells.append(Cell(name, flops(forward_of(world), world), measured))
        print(markdown(cells[-1:]) + "\n", flush=True)
        if options.json:
            rows = [row for cell in cells for row in cell.rows()]
            options.json.write_text(json.dumps({"machine": machine, "command": command, "rows": rows}, indent=1))


def _say(now: str) -> None:
    print(now, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
