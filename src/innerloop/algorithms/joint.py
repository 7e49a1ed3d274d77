"""Ordinary training: one classifier over all training classes, with no task and no inner loop in its gradient.

    d/d params   L(params; support and query examples together, each with the number of its class)

An episode is a draw of examples and nothing more. What the classifier learned is tested by its features: the classes of
a test have no row in its head, and a head made of the support set takes its place.

Source: chen2019 (a closer look at few-shot classification), the Baseline; tian2020 for the logistic head at test.
Differs from the papers: examples come by classes of episodes, the optimizer and schedule are those of the recipe.
"""

from torch import Tensor

from innerloop.algorithms.algorithm import Algorithm, MetaGradient
from innerloop.data.episode import Episode, joined, require_classes
from innerloop.inner import accuracy, final_gradient, loss_of
from innerloop.shapes import Params, Scalar


def meta_gradient(algorithm: Algorithm, params: Params, episode: Episode, _step: int) -> MetaGradient:
    """Return the gradient of the loss on all examples; targets are numbers of training classes."""
    require_classes(episode.support, "to classify")
    inputs, targets = joined(episode)

    def loss_at(here: Params) -> tuple[Scalar, Tensor]:
        logits = algorithm.learner.logits(here, inputs)
        return loss_of(algorithm.inner.loss)(logits, targets), logits

    gradient, (loss, logits) = final_gradient(loss_at, params)
    return MetaGradient(gradient, loss, accuracy(logits, targets))
