"""How many operations one mean meta-gradient takes: multiplications and additions of convolutions and matrix products.

Counted on the loop over tasks that does everything in full, so that a share of the machine's rate says how fast the
result comes about: what finds it with fewer operations has a larger share, also above 1.
"""

from collections.abc import Callable

from torch.utils.flop_counter import FlopCounterMode

from innerloop.algorithms import Algorithm
from innerloop.bench.world import World
from innerloop.engine import Loop


def counted(work: Callable[[], object]) -> int:
    """Return the operations of one call."""
    with FlopCounterMode(display=False) as counter:
        work()
    return int(counter.get_total_flops())


def of_loop(algorithm: Algorithm, world: World) -> int:
    """Return the operations of the loop over all tasks of a world."""
    return counted(lambda: Loop(algorithm).gradient(world.params, world.batch))
