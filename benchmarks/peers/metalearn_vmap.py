"""parallel-metalearn 0.5.6: its MAML maps all tasks at once; its step also moves the parameters, here at rate zero.

Its second order is not the others', also in float64: under `vmap` torch 2.13 derives the gradient of BatchNorm's weight
wrongly. First order agrees.
"""

from typing import Any

import torch
from metalearn.algorithms import MAML
from metalearn.inner_optimizers import InnerSGD
from metalearn.loss import CategoricalAccuracy, CrossEntropy
from metalearn.model_wrappers import MAML_Model
from network import conv4
from torch import Tensor, nn

from innerloop.bench.contender import Options, Outcome, Work, serve
from innerloop.bench.world import World


class Deaf(nn.Module):
    """A part of the network that overlooks what the library tells every module beside its input."""

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part = part

    def forward(self, inputs: Tensor, **_: Any) -> Tensor:
        """Return what the part makes of the inputs."""
        return self.part(inputs)


def prepare(world: World, options: Options) -> Work:
    del options
    network = conv4(world)
    model = MAML_Model(backbone=Deaf(network.encoder), head=Deaf(network.head))
    inner = InnerSGD(
        model.get_fast_weights(), first_order=world.told.first_order, inner_lr=world.told.lr, learn_lr=False,
        max_inner_steps=world.told.steps,
    )  # fmt: skip
    outer = torch.optim.SGD(model.parameters(), lr=0.0)
    loss = CrossEntropy(metric_fn=CategoricalAccuracy())
    maml = MAML(
        model=model, optimizer=outer, inner_optimizer=inner, support_loss_fn=loss, inner_steps=world.told.steps,
        device=world.values[0].device,
    )  # fmt: skip
    support, query = world.batch
    batch = support.inputs, {"labels": support.targets}, query.inputs, {"labels": query.targets}

    def work() -> Outcome:
        mean, _ = maml.step(iter([batch]))
        return Outcome([parameter.grad for parameter in model.parameters()], mean)

    return work


if __name__ == "__main__":
    serve(prepare)
