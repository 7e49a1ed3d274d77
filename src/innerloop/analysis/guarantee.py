"""What do spread and distance of classes guarantee of the nearest centroid, and is it more than nothing?

For a feature f of class i, with class means m, u = (m[j] - m[i]) / d[i,j] and d[i,j] = |m[j] - m[i]|:

    f is nearer to m[j] than to m[i]   if and only if   (f - m[i]) . u >= d[i,j] / 2

    line    P <= s^2 / (s^2 + d^2 / 4)              Cantelli; s^2 = E ((f - m[i]) . u)^2, the spread along the line
    spread  P <= v / (v + d^2 / 4)                  the same with v = E |f - m[i]|^2 >= s^2, the whole spread
    shots   P <= (2 sqrt(v[i]) + sqrt(v[i] / K) + sqrt(v[j] / K))^2 / d^2

The last is for centroids c of K examples drawn without regard to f: if f is nearer to c[j] than to c[i], then
d <= |m[j] - c[j]| + |c[j] - f| + |f - m[i]| <= |m[j] - c[j]| + |c[i] - m[i]| + 2 |f - m[i]|; take Markov's inequality
of its square and Minkowski's for the sum. Examples drawn without replacement spread less than v / K. Among N classes
the error of class i is at most the sum over the others, and at most 1; over episodes whose others are drawn alike,
N - 1 times the mean.

Means and spreads are those of the examples at hand, so that the first two hold of these very examples, exactly, and the
last of draws from them. Of examples to come they say as much as these stand for them. A bound no smaller than the error
of guessing, 1 - 1 / N, is vacuous.

Source: galanti2022, section 3 (class-distance normalised variance, (v[i] + v[j]) / (2 d^2)), whose bound is by
Chebyshev's inequality and has larger constants; the derivation is in docs/derivations/guarantee.md.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from innerloop.analysis.centroids import class_means, nearest, slots_of
from innerloop.shapes import Features, Labels

Pairs = Float[Tensor, "class class"]


class Geometry(NamedTuple):
    """Spread and distance of classes.

    Attributes:
        spread: Mean squared distance of a class's features to its mean [class].
        along: The same along the line to every other mean, [class class]: the first is whose features.
        distance: Squared, between means [class class].
    """

    spread: Float[Tensor, " class"]
    along: Pairs
    distance: Pairs


def geometry(features: Features, labels: Labels) -> Geometry:
    """Measure spreads and distances, in float64."""
    features = features.double()
    slots, means = class_means(features, labels)
    lines = means[None] - means[:, None]
    distance = lines.square().sum(2)
    spread, along = [], []
    for place, slot in enumerate(slots):
        own = features[labels == slot] - means[place]
        spread.append(own.square().sum(1).mean())
        along.append((own @ lines[place].T).square().mean(0))
    # Two means that are one point have no line between them: all of the spread may lie along it.
    apart = torch.where(distance > 0, torch.stack(along) / distance, torch.stack(spread)[:, None])
    return Geometry(torch.stack(spread), apart, distance)


def normalised_variance(here: Geometry) -> Pairs:
    """Return every pair's class-distance normalised variance; infinite for means that are one point."""
    return (here.spread[:, None] + here.spread[None]) / (2 * here.distance)


def by_line(here: Geometry) -> Pairs:
    """Bound by the spread along the line how often a feature of one class is nearer to another's mean."""
    return _cantelli(here.along, here.distance)


def by_spread(here: Geometry) -> Pairs:
    """Bound the same by the whole spread."""
    return _cantelli(here.spread[:, None].expand_as(here.distance), here.distance)


def by_shots(here: Geometry, k_shot: int) -> Pairs:
    """Bound the same for centroids of so many examples."""
    own, other = here.spread[:, None].sqrt(), here.spread[None].sqrt()
    reach = 2 * own + (own + other) / k_shot**0.5
    return torch.where(here.distance > 0, reach.square() / here.distance, 1.0).clamp(max=1)


def bound(pairs: Pairs, n_way: int) -> float:
    """Return the bound on the error of episodes of `n_way` classes drawn alike, mean over classes."""
    others = pairs.clone().fill_diagonal_(0).sum(1) / (len(pairs) - 1)
    return float(((n_way - 1) * others).clamp(max=1).mean())


def error(features: Features, labels: Labels) -> float:
    """Return the share of features that are nearer to another class's mean, mean over classes; ties are errors."""
    features = features.double()
    slots, means = class_means(features, labels)
    far = torch.cdist(features, means, compute_mode="donot_use_mm_for_euclid_dist")
    own = torch.searchsorted(slots, labels)
    correct = torch.nn.functional.one_hot(own, len(slots)).bool()
    wrong = far.masked_fill(correct, float("inf")).min(1).values <= far[correct]
    return float(torch.stack([wrong[labels == slot].double().mean() for slot in slots]).mean())


def few_shot_error(
    features: Features, labels: Labels, n_way: int, k_shot: int, *, rng: torch.Generator
) -> tuple[float, float]:
    """Draw one episode of features and return its errors: of centroids of all examples, and of `k_shot` of them.

    Args:
        features: Of many classes; each has more than `k_shot` examples.
        labels: Their classes.
        n_way: Classes of the episode.
        k_shot: Examples of each that make the second centroids; the others are asked for.
        rng: What is drawn from.
    """
    slots = slots_of(labels)
    chosen = slots[torch.randperm(len(slots), generator=rng)[:n_way]]
    support: list[Tensor] = []
    query: list[Tensor] = []
    for slot in chosen:
        members = (labels == slot).nonzero()[:, 0]
        members = members[torch.randperm(len(members), generator=rng)]
        support.append(members[:k_shot])
        query.append(members[k_shot:])
    shown, asked = torch.cat(support), torch.cat(query)
    both = torch.cat([shown, asked])
    named: Int[Tensor, " query"] = nearest("euclidean", features[asked], features[shown], labels[shown])
    wrong = [(named[labels[asked] == slot] != slot).double().mean() for slot in chosen]
    return error(features[both], labels[both]), float(torch.stack(wrong).mean())


def _cantelli(spread: Tensor, distance: Tensor) -> Tensor:
    # 1 where both are 0: one point may be nearer to either.
    return torch.where(distance > 0, spread / (spread + distance / 4), 1.0)
