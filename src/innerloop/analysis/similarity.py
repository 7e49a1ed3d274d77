"""How alike are two layers' activations on the same examples?

    linear CKA     <K, L> / (|K| |L|)                 K, L: Gram matrices of the centred activations [example example]
    mean CCA       mean of the singular values of U^T V       U, V: orthonormal bases of the centred activations

CKA stays the same under rotations and one scale of either side, CCA under every invertible linear map. With as many
directions as examples every CCA is 1 by counting alone; so activations are reduced first, to the principal directions
that hold 99% of their variance, and to no more of them than a quarter of the examples. Where activations are images,
every place of an image counts as an example of its channels. Both measures lie above 0 for unrelated activations too:
what they show where the examples of one side are shuffled is said beside them.

Source: kornblith2019, section 3 (CKA, from the side of the examples); raghu2017 (SVCCA, places as examples);
raghu2020 (both, before and after adaptation). A quarter of the examples at most, and the shuffling, are ours.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

SHARE = 0.99  # of the variance
PART = 4  # examples for every direction, at least
SAME = 1e-12  # relative; activations that differ by less are one point

Activations = Float[Tensor, "example ..."]
Rows = Float[Tensor, "row _"]


class Alike(NamedTuple):
    """How alike two sides are, NaN where one of them is the same for all examples.

    Attributes:
        cka: Linear CKA, in [0, 1].
        cka_shuffled: The same with the examples of one side shuffled.
        cca: Mean CCA correlation of the reduced sides, in [0, 1].
        cca_shuffled: The same with the examples of one side shuffled.
        directions: How many directions the smaller of the reduced sides has.
        variance: Which share of its variance the side has left that lost more.
    """

    cka: float
    cka_shuffled: float
    cca: float
    cca_shuffled: float
    directions: float
    variance: float


class Reduced(NamedTuple):
    """An orthonormal basis of the principal directions that were kept, and which share of the variance they hold."""

    basis: Rows
    variance: float


def linear_cka(left: Activations, right: Activations) -> float:
    """Return linear CKA of two sides with the same examples; images are flattened."""
    return _cosine(_gram(left), _gram(right))


def mean_cca(left: Rows, right: Rows) -> float:
    """Return the mean canonical correlation of two sides with the same rows, over the directions of the smaller."""
    return _correlation(_basis(left), _basis(right))


def alike(left: Activations, right: Activations, order: Tensor) -> Alike:
    """Return all measures of two sides.

    Args:
        left: Activations of some examples.
        right: Others of the same examples.
        order: A permutation of the examples, to shuffle the right side by.
    """
    first, second = _gram(left), _gram(right)
    one, other = reduced(left), reduced(right)
    return Alike(
        _cosine(first, second),
        _cosine(first, second[order][:, order]),
        _correlation(one.basis, other.basis),
        _correlation(one.basis, _shuffled(other.basis, order)),
        float(min(one.basis.shape[1], other.basis.shape[1])),
        min(one.variance, other.variance),
    )


def reduced(values: Activations) -> Reduced:
    """Return the principal directions that CCA compares: 99% of the variance, if a quarter of the rows will do."""
    rows = by_place(values)
    left, sizes, _ = torch.linalg.svd(_centred(rows), full_matrices=False)
    total = sizes.square().sum()
    if not total:
        return Reduced(left[:, :0], 1.0)
    held = sizes.square().cumsum(0) / total
    wanted = int((held < SHARE).sum()) + 1
    kept = min(wanted, len(sizes), (len(rows) - 1) // PART)
    return Reduced(left[:, :kept], held[kept - 1].item() if kept else 0.0)


def by_place(values: Activations) -> Rows:
    """Return images [example channel height width] as rows of channels, one a place, and others as rows of numbers."""
    if is_by_place(values):
        return values.permute(0, 2, 3, 1).flatten(0, 2)
    return values.flatten(1)


def is_by_place(values: Activations) -> bool:
    """Return whether there are several places in each example."""
    return values.dim() == 4 and values[0, 0].numel() > 1


def _gram(values: Activations) -> Float[Tensor, "example example"]:
    rows = _centred(values.flatten(1))
    gram: Tensor = rows @ rows.T
    return gram


def _cosine(first: Tensor, second: Tensor) -> float:
    size = first.norm() * second.norm()
    return float((first * second).sum() / size) if size else float("nan")


def _correlation(first: Tensor, second: Tensor) -> float:
    if not first.shape[1] or not second.shape[1]:
        return float("nan")
    return float(torch.linalg.svdvals(first.T @ second).clamp(max=1).mean())


def _basis(values: Tensor) -> Tensor:
    left, sizes, _ = torch.linalg.svd(_centred(values), full_matrices=False)
    smallest = sizes.max() * max(values.shape) * torch.finfo(torch.float64).eps
    basis: Tensor = left[:, sizes > smallest]
    return basis


def _centred(values: Tensor) -> Tensor:
    """Return rows in float64 less their mean and in units of their size; zeros where all rows are one point."""
    rows = values.double()
    size = rows.abs().max()
    rows = rows / size if size else rows
    centred = rows - rows.mean(0)
    return centred if centred.norm() > SAME * rows.norm() else torch.zeros_like(centred)


def _shuffled(rows: Tensor, order: Tensor) -> Tensor:
    """Return rows with their examples, of one row or several each, in another order."""
    return rows.reshape(len(order), len(rows) // len(order), rows.shape[1])[order].flatten(0, 1)
