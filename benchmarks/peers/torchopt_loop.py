"""torchopt 0.7.3: MetaSGD on a module whose state is put back for each task; first order by its functional optimizer.

MetaSGD always keeps the graph of its gradients, so first order takes the functional `sgd`, and torch's own gradients.
"""

import torch
import torch.nn.functional as F  # noqa: N812
import torchopt
from network import conv4
from torch.func import functional_call

from innerloop.bench.contender import Options, Outcome, Work, serve
from innerloop.bench.world import World


def prepare(world: World, options: Options) -> Work:
    del options
    return first_order(world) if world.told.first_order else second_order(world)


def second_order(world: World) -> Work:
    network, episodes = conv4(world), world.episodes
    inner = torchopt.MetaSGD(network, lr=world.told.lr)
    parameters = list(network.parameters())

    def work() -> Outcome:
        for parameter in parameters:
            parameter.grad = None
        total = 0.0
        at_start = torchopt.extract_state_dict(network, by="reference"), torchopt.extract_state_dict(inner)
        for support, query in episodes:
            for _ in range(world.told.steps):
                inner.step(F.cross_entropy(network(support.inputs), support.targets))
            loss = F.cross_entropy(network(query.inputs), query.targets) / len(episodes)
            loss.backward()
            total += loss.item()
            torchopt.recover_state_dict(network, at_start[0])
            torchopt.recover_state_dict(inner, at_start[1])
        return Outcome([parameter.grad for parameter in parameters], total)

    return work


def first_order(world: World) -> Work:
    network, episodes = conv4(world), world.episodes
    inner = torchopt.sgd(lr=world.told.lr)
    start = dict(network.named_parameters())

    def work() -> Outcome:
        totals = [torch.zeros_like(value) for value in start.values()]
        total = 0.0
        for support, query in episodes:
            params, state = start, inner.init(start)
            for _ in range(world.told.steps):
                loss = F.cross_entropy(functional_call(network, params, (support.inputs,)), support.targets)
                gradients = dict(zip(params, torch.autograd.grad(loss, list(params.values())), strict=True))
                updates, state = inner.update(gradients, state, params=params, inplace=False)
                moved = torchopt.apply_updates(params, updates, inplace=False)
                params = {name: value.detach().requires_grad_() for name, value in moved.items()}
            loss = F.cross_entropy(functional_call(network, params, (query.inputs,)), query.targets) / len(episodes)
            for sum_so_far, gradient in zip(totals, torch.autograd.grad(loss, list(params.values())), strict=True):
                sum_so_far += gradient
            total += loss.item()
        return Outcome(totals, total)

    return work


if __name__ == "__main__":
    serve(prepare)
