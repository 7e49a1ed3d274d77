"""One of our engines as a contender, in a process set up as the command line sets up its own."""

from innerloop.bench.contender import Options, Outcome, Work, serve
from innerloop.bench.settings import algorithm_of
from innerloop.bench.world import World
from innerloop.cli.memory import keep_big_blocks
from innerloop.engine import mean_meta_gradient
from innerloop.errors import ConfigError


def prepare(world: World, options: Options) -> Work:
    """Return one mean meta-gradient by the engine that is asked for."""
    if options.get("engine", "loop") != "loop":
        raise ConfigError(f"expected engine=loop, got {options['engine']}; there is no other")
    algorithm = algorithm_of(world)

    def work() -> Outcome:
        found = mean_meta_gradient(algorithm, world.params, world.batch)
        return Outcome(found.gradient, found.losses.mean())

    return work


if __name__ == "__main__":
    keep_big_blocks()
    serve(prepare)
