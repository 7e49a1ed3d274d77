"""Which class's mean support feature lies nearest to a query's?

Source: snell2017 (Euclidean), kao2022 section 4 (inner product: what a zeroed head does after one step), and the cosine
beside both. Inner product and Euclidean distance agree where all means are equally long.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from innerloop.shapes import Features, Labels

Queries = Float[Tensor, "query feature"]
Means = Float[Tensor, "class feature"]
Scores = Float[Tensor, "query class"]


def slots_of(labels: Labels) -> Int[Tensor, " class"]:
    """Return the slots that have examples, in order."""
    return torch.tensor(sorted(set(labels.tolist())), device=labels.device)


def class_means(features: Features, labels: Labels) -> tuple[Int[Tensor, " class"], Means]:
    """Return the slots that have examples, and the mean feature of each."""
    slots = slots_of(labels)
    return slots, torch.stack([features[labels == slot].mean(0) for slot in slots])


class Scatter(NamedTuple):
    """How far features lie apart, in squared units of a feature.

    Attributes:
        between: Mean squared distance of the class means to the mean of all class means.
        within: Mean squared distance of the features to their class's mean, first over a class and then over classes.
    """

    between: float
    within: float


def scatter(features: Features, labels: Labels) -> Scatter:
    """Measure how far class means lie apart, and features of one class from their mean; every class counts alike.

    The first is `way` times the squared norm of the cross-entropy's gradient by the weight of a zero head (balanced
    classes): what a positive inner rate rewards there.
    """
    slots, means = class_means(features, labels)
    within = [(features[labels == slot] - mean).square().sum(1).mean() for slot, mean in zip(slots, means, strict=True)]
    return Scatter(
        (means - means.mean(0)).square().sum(1).mean().item(),
        torch.stack(within).mean().item(),
    )


def inner_product(query: Queries, means: Means) -> Scores:
    """Return the inner product of every query feature with every mean."""
    return query @ means.T


def euclidean(query: Queries, means: Means) -> Scores:
    """Return minus half the squared distance, up to what all classes share: q.m - |m|^2 / 2."""
    return query @ means.T - means.square().sum(1) / 2


def cosine(query: Queries, means: Means) -> Scores:
    """Return the cosine up to the query's own length, which all classes share; 0 for a mean of zero."""
    return query @ torch.nn.functional.normalize(means, dim=1).T


NEARNESS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "inner_product": inner_product,
    "euclidean": euclidean,
    "cosine": cosine,
}


def nearest(kind: str, query: Queries, support: Features, labels: Labels) -> Int[Tensor, " query"]:
    """Return the slot of the nearest class mean for every query feature; `kind` as in `NEARNESS`."""
    slots, means = class_means(support, labels)
    return slots[NEARNESS[kind](query, means).argmax(1)]
