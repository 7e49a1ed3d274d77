"""How do an episode's features gather by class: how tight, how far apart, and how near to neural collapse?

    fc          mean squared distance to the own class's mean / mean squared distance of class means to their mean
    hv          |(x1 - y1) - (x2 - y2)| / (|x1 - y1| + |x2 - y2|), mean over pairs x of one class and y of another
    cdnv        (variance_i + variance_j) / (2 |mean_i - mean_j|^2), mean over pairs of classes
    rank        exp of the entropy of the centred features' singular values, divided by their sum
    nc1         trace(within pinv(between)) / classes, covariances within classes and of class means
    nc2_norms   standard deviation of the lengths of centred class means / their mean
    nc2_angles  mean of |cosine + 1 / (classes - 1)| over pairs of centred class means; 0 for a simplex
    nc3         cosine of the head's rows, less their mean, and the centred class means, both as one long vector
    nc4         share of examples that head and nearest class mean put into the same class

Lower is tighter for fc, hv, cdnv, nc1, and nearer to collapse for nc2; nc3 and nc4 are 1 at collapse. All are taken in
float64 on the episode's few examples, whose means are not those of the classes: numbers are for comparison at equal
numbers of examples.

Source: goldblum2020, sections 4.1 and 4.3 (fc, hv; the released code has the two names the other way round);
galanti2022 (cdnv); roy2007 (rank); papyan2020 (nc1 to nc4, where nc3 is a distance and nc2 has other spreads).
"""

import math
from collections.abc import Iterator
from itertools import combinations
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from innerloop.analysis.centroids import Means, class_means, euclidean, scatter
from innerloop.shapes import Features, Labels

MOST = 20  # examples of a class that pairs are made of: their number grows as the fourth power
NONE = float("nan")


class Gathering(NamedTuple):
    """One set of features; NaN where a measure is not defined, as spread of classes with a single example."""

    fc: float
    hv: float
    cdnv: float
    rank: float
    nc1: float
    nc2_norms: float
    nc2_angles: float
    nc3: float
    nc4: float


def gathering(features: Features, labels: Labels, named: Tensor, weight: Tensor | None) -> Gathering:
    """Measure one set of features.

    Args:
        features: [example feature].
        labels: Their slots.
        named: The slot that the head names for each of them.
        weight: The head's rows by slot [way feature]; None where it is not linear.
    """
    values = features.double()
    slots, means = class_means(values, labels)
    centred = means - means.mean(0)
    has_spread = bool((labels.bincount()[slots] > 1).all()) and len(slots) > 1
    norms, cosines = centred.norm(dim=1), _pairs(torch.nn.functional.normalize(centred, dim=1))
    return Gathering(
        feature_clustering(values, labels) if has_spread else NONE,
        hyperplane_variation(values, labels) if has_spread else NONE,
        class_distance_normalised_variance(values, labels) if has_spread else NONE,
        effective_rank(values),
        within_by_between(values, labels) if has_spread else NONE,
        _ratio(norms.std(correction=0).item(), norms.mean().item()),
        float((cosines + 1 / (len(slots) - 1)).abs().mean()) if len(slots) > 1 and norms.all() else NONE,
        NONE if weight is None else alignment(weight.double()[slots], centred),
        (named == slots[euclidean(values, means).argmax(1)]).double().mean().item(),
    )


def feature_clustering(features: Features, labels: Labels) -> float:
    """Return the spread within classes over the spread of class means; every class counts alike."""
    spread = scatter(features, labels)
    return _ratio(spread.within, spread.between)


def hyperplane_variation(features: Features, labels: Labels) -> float:
    """Return how much the line between examples of two classes turns with the examples; 0 where it never does."""
    found = []
    for left, right in combinations(_by_class(features, labels), 2):
        one, other = left[:MOST], right[:MOST]
        lines = (one[:, None] - other[None]).flatten(0, 1)
        lengths = lines.norm(dim=1)
        x, y = torch.arange(len(lines)) // len(other), torch.arange(len(lines)) % len(other)
        # Two different examples on either side, each such pair of lines once.
        apart = ((x[:, None] < x) & (y[:, None] != y)).to(lines.device)
        found.append((torch.cdist(lines, lines) / (lengths[:, None] + lengths))[apart])
    return torch.stack([each.mean() for each in found]).mean().item()


def class_distance_normalised_variance(features: Features, labels: Labels) -> float:
    """Return the variance of two classes over twice the squared distance of their means, mean over pairs."""
    found = []
    for left, right in combinations(_by_class(features, labels), 2):
        spread = sum((each - each.mean(0)).square().sum(1).mean().item() for each in (left, right))
        found.append(_ratio(spread, 2 * (left.mean(0) - right.mean(0)).square().sum().item()))
    return sum(found) / len(found)


def effective_rank(features: Features) -> float:
    """Return how many directions the centred features spread over, from 1 up; NaN where they are one point."""
    sizes = torch.linalg.svdvals(features - features.mean(0))
    if not sizes.sum():
        return NONE
    return float(torch.special.entr(sizes / sizes.sum()).sum().exp())


def within_by_between(features: Features, labels: Labels) -> float:
    """Return the trace of the covariance within classes times the pseudo-inverse of that of class means, by classes."""
    slots, means = class_means(features, labels)
    _, sizes, directions = torch.linalg.svd(means - means.mean(0), full_matrices=False)
    kept = sizes > sizes.max() * max(means.shape) * torch.finfo(features.dtype).eps
    if not sizes.max():
        return NONE
    rest = features - means[torch.searchsorted(slots, labels)]
    along = (rest @ directions[kept].T).square().mean(0)
    return float((along / sizes[kept].square()).sum())


def alignment(rows: Means, centred: Means) -> float:
    """Return the cosine of the head's rows, less their mean, and the centred class means; NaN where one is zero."""
    own = rows - rows.mean(0)
    return _ratio((own * centred).sum().item(), (own.norm() * centred.norm()).item())


def _by_class(features: Features, labels: Labels) -> Iterator[Float[Tensor, "member feature"]]:
    for slot in sorted(set(labels.tolist())):
        yield features[labels == slot]


def _pairs(directions: Tensor) -> Tensor:
    """Return the inner product of every two rows, each pair once."""
    first, second = torch.triu_indices(len(directions), len(directions), 1)
    return (directions[first] * directions[second]).sum(1)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole and math.isfinite(whole) else NONE
