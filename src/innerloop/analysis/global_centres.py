"""Where do the classes of meta-training lie among the features: centres of global clusters, and what lies near them.

    centre[c]        mean over examples of training class c of feature(example)
    description[x]   similarity of feature(x) to every centre, less its mean over all centres, over its spread there

The features are those of the encoder before adaptation, in batches mixed of all classes: where BatchNorm goes by the
batch, a batch of one class would hide what that class's examples share. No batch has more than `TOGETHER` examples, and
sums alone are kept of it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from innerloop.analysis.centroids import slots_of
from innerloop.data.sampler import Ids, inputs_of
from innerloop.data.split import Split
from innerloop.errors import DivergedError
from innerloop.models import Learner
from innerloop.seeds import generator
from innerloop.shapes import Labels, Params

Similarity = Literal["inner_product", "euclidean"]
TOGETHER = 256


def _products(features: Tensor, centres: Tensor) -> Tensor:
    return features @ centres.T


def _nearness(features: Tensor, centres: Tensor) -> Tensor:
    return -torch.cdist(features, centres)


SIMILARITIES: Mapping[Similarity, Callable[[Tensor, Tensor], Tensor]] = {
    "inner_product": _products,
    "euclidean": _nearness,
}


@dataclass(frozen=True, eq=False)
class GlobalCentres:
    """The mean feature of every class trained on.

    Attributes:
        means: [class feature], float64.
        similarity: How an example is held against them: by `inner_product` or minus the `euclidean` distance.
        shift: Mean similarity of all centres to each [class].
        spread: Its standard deviation [class]; 1 where there is none.
    """

    means: Float[Tensor, "class feature"]
    similarity: Similarity
    shift: Float[Tensor, " class"]
    spread: Float[Tensor, " class"]

    def described(self, features: Tensor) -> Float[Tensor, "example class"]:
        """Return every example's description by its standardised similarities to all centres."""
        return (SIMILARITIES[self.similarity](features.double(), self.means) - self.shift) / self.spread

    def nearest(self, features: Tensor) -> Int[Tensor, " example"]:
        """Return the centre at the least Euclidean distance to each example."""
        return torch.cdist(features.double(), self.means).argmin(1)


def global_centres(
    learner: Learner, params: Params, split: Split, per_class: int, similarity: Similarity
) -> GlobalCentres:
    """Go through a split once and return its classes' centres.

    Args:
        learner: Whose features.
        params: Its parameters, before adaptation.
        split: The side trained on.
        per_class: Examples a class, at most, taken at even distances where there are more; 1 or more.
        similarity: How examples will be held against the centres.

    Raises:
        DivergedError: Features that are not finite.
    """
    sums: Tensor | None = None
    counts = torch.zeros(len(split), dtype=torch.float64)
    for features, slots in _described(learner, params, split, per_class):
        sums = features.new_zeros(len(split), features.shape[1]) if sums is None else sums
        sums.index_add_(0, slots, features)
        counts.index_add_(0, slots, torch.ones(len(slots), dtype=torch.float64))
    if sums is None or not bool(torch.isfinite(sums).all()):
        raise DivergedError("expected finite features of the training classes, got NaN or infinity; train anew")
    return standardised(sums / counts[:, None], similarity)


def class_features(learner: Learner, params: Params, split: Split, per_class: int) -> tuple[Tensor, Tensor]:
    """Return the features [example feature] of a split's classes, float64, and the class of each [example].

    Args as in `global_centres`, whose batches they come from.

    Raises:
        DivergedError: Features that are not finite.
    """
    features, slots = (torch.cat(parts) for parts in zip(*_described(learner, params, split, per_class), strict=True))
    if not bool(torch.isfinite(features).all()):
        raise DivergedError("expected finite features of all classes, got NaN or infinity; train anew")
    return features, slots


def standardised(means: Float[Tensor, "class feature"], similarity: Similarity) -> GlobalCentres:
    """Return the centres with what their similarities are standardised by, a block of centres at a time."""
    shift, spread = means.new_zeros(2, len(means))
    for block in (slice(first, first + TOGETHER) for first in range(0, len(means), TOGETHER)):
        similar = SIMILARITIES[similarity](means, means[block])
        shift[block], spread[block] = similar.mean(0), similar.std(0, correction=0)
    return GlobalCentres(means, similarity, shift, torch.where(spread > 0, spread, 1.0))


def _described(learner: Learner, params: Params, split: Split, per_class: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield features, float64, with the class of each, a batch at a time."""
    for classes, ids in _batches(split, per_class):
        with torch.no_grad():
            features = learner.features(params, inputs_of(split, classes, ids)).cpu().double()
        yield features, torch.tensor(classes).repeat_interleave(torch.tensor([len(each) for each in ids]))


def _batches(split: Split, per_class: int) -> Iterator[tuple[tuple[int, ...], Ids]]:
    """Yield classes and their examples, all classes mixed at random, in batches of nearly one size."""
    chosen = [_evenly(members, per_class) for members in split.members]
    owners = np.repeat(np.arange(len(split)), [len(each) for each in chosen])
    examples = np.concatenate(chosen)
    order = torch.randperm(len(owners), generator=generator(0, "centres", split.data_set, split.name)).numpy()
    for batch in np.array_split(order, max(1, -(-len(order) // TOGETHER))):
        classes = np.unique(owners[batch])
        yield tuple(classes.tolist()), tuple(examples[batch[owners[batch] == each]] for each in classes)


def _evenly(members: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    places = np.linspace(0, len(members) - 1, min(len(members), most)).round().astype(np.int64)
    return np.take(members, places)


class Alignment(NamedTuple):
    """How an episode's labels lie to the nearest global centres of its examples.

    Attributes:
        same: Share of queries whose nearest centre is the one nearest to most of their class's support examples, the
            first of those that tie.
        other: The same for the support examples of the other classes, mean over these.
        mutual: Adjusted mutual information of the nearest centre and the label, over all examples: 1 where one says
            the other, about 0 where chance would say as much.
    """

    same: float
    other: float
    mutual: float


def alignment(support: Int[Tensor, " support"], labels: Labels, query: Tensor, targets: Tensor) -> Alignment:
    """Measure how nearest centres align with labels.

    Args:
        support: The nearest centre of every support example.
        labels: Their slots.
        query: The nearest centre of every query.
        targets: Their slots.
    """
    from sklearn.metrics import adjusted_mutual_info_score

    slots = slots_of(labels)
    # bincount's first maximum, so that ties do not depend on the order of examples.
    usual = torch.stack([support[labels == slot].bincount().argmax() for slot in slots])
    hits, own = query[:, None] == usual[None], targets[:, None] == slots[None]
    mutual = adjusted_mutual_info_score(torch.cat([labels, targets]).numpy(), torch.cat([support, query]).numpy())
    return Alignment(hits[own].double().mean().item(), hits[~own].double().mean().item(), float(mutual))
