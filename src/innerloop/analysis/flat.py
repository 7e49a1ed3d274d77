"""What does an episode look like in two dimensions, before adaptation and after: points, centroids, decision regions?

    plane     the two principal axes of the episode's features; a point p of it stands for the feature
              middle + p[0] axes[0] + p[1] axes[1], and the head's logits there are linear in p:
              logits(p) = offsets + slopes p
    map       t-SNE of the same features, which keeps neighbours and has no way back: no regions

What is kept is small: points, and two numbers and an offset a class.
Source: PCA and t-SNE (vandermaaten2008) are scikit-learn's.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from innerloop.analysis.centroids import class_means
from innerloop.shapes import Features, Labels

Point = tuple[float, float]
MOST = 20  # examples of a class that are drawn, on each side
PERPLEXITY = 30.0  # scikit-learn's usual, where there are examples enough
DIGITS = 5
SAME = 1e-12  # relative; features that differ by less are one point


@dataclass(frozen=True)
class Points:
    """An episode's points in two dimensions; centroids are one a class that has support, in the order of slots."""

    support: tuple[Point, ...]
    query: tuple[Point, ...]
    centroids: tuple[Point, ...]


@dataclass(frozen=True)
class Stage:
    """One set of features of an episode, and the head that goes with them.

    Attributes:
        plane: By principal axes.
        explained: Share of the features' variance along each axis.
        slopes: How each class's logit changes along both axes, less the mean over classes, which decides nothing.
        offsets: Each class's logit at the middle, likewise.
        faithful: Share of the drawn queries that the head names as the region says which they are drawn in.
        is_blank: Whether the head says the same of every class everywhere, so that there are no regions.
        named: The slot that the head names for each drawn query.
        map: By t-SNE; None where the features have too little to tell apart.
    """

    plane: Points
    explained: Point
    slopes: tuple[Point, ...]
    offsets: tuple[float, ...]
    faithful: float
    is_blank: bool
    named: tuple[int, ...]
    map: Points | None


@dataclass(frozen=True)
class Picture:
    """One episode, drawn before and after adaptation.

    Attributes:
        number: Which.
        classes: The class of each slot.
        support: The slot of every drawn support example.
        query: The slot of every drawn query.
        before: With the encoder and the head before adaptation.
        after: With the adapted ones.
    """

    number: int
    classes: tuple[str, ...]
    support: tuple[int, ...]
    query: tuple[int, ...]
    before: Stage
    after: Stage


def few(targets: Labels) -> Tensor:
    """Return which examples are drawn: the first `MOST` of each class."""
    earlier = (targets[:, None] == targets[None]).tril(-1).sum(1)
    return (earlier < MOST).nonzero()[:, 0]


def stage(
    support: Features, labels: Labels, query: Tensor, weight: Tensor, bias: Tensor | None, placed: Points | None
) -> Stage:
    """Flatten one set of features.

    Args:
        support: Drawn support features.
        labels: Their slots.
        query: Drawn query features [query feature].
        weight: The head's [way feature].
        bias: Its bias [way], or None.
        placed: What `mapped` gave for these features.
    """
    support, query, weight = support.double(), query.double(), weight.double()
    shift = weight.new_zeros(len(weight)) if bias is None else bias.double()
    features = torch.cat([support, query, class_means(support, labels)[1]])
    drawn = len(support) + len(query)
    middle, axes, explained = principal(features[:drawn])
    flat = (features - middle) @ axes.T
    slopes, offsets = weight @ axes.T, weight @ middle + shift
    slopes, offsets = slopes - slopes.mean(0), offsets - offsets.mean()
    named = (query @ weight.T + shift).argmax(1)
    region = (flat[len(support) : drawn] @ slopes.T + offsets).argmax(1)
    counts = len(support), len(query)
    return Stage(
        _points(flat, *counts),
        _pair(explained),
        tuple(_pair(row) for row in slopes),
        tuple(_short(value) for value in offsets.tolist()),
        (named == region).double().mean().item(),
        bool((weight == weight[:1]).all() and (shift == shift[0]).all()),
        tuple(named.tolist()),
        placed,
    )


def principal(features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the middle [feature], two principal axes [2 feature] and their shares of the variance [2].

    What features do not have is 0: a second axis of features along a line, and all axes of features that are one point.
    """
    from sklearn.decomposition import PCA

    kept = min(2, *features.shape)
    middle = features.mean(0)
    axes, explained = features.new_zeros(2, features.shape[1]), features.new_zeros(2)
    size = features.abs().max()
    if (features - middle).abs().max() > SAME * size:
        found = PCA(kept, svd_solver="full").fit((features / size).numpy())  # whose squares cannot overflow
        axes[:kept] = torch.from_numpy(found.components_)
        explained[:kept] = torch.from_numpy(found.explained_variance_ratio_)
    return middle, axes, explained


def mapped(support: Features, labels: Labels, query: Tensor) -> Points | None:
    """Return the t-SNE of features and centroids, which are points like others, as it places none afterwards."""
    from sklearn.manifold import TSNE

    features = torch.cat([support, query, class_means(support, labels)[1]]).double()
    centred = features - features.mean(0)
    if len(features) < 4 or min(features.shape) < 2 or centred.abs().max() <= SAME * features.abs().max():
        return None
    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
    # By its exact method it gives the same for the same numbers; in the features' own scale sizes cannot overflow.
    placed = TSNE(2, perplexity=perplexity, init="pca", method="exact", random_state=0).fit_transform(
        (centred / centred.abs().max()).numpy()
    )
    return _points(torch.from_numpy(placed), len(support), len(query))


def scattered(vectors: NDArray[np.float64]) -> tuple[Point, ...] | None:
    """Return the t-SNE of vectors [vector dimension] by their cosines; None where there is too little to place."""
    from sklearn.manifold import TSNE

    if len(vectors) < 4 or vectors.shape[1] < 2 or np.ptp(vectors, axis=0).max() <= SAME:
        return None
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    units = vectors / np.where(lengths > 0, lengths, 1)
    perplexity = min(PERPLEXITY, (len(vectors) - 1) / 3)
    # Half the squared distance of unit vectors is 1 less their cosine.
    placed = TSNE(2, perplexity=perplexity, init="pca", method="exact", random_state=0).fit_transform(units)
    return tuple(_pair(row) for row in torch.from_numpy(placed))


def _points(flat: Tensor, support: int, query: int) -> Points:
    rows = [_pair(row) for row in flat]
    return Points(tuple(rows[:support]), tuple(rows[support : support + query]), tuple(rows[support + query :]))


def _pair(row: Tensor) -> Point:
    first, second = row.tolist()
    return _short(first), _short(second)


def _short(value: float) -> float:
    """Return the value with as many digits as a picture needs."""
    return float(f"{value:.{DIGITS}g}")
