"""What else could name the queries' classes, given the same features: classifiers made of the support set alone.

    inner_product, euclidean, cosine   the nearest class centroid
    nil                argmax over classes of the sum over its support of cosine(query, support)
    logistic           logistic regression, penalty |weight|^2 / (2 reach) beside the mean cross-entropy
    logistic_usual     the same with scikit-learn's usual C = 1 and a free bias
    ridge              ridge regression to one-hot rows, penalty 1 / (reach curvature)
    lda                linear discriminant analysis, the pooled covariance shrunk as Ledoit and Wolf do

`reach` is the sum of the inner rates over the inner steps. M steps at rate a from a zero head on features that stand
still are a logistic regression that was stopped early, which shrinks as a penalty of about 1 / (a M) does. A bias is a
weight on a feature that is 1, and is held back like all weights, since the inner loop holds it back so.
scikit-learn's C is then a M / support examples. Curvature is the loss's own: 2 / (support classes) for mse, and half of
that for cross-entropy where all classes are still alike.

What of a query lies outside the span of the support features moves no reading, so that all are computed within it.
Source: snell2017 (euclidean), raghu2020 (nil), bertinetto2019 (ridge), ledoit2004; THEORY A9, E4.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float, Int
from torch import Tensor

from innerloop.analysis.centroids import NEARNESS, class_means, nearest, slots_of
from innerloop.inner.logistic import ITERATIONS
from innerloop.inner.one_hot import one_hot
from innerloop.inner.ridge import regression
from innerloop.shapes import Features, Labels

Scores = Float[Tensor, "query class"]
Named = Int[Tensor, " query"]
USUAL = 1.0  # scikit-learn's C
SAME = 1e-12  # relative; examples that differ by less are alike
TOLERANCE = 1e-7  # of the gradient, per example


class Matching(NamedTuple):
    """What of an inner loop the readings match.

    Attributes:
        reach: The sum of its rates over its steps; 0 where the head does not move by plain gradient descent, and no
            penalty matches. Of a negative one the size counts.
        has_bias: Whether the head has a bias that adapts.
        squares: Whether the loss is mse.
    """

    reach: float
    has_bias: bool
    squares: bool


def read(support: Features, labels: Labels, query: Tensor, matching: Matching) -> Mapping[str, Named]:
    """Return the slot that each reading names for every query; `logistic` and `ridge` only where a penalty matches.

    Args:
        support: Support features.
        labels: Their slots, two or more of them.
        query: Query features [query feature].
        matching: What of the inner loop is matched.
    """
    slots = slots_of(labels)
    support, query = spanned(support.double(), query.double())
    named = {kind: nearest(kind, query, support, labels) for kind in NEARNESS}
    named["nil"] = slots[nil(support, labels, query).argmax(1)]
    if matching.reach:
        named["logistic"] = slots[logistic(support, labels, query, *matched(len(labels), matching)).argmax(1)]
    named["logistic_usual"] = slots[logistic(support, labels, query, USUAL).argmax(1)]
    if matching.reach:
        named["ridge"] = slots[ridge(support, labels, query, matching).argmax(1)]
    named["lda"] = slots[lda(support, labels, query).argmax(1)]
    return named


def matched(examples: int, matching: Matching) -> tuple[float, bool | None]:
    """Return scikit-learn's C, and whether there is a bias under the penalty, for `logistic`."""
    return abs(matching.reach) / examples, matching.has_bias


def spanned(support: Tensor, query: Tensor) -> tuple[Tensor, Tensor]:
    """Return both in coordinates of the support features' span, no more of them than there are support examples."""
    if len(support) >= support.shape[1]:
        return support, query
    basis = torch.linalg.svd(support, full_matrices=False)[2]
    return support @ basis.T, query @ basis.T


def nil(support: Features, labels: Labels, query: Tensor) -> Scores:
    """Return for every class the sum over its support of the cosine to the query."""
    cosines = F.normalize(query, dim=1) @ F.normalize(support, dim=1).T
    return cosines @ _hot(support, labels)


def logistic(support: Features, labels: Labels, query: Tensor, c: float, penalised: bool | None = None) -> Scores:
    """Return the logits of a multinomial logistic regression fitted by scikit-learn.

        minimise   c * (sum of the cross-entropy over support examples) + |weight|^2 / 2

    Args:
        support: [support feature], float64.
        labels: Their slots.
        query: [query feature].
        c: Above 0.
        penalised: Whether there is a bias under the same penalty; None for one that is free.
    """
    from sklearn.linear_model import LogisticRegression  # slow to import

    if penalised:
        support, query = (torch.cat([each, torch.ones_like(each[:, :1])], 1) for each in (support, query))
    # In features of size 1 the same problem, whatever the size was: a wild rate makes numbers whose squares overflow.
    size = support.abs().max().item() or 1.0
    support, query, c = support / size, query / size, c * size**2
    # Of two classes scikit-learn fits one row, the difference of two, whose penalty is twice that of both.
    is_binary = len(slots_of(labels)) == 2
    fitted = LogisticRegression(
        C=min(c * (2 if is_binary else 1), 1e300), fit_intercept=penalised is None, tol=TOLERANCE, max_iter=ITERATIONS
    ).fit(support.numpy(), labels.numpy())
    scores = torch.from_numpy(np.atleast_1d(fitted.decision_function(query.numpy())))
    return torch.stack([-scores / 2, scores / 2], 1) if is_binary else scores


def ridge(support: Features, labels: Labels, query: Tensor, matching: Matching) -> Scores:
    """Return what a ridge regression to one-hot rows says, with the penalty that matches the inner loop."""
    hot = _hot(support, labels)
    curvature = (2 if matching.squares else 1) / hot.numel()
    if matching.has_bias:
        support, query = (torch.cat([each, torch.ones_like(each[:, :1])], 1) for each in (support, query))
    return query @ regression(support, hot, support.new_tensor(1 / (abs(matching.reach) * curvature)))


def lda(support: Features, labels: Labels, query: Tensor) -> Scores:
    """Return the discriminants of classes that share one covariance and are equally frequent.

    With one example a class there is no scatter within classes: all of the covariance is what it is shrunk to, a
    multiple of the identity, and the nearest centroid by Euclidean distance is what remains.
    """
    from sklearn.covariance import ledoit_wolf

    slots, means = class_means(support, labels)
    scatter = support - means[torch.searchsorted(slots, labels)]
    if scatter.abs().max() <= SAME * support.abs().max():
        return NEARNESS["euclidean"](query, means)
    # Only up to a factor does the covariance matter; a size of 1 keeps its squares in range.
    covariance = torch.from_numpy(ledoit_wolf((scatter / scatter.abs().max()).numpy(), assume_centered=True)[0])
    rows = torch.linalg.lstsq(covariance, means.T, driver="gelsd").solution
    scores: Tensor = query @ rows - (means.T * rows).sum(0) / 2
    return scores


def _hot(support: Tensor, labels: Labels) -> Float[Tensor, "support class"]:
    slots = slots_of(labels)
    return one_hot(torch.searchsorted(slots, labels), len(slots), support.dtype)
