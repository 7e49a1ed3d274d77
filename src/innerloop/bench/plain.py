"""The loop one writes by hand: functional_call and torch.autograd.grad, one task after another, no library.

What it computes is MAML or its first order; its arithmetic is what every share of the machine's rate is counted by.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode

from innerloop.bench.contender import Options, Outcome, Work, serve
from innerloop.bench.settings import algorithm_of
from innerloop.bench.world import World

Forward = Callable[[dict[str, Tensor], Tensor], Tensor]


def mean_gradient(forward: Forward, world: World) -> Outcome:
    """Return the mean meta-gradient of `forward(params, inputs) -> logits` and the mean query loss."""
    total: dict[str, Tensor] = {}
    losses, episodes, second_order = 0.0, world.episodes, not world.told.first_order
    for support, query in episodes:
        start = {name: value.clone().requires_grad_() for name, value in world.params.items()}
        adapted = start
        for _ in range(world.told.steps):
            loss = F.cross_entropy(forward(adapted, support.inputs), support.targets)
            gradients = torch.autograd.grad(loss, list(adapted.values()), create_graph=second_order)
            steps = zip(adapted.items(), gradients, strict=True)
            adapted = {name: value - world.told.lr * gradient for (name, value), gradient in steps}
            if not second_order:
                adapted = {name: value.detach().requires_grad_() for name, value in adapted.items()}
        loss = F.cross_entropy(forward(adapted, query.inputs), query.targets)
        at = start if second_order else adapted
        for name, gradient in zip(at, torch.autograd.grad(loss, list(at.values())), strict=True):
            total[name] = total[name] + gradient if name in total else gradient
        losses += loss.item()
    return Outcome({name: value / len(episodes) for name, value in total.items()}, losses / len(episodes))


def module_forward(module: torch.nn.Module) -> Forward:
    """Return a module as a function of its parameters."""
    return lambda params, inputs: functional_call(module, params, (inputs,))


def flops(forward: Forward, world: World) -> int:
    """Count the multiplications and additions of one mean meta-gradient by the plain loop."""
    with FlopCounterMode(display=False) as counted:
        mean_gradient(forward, world)
    return int(counted.get_total_flops())


def prepare(world: World, options: Options) -> Work:
    """Return the plain loop over the recipe's own learner."""
    del options
    learner = algorithm_of(world).learner
    return lambda: mean_gradient(learner.logits, world)


if __name__ == "__main__":
    serve(prepare)
