"""higher 0.2.1, as its MAML example does it: an inner-loop context for each task, backward inside it.

First order has no switch of its own: `track_higher_grads=False` is for tests, and cuts the graph between the parameters
and their copies, so that nothing reaches the gradient.
"""

import higher
import torch
import torch.nn.functional as F  # noqa: N812
from network import conv4

from innerloop.bench.contender import Options, Outcome, Work, serve
from innerloop.bench.world import World


def prepare(world: World, options: Options) -> Work:
    del options
    network, episodes = conv4(world), world.episodes
    inner = torch.optim.SGD(network.parameters(), lr=world.told.lr)

    def work() -> Outcome:
        network.zero_grad()
        total = 0.0
        for support, query in episodes:
            with higher.innerloop_ctx(
                network, inner, copy_initial_weights=False, track_higher_grads=not world.told.first_order
            ) as (learner, steps):
                for _ in range(world.told.steps):
                    steps.step(F.cross_entropy(learner(support.inputs), support.targets))
                loss = F.cross_entropy(learner(query.inputs), query.targets) / len(episodes)
                loss.backward()
                total += loss.item()
        return Outcome([parameter.grad for parameter in network.parameters()], total)

    return work


if __name__ == "__main__":
    serve(prepare)
