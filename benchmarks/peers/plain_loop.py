"""The plain loop over the network as users write it, with no library at all."""

from network import conv4
from torch import Tensor
from torch.func import functional_call

from innerloop.bench.contender import Options, Work, serve
from innerloop.bench.plain import Forward, mean_gradient
from innerloop.bench.world import World


def forward_of(world: World) -> Forward:
    """Return the network as a function of the world's parameters, which stand in the same order."""
    network = conv4(world)
    own = [name for name, _ in network.named_parameters()]

    def forward(params: dict[str, Tensor], inputs: Tensor) -> Tensor:
        return functional_call(network, dict(zip(own, params.values(), strict=True)), (inputs,))

    return forward


def prepare(world: World, options: Options) -> Work:
    del options
    forward = forward_of(world)
    return lambda: mean_gradient(forward, world)


if __name__ == "__main__":
    serve(prepare)
