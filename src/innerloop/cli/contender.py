"""One of our engines as a contender, in a process set up as the command line sets up its own."""

from innerloop.bench.contender import Options, Outcome, Work, serve
from innerloop.bench.settings import algorithm_of
from innerloop.bench.world import World
from innerloop.cli.memory import keep_big_blocks
from innerloop.engine import Chosen, EngineConfig


def prepare(world: World, options: Options) -> Work:
    """Return one mean meta-gradient by the engine that is asked for."""
    algorithm = algorithm_of(world)
    if order := options.pop("order", None):
        algorithm = algorithm.with_order(order)
    engine = Chosen(EngineConfig(**options), algorithm)

    def work() -> Outcome:
        found = engine.gradient(world.params, world.batch)
        return Outcome(found.gradient, found.losses.mean(), engine.name)

    return work


if __name__ == "__main__":
    keep_big_blocks()
    serve(prepare)
