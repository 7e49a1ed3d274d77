"""MAML, FOMAML, ANIL and BOIL in plain autograd: modules copied by hand, no torch.func, no Params arithmetic."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch.func import functional_call


def loss_of(module, params, examples, loss):
    outputs = functional_call(module, params, (examples.inputs,))
    if loss == "cross_entropy":
        return F.cross_entropy(outputs, examples.targets)
    return ((outputs - F.one_hot(examples.targets, outputs.shape[1]).to(outputs.dtype)) ** 2).mean()


def meta_gradient(module, params, episode, *, lr, steps, order, names=None, loss="cross_entropy"):
    start = {name: value.clone().requires_grad_() for name, value in params.items()}
    here, names = dict(start), sorted(params if names is None else names)
    for _ in range(steps):
        support_loss = loss_of(module, here, episode.support, loss)
        gradients = torch.autograd.grad(support_loss, [here[name] for name in names], create_graph=order == "second")
        here = {**here, **{name: here[name] - lr * g for name, g in zip(names, gradients, strict=True)}}
        if order == "first":
            here = {name: value.detach().requires_grad_() for name, value in here.items()}
    query_loss = loss_of(module, here, episode.query, loss)
    at = start if order == "second" else here
    return dict(zip(at, torch.autograd.grad(query_loss, list(at.values())), strict=True)), query_loss.detach()
