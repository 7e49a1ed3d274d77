"""Arithmetic on Params: the few operations of vectors that a dict of tensors lacks."""

from collections.abc import Collection, Iterable
from hashlib import sha256

import torch
from jaxtyping import Float
from torch import Tensor

from innerloop.shapes import Params, Scalar


def add(left: Params, right: Params, scale: float = 1.0) -> Params:
    """Return `left + scale * right`; names missing in `right` are kept as they are."""
    return {
        name: torch.add(value, right[name], alpha=scale) if name in right else value for name, value in left.items()
    }


def scaled(params: Params, scale: float) -> Params:
    """Return `scale * params`."""
    return {name: scale * value for name, value in params.items()}


def select(params: Params, names: Collection[str]) -> Params:
    """Return the entries with these names, in the order of `params`."""
    return {name: value for name, value in params.items() if name in names}


def zeroed(params: Params, names: Collection[str]) -> Params:
    """Return `params` with the named entries set to zero."""
    return {name: torch.zeros_like(value) if name in names else value for name, value in params.items()}


def snapshot(params: Params) -> Params:
    """Return a copy that no later in-place update can reach."""
    return {name: value.detach().clone() for name, value in params.items()}


def dot(left: Params, right: Params) -> Scalar:
    """Return the inner product over all entries."""
    return torch.stack([(value * right[name]).sum() for name, value in left.items()]).sum()


def norm(params: Params) -> Scalar:
    """Return the Euclidean norm over all entries."""
    return dot(params, params).sqrt()


def count(params: Params) -> int:
    """Return how many numbers the parameters hold."""
    return sum(value.numel() for value in params.values())


def flat(params: Params) -> Float[Tensor, " param"]:
    """Return all numbers as one vector, in the order of `params`."""
    return torch.cat([value.reshape(-1) for value in params.values()]) if params else torch.zeros(0)


def shaped(vector: Float[Tensor, " param"], like: Params) -> Params:
    """Return a vector as `flat` makes them with names, shapes and types of `like`."""
    pieces = torch.split(vector, [value.numel() for value in like.values()])
    return {
        name: piece.reshape(value.shape).to(value) for (name, value), piece in zip(like.items(), pieces, strict=True)
    }


def digest(tensors: Iterable[Tensor]) -> str:
    """Return a few letters that differ where any number differs."""
    summed = sha256()
    for tensor in tensors:
        summed.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return summed.hexdigest()[:12]


def first_nonfinite(params: Params) -> str | None:
    """Return the name of the first entry that holds a NaN or an infinity, or None; waits for a GPU once."""
    finite = torch.stack([torch.isfinite(value).all() for value in params.values()]).tolist()
    return next((name for name, fine in zip(params, finite, strict=True) if not fine), None)
