"""How close do features of one class lie, and how far from those of the others?"""

from collections.abc import Iterable
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812

from innerloop.algorithms import Algorithm
from innerloop.data.episode import Episode
from innerloop.shapes import Params


class Cosines(NamedTuple):
    """Mean cosine between a query's and a support example's features, by whether they share their class."""

    same_class: float
    different_class: float


def cosines(algorithm: Algorithm, params: Params, episodes: Iterable[Episode]) -> Cosines:
    """Measure how close query features lie to support features of their class and of others."""
    same, different = [], []
    with torch.no_grad():
        for episode in episodes:
            support = algorithm.learner.features(params, episode.support.inputs)
            query = algorithm.learner.features(params, episode.query.inputs, reference=episode.support.inputs)
            cosine = F.normalize(query, dim=1) @ F.normalize(support, dim=1).T
            of_class = episode.query.targets[:, None] == episode.support.targets[None]
            same.append(cosine[of_class].mean())
            different.append(cosine[~of_class].mean())
    return Cosines(torch.stack(same).mean().item(), torch.stack(different).mean().item())
