"""The loop one writes by hand: torch.autograd.grad, one task after another, no library.

What it computes is MAML or its first order, with the head zero or not.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from innerloop.algorithms import Algorithm, Axes
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


def departure(algorithm: Algorithm) -> str | None:
    """Return what the plain loop does not do but the algorithm does, or None."""
    for name, value in vars(Axes()).items():
        own = getattr(algorithm.axes, name)
        known = {"order": ("first", "second"), "head": ("learned", "zero", "zeroing", "first")}.get(name, (value,))
        if own not in known and name != "head_every":
            return f"{name}={own}"
    if not algorithm.inner.is_plain or algorithm.inner.loss != "cross_entropy":
        return ", ".join([*algorithm.inner.departures, f"loss={algorithm.inner.loss_name}"])
    normalization = algorithm.learner.normalization
    return None if normalization == "batch" else f"normalization={normalization}"


def prepare(world: World, options: Options) -> Work:
    """Return the plain loop over the recipe's own learner."""
    del options
    learner = algorithm_of(world).learner
    return lambda: mean_gradient(learner.logits, world)


if __name__ == "__main__":
    serve(prepare)
