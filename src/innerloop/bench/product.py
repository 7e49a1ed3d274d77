"""The rate of a large matrix product: what the machine reaches when nothing but arithmetic is asked of it."""

import torch

from innerloop.bench.contender import Options, Outcome, Work, serve
from innerloop.bench.world import World

SIZE = 4096
FLOPS = 2 * SIZE**3
TYPES = {"float32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16}


def prepare(world: World, options: Options) -> Work:
    """Return the product of two square matrices of the type that is asked for."""
    device = world.values[0].device
    torch.backends.cuda.matmul.allow_tf32 = options["precision"] == "tf32"
    left, right = (torch.rand(SIZE, SIZE, device=device).to(TYPES[options["precision"]]) for _ in range(2))

    def work() -> Outcome:
        return Outcome({}, float((left @ right)[0, 0]))

    return work


if __name__ == "__main__":
    serve(prepare)
