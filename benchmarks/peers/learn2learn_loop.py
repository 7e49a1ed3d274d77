"""learn2learn 0.2.0, as its examples write MAML: clone, adapt, backward, task by task."""

import torch.nn.functional as F  # noqa: N812
from learn2learn.algorithms.maml import MAML
from network import conv4

from innerloop.bench.contender import Options, Outcome, Work, serve
from innerloop.bench.world import World


def prepare(world: World, options: Options) -> Work:
    del options
    maml = MAML(conv4(world), lr=world.told.lr, first_order=world.told.first_order)
    episodes = world.episodes

    def work() -> Outcome:
        maml.zero_grad()
        total = 0.0
        for support, query in episodes:
            learner = maml.clone()
            for _ in range(world.told.steps):
                learner.adapt(F.cross_entropy(learner(support.inputs), support.targets))
            loss = F.cross_entropy(learner(query.inputs), query.targets) / len(episodes)
            loss.backward()
            total += loss.item()
        return Outcome([parameter.grad for parameter in maml.parameters()], total)

    return work


if __name__ == "__main__":
    serve(prepare)
