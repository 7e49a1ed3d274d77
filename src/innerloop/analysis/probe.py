"""What training is asked on the way: the norms of the gradient's parts, and how features of one class lie together."""

from collections.abc import Iterable
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F  # noqa: N812

from innerloop.algorithms import Algorithm
from innerloop.analysis.contrast import ContrastSplit, LossName, split
from innerloop.data.episode import Episode
from innerloop.shapes import Params


class ContrastNorms(NamedTuple):
    """Mean Frobenius norms over episodes, in units of loss per feature unit.

    Measured on the frozen-encoder split: exact for head-only adaptation, and for a zeroed head at one inner step;
    otherwise it leaves out what the encoder's own movement in the inner loop adds.
    """

    query_contrast: float
    query_interference: float


class Cosines(NamedTuple):
    """Mean cosine between a query's and a support example's features, by whether they share their class."""

    same_class: float
    different_class: float


def episode_split(algorithm: Algorithm, params: Params, episode: Episode) -> ContrastSplit:
    """Split one episode's meta-gradient at the features the encoder gives before adaptation.

    Raises:
        ConfigError: The learner's head is not linear.
    """
    learner, inner = algorithm.learner, algorithm.inner
    weight, bias = learner.linear_head(params)
    with torch.no_grad():
        return split(
            learner.features(params, episode.support.inputs),
            episode.support.targets,
            learner.features(params, episode.query.inputs, reference=episode.support.inputs),
            episode.query.targets,
            weight,
            bias,
            inner_lr=inner.lr,
            inner_steps=inner.steps,
            loss=cast("LossName", inner.loss),
            order=algorithm.order,
        )


def contrast_norms(algorithm: Algorithm, params: Params, episodes: Iterable[Episode]) -> ContrastNorms:
    """Measure both parts of the query gradient on probe episodes."""
    parts = [episode_split(algorithm, params, episode) for episode in episodes]
    return ContrastNorms(
        *(
            torch.stack([torch.linalg.norm(getattr(part, name)) for part in parts]).mean().item()
            for name in ContrastNorms._fields
        )
    )


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
