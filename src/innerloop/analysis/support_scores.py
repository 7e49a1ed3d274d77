"""How sure does a support set let one be of a task: scores of it alone, no query looked at.

    margin      mean over support of (own logit - largest other), after adaptation
    certainty   mean over support of the largest softmax, after adaptation
    left_out    accuracy on a shot of every class that is left out of adaptation, mean over shots      (2 shots or more)
    separation  - log of the mean class-distance normalised variance of the support's features         (2 shots or more)
    distance    mean over classes of the distance to the nearest other centroid, over the centroids' mean length

The last two are of features before adaptation. One example a class has no spread, and nothing is left where it is left
out; there the distance between shots has to do. An example that is left out still stands in the batch whose statistics
BatchNorm takes, as queries do.
"""

import torch
from torch import Tensor

from innerloop.algorithms import Algorithm
from innerloop.analysis.centroids import class_means
from innerloop.analysis.guarantee import geometry, normalised_variance
from innerloop.data.episode import Episode, Examples
from innerloop.shapes import Features, Labels, Params

SCORES = ("margin", "certainty", "left_out", "separation", "distance")


def facts(algorithm: Algorithm, params: Params, episode: Episode) -> Tensor:
    """Return an episode's scores in the order of `SCORES`, NaN where there is none, and then its query accuracy."""
    support = episode.support
    labels = support.targets
    with torch.no_grad():
        adapted = algorithm.adapt(params, support).adapted
        said = algorithm.query_loss(adapted, episode)[1]
        logits = algorithm.query_loss(adapted, Episode(support, support))[1].double()
        features = algorithm.learner.features(params, support.inputs).double()
    right = (said.argmax(1) == episode.query.targets).double().mean()
    own = logits.gather(1, labels[:, None])[:, 0]
    others = logits.scatter(1, labels[:, None], float("-inf")).max(1).values
    found = [
        (own - others).mean(),
        logits.softmax(1).max(1).values.mean(),
        left_out(algorithm, params, support),
        separation(features, labels),
        distance(features, labels),
    ]
    return torch.stack([*found, torch.where(torch.isfinite(said).all(), right, float("nan"))])


def left_out(algorithm: Algorithm, params: Params, support: Examples) -> Tensor:
    """Return the accuracy on left-out examples, one of every class that has another, mean over shots; else NaN."""
    turn = shot_of(support.targets)
    counts = support.targets.bincount()[support.targets]
    right = []
    with torch.no_grad():
        for shot in range(int(turn.max()) + 1):
            out = (turn == shot) & (counts > 1)
            if not bool(out.any()):
                continue
            kept = Examples(support.inputs[~out], support.targets[~out])
            adapted = algorithm.adapt(params, kept).adapted
            logits = algorithm.query_loss(adapted, Episode(kept, support))[1]
            right.append((logits[out].argmax(1) == support.targets[out]).double())
    return torch.cat(right).mean() if right else torch.tensor(float("nan"), dtype=torch.float64)


def shot_of(labels: Labels) -> Tensor:
    """Return for every example how many of its class come before it."""
    earlier: Tensor = (labels[:, None] == labels[None]).tril(-1).sum(1)
    return earlier


def separation(features: Features, labels: Labels) -> Tensor:
    """Return minus the logarithm of the mean normalised variance over pairs of classes; NaN at one shot."""
    counts = labels.bincount()
    if int(counts[counts > 0].min()) < 2 or int((counts > 0).sum()) < 2:
        return features.new_full((), float("nan"))
    pairs = normalised_variance(geometry(features, labels))
    smallest = torch.finfo(features.dtype).tiny
    # Means that are one point, and classes that are, are as far as numbers go, and not beyond.
    mean = pairs[~torch.eye(len(pairs), dtype=torch.bool)].mean()
    found: Tensor = -mean.clamp(smallest, 1 / smallest).log()
    return found


def distance(features: Features, labels: Labels) -> Tensor:
    """Return how far class centroids lie from their nearest other, relative to their length; 0 where all are 0."""
    means = class_means(features, labels)[1]
    far = torch.cdist(means, means, compute_mode="donot_use_mm_for_euclid_dist").fill_diagonal_(float("inf"))
    length = means.norm(dim=1).mean()
    found: Tensor = far.min(1).values.mean() / length if length > 0 else length
    return found
