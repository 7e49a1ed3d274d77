"""How close do features of one class lie, and how far from those of the others?

Source: kao2022, figure 2 (cosines of query and support features) and figure 1 (the products, in `products`).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float
from torch import Tensor

from innerloop.algorithms import Algorithm
from innerloop.analysis.centroids import scatter
from innerloop.analysis.products import Products, products
from innerloop.analysis.subject import Probe, Subject
from innerloop.analysis.values import over
from innerloop.data.episode import Episode
from innerloop.errors import ConfigError, DivergedError
from innerloop.shapes import Params
from innerloop.statistics import Interval

Matrix = tuple[tuple[float | None, ...], ...]


class Cosines(NamedTuple):
    """Mean cosine between the features of two examples, by whether they share their class; NaN where no pair does.

    Attributes:
        same_class: Of a query and a support example of its class.
        different_class: Of a query and a support example of another.
        query_same_class: Of two query examples.
        query_different_class: The same.
        support_same_class: Of two support examples; not there with one shot.
        support_different_class: The same.
    """

    same_class: float
    different_class: float
    query_same_class: float
    query_different_class: float
    support_same_class: float
    support_different_class: float


@dataclass(frozen=True)
class Pair:
    """Mean cosines over episodes, and what the same class has more, paired; None where no episode has such pairs."""

    same: Interval | None
    different: Interval | None
    gap: Interval | None


@dataclass(frozen=True)
class Separation:
    """How features of one class lie to those of others, over episodes.

    Attributes:
        inner_lr: Rate of adaptation.
        inner_steps: How many steps of it.
        adapts: `all` or `head`, under which the features stay.
        query_support: Query to support, before adaptation.
        query_query: Query to query.
        support_support: Support to support.
        adapted: Query to support, after adaptation.
        number: Which episode the rest is of: the first.
        classes: Its classes.
        by_class: Mean cosine of the queries of a class (row) and the support of a class (column), before adaptation;
            None where a class has no query.
        products: That episode's logits and loss as sums of inner products; None as in `products`.
    """

    inner_lr: float
    inner_steps: int
    adapts: str
    query_support: Pair
    query_query: Pair
    support_support: Pair
    adapted: Pair
    number: int
    classes: tuple[str, ...]
    by_class: Matrix
    products: Products | None


def measure(subject: Subject) -> Separation:
    """Measure the cosines of features before and after the inner loop at test.

    Raises:
        DivergedError: Features that are not finite.
    """
    algorithm, params = subject.tested, subject.params
    before, after = [], []
    first: Probe | None = None
    for probe in subject.probes():
        first = first or probe
        adapted = algorithm.adapt(params, probe.episode.support).adapted
        before.append(episode_cosines(algorithm, params, probe.episode))
        after.append(episode_cosines(algorithm, adapted, probe.episode))
        if not all(math.isfinite(each[-1].different_class) for each in (before, after)):
            raise DivergedError(
                f"expected finite features, got NaN or infinity with an inner loop of {algorithm.inner.steps} steps at "
                f"rate {algorithm.inner.lr:g} (episode {probe.number}); try a smaller rate"
            )
    if first is None:
        raise ConfigError("expected at least one episode to look at, got none; ask for more")
    return Separation(
        algorithm.inner.lr,
        algorithm.inner.steps,
        algorithm.adapts,
        query_support=_pair(before, "same_class", "different_class"),
        query_query=_pair(before, "query_same_class", "query_different_class"),
        support_support=_pair(before, "support_same_class", "support_different_class"),
        adapted=_pair(after, "same_class", "different_class"),
        number=first.number,
        classes=first.classes,
        by_class=by_class(algorithm, params, first),
        products=products(algorithm, params, first),
    )


def cosines(algorithm: Algorithm, params: Params, episodes: Iterable[Episode]) -> Cosines:
    """Measure how close features lie to features of their class and of others, mean over episodes."""
    each = [episode_cosines(algorithm, params, episode) for episode in episodes]
    return Cosines(*(_mean(values) for values in zip(*each, strict=True)))


def recorded(algorithm: Algorithm, params: Params, episodes: Iterable[Episode]) -> dict[str, float]:
    """Return every mean cosine that has pairs, and the scatter of query features, for a line of a run's history."""
    seen = list(episodes)
    measured = cosines(algorithm, params, seen)._asdict()
    spread = [scatter(_query_features(algorithm, params, each), each.query.targets) for each in seen]
    between, within = (_mean(values) for values in zip(*spread, strict=True))
    return {
        **{name: value for name, value in measured.items() if not math.isnan(value)},
        "between_classes": between,
        "within_classes": within,
    }


def episode_cosines(algorithm: Algorithm, params: Params, episode: Episode) -> Cosines:
    """Measure one episode; an example's pair with itself is left out."""
    support, query = _directions(algorithm, params, episode)
    slots, asked = episode.support.targets, episode.query.targets
    return Cosines(
        *_means(query @ support.T, asked[:, None] == slots[None]),
        *_means(query @ query.T, asked[:, None] == asked[None], but_itself=True),
        *_means(support @ support.T, slots[:, None] == slots[None], but_itself=True),
    )


def by_class(algorithm: Algorithm, params: Params, probe: Probe) -> Matrix:
    """Return the mean cosine of each class's queries (row) and each class's support (column); None without queries."""
    support, query = _directions(algorithm, params, probe.episode)
    cosine, asked, slots = query @ support.T, probe.episode.query.targets, probe.episode.support.targets
    ways = range(len(probe.classes))
    means = [[cosine[asked == row][:, slots == column].mean().item() for column in ways] for row in ways]
    return tuple(tuple(None if math.isnan(value) else value for value in row) for row in means)


def _directions(
    algorithm: Algorithm, params: Params, episode: Episode
) -> tuple[Float[Tensor, "support feature"], Float[Tensor, "query feature"]]:
    """Return support and query features at length 1."""
    with torch.no_grad():
        support = algorithm.learner.features(params, episode.support.inputs)
    return F.normalize(support, dim=1), F.normalize(_query_features(algorithm, params, episode), dim=1)


def _query_features(algorithm: Algorithm, params: Params, episode: Episode) -> Float[Tensor, "query feature"]:
    with torch.no_grad():
        return algorithm.learner.features(params, episode.query.inputs, reference=episode.support.inputs)


def _means(cosine: Tensor, same: Tensor, but_itself: bool = False) -> tuple[float, float]:
    """Return the mean over pairs of one class and over pairs of two; NaN where there are none."""
    pairs = same.clone().fill_diagonal_(False) if but_itself else same
    return cosine[pairs].mean().item(), cosine[~same].mean().item()


def _mean(values: Sequence[float]) -> float:
    defined = [value for value in values if not math.isnan(value)]
    return sum(defined) / len(defined) if defined else float("nan")


def _pair(each: Sequence[Cosines], same: str, different: str) -> Pair:
    values = [(getattr(one, same), getattr(one, different)) for one in each]
    return Pair(
        over(left for left, _ in values),
        over(right for _, right in values),
        over(left - right for left, right in values),
    )
