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
from functools import partial
from pathlib import Path

from plain_loop import forward_of

from innerloop.bench import flops, specs
from innerloop.bench.machine import described
from innerloop.bench.plain import mean_gradient
from innerloop.bench.race import Contender, race
from innerloop.bench.settings import ORDERS, SETTINGS, world_of
from innerloop.bench.table import Cell, markdown
from innerloop.errors import InnerloopError, unknown_name
from innerloop.figures import costs, style

HERE = Path(__file__).resolve().parent
PEERS = {
    "plain": "plain_loop.py",
    "learn2learn": "learn2learn_loop.py",
    "higher": "higher_loop.py",
    "torchopt": "torchopt_loop.py",
    "parallel-metalearn": "metalearn_vmap.py",
}


def contender(spec: str) -> Contender:
    """Read `learn2learn`, or `innerloop` with an engine: `innerloop:workers+bf16`.

    Raises:
        InnerloopError: There is no such contender or engine.
    """
    name, _, own = spec.partition(":")
    if name == "innerloop":
        return specs.engine(own or "auto", spec)
    if name not in PEERS:
        raise unknown_name("contender", name, ("innerloop", *PEERS))
    return Contender(name, "plain" if name == "plain" else "peer", (str(HERE / PEERS[name]),))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = [f"{setting}/{order}" for setting in SETTINGS for order in ORDERS]
    parser.add_argument("--cells", nargs="+", choices=known, default=known)
    parser.add_argument("--contenders", nargs="+", default=[*PEERS, "innerloop"], metavar="NAME or innerloop:ENGINE")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--double", action="store_true", help="In float64, to see that all compute the same.")
    parser.add_argument("--patience", type=float, default=0.0, help="Seconds a turn may wait for a quiet machine.")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--picture", type=Path, help="An SVG file.")
    options = parser.parse_args()
    try:
        wanted = list(map(contender, options.contenders))
    except InnerloopError as error:
        raise SystemExit(str(error)) from error
    machine = described(options.device)
    command = " ".join(["python", "benchmarks/peers/compare.py", *sys.argv[1:]])
    print(f"{machine}\n{command}\n", flush=True)
    cells: list[Cell] = []
    for name in options.cells:
        world = world_of(*name.split("/"))
        world = world.double() if options.double else world
        done = flops.counted(partial(mean_gradient, forward_of(world), world))
        everyone = [*wanted, *specs.products(wanted)]
        cells.append(Cell(name, done, race(world, everyone, options.rounds, options.device, options.patience, _say)))
        print(markdown(cells[-1]) + "\n", flush=True)
        if options.json:
            rows = [row for cell in cells for row in cell.rows()]
            options.json.write_text(json.dumps({"machine": machine, "command": command, "rows": rows}, indent=1))
        if options.picture:
            options.picture.write_text(style.to_svg(costs.draw(cells)))


def _say(now: str) -> None:
    print(now, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
