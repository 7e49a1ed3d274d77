"""What does an inner step's gradient contrast its examples with: batches before it, by way of the head?

A linear head that descends is its first value less what it was told of earlier features, so at step i, for features F_i
and residuals E_i = d loss / d logits, exactly and with the encoder moving meanwhile:

    d loss_i / d F_i = E_i head_0  +  sum over j < i of coefficients_ij F_j  +  rest_i
    coefficients_ij  = -inner_lr (1 - inner_lr pull)^(i-1-j) E_i E_j^T

The sum is a contrastive part: it draws an example to earlier ones of its class and drives it from those of others. The
first term is interference, of the head that the loop started from. The rest is noise that the loop added to the head.
Plain SGD (pull 0, any loop of several minibatches), Entropy-SGD, Reptile and MAML's query step are all of this form.

Source: THEORY H1 to H3; kao2022, equation 6, for a single step; chaudhari2017 for the pull.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from innerloop.algorithms import Algorithm
from innerloop.algorithms.entropy_sgd import pull, walk
from innerloop.algorithms.reptile import minibatches
from innerloop.data.episode import Episode, Examples
from innerloop.errors import ConfigError
from innerloop.inner import descend, final_gradient, loss_of
from innerloop.models import seeded
from innerloop.shapes import Params


class Look(NamedTuple):
    """One batch as an inner step sees it.

    Attributes:
        params: What its gradient is taken at.
        batch: Its examples.
        reference: What normalises them beside themselves; None for nothing.
    """

    params: Params
    batch: Examples
    reference: Tensor | None = None


class CrossBatch(NamedTuple):
    """The exact parts of one step's gradient at its features; their sum is autograd's.

    Attributes:
        coefficients: For every earlier step, the weight of its examples in these [example earlier]; negative attracts.
        contrast: Their sum over earlier features [example feature].
        interference: Of the head that the loop started from.
        rest: Of noise in the head.
    """

    coefficients: tuple[Tensor, ...]
    contrast: Tensor
    interference: Tensor
    rest: Tensor

    @property
    def whole(self) -> Tensor:
        """The gradient itself [example feature]."""
        return self.contrast + self.interference + self.rest


def looks(algorithm: Algorithm, params: Params, episode: Episode, step: int = 0) -> list[Look]:
    """Return the batches of one inner loop in turn, with the parameters that each is seen by.

    Reptile and Entropy-SGD cut the episode into minibatches, each of which trains the encoder. The others see their
    support set at every inner step, and at last their query set, which alone does.

    Raises:
        ConfigError: The head is not linear, or moves otherwise than by plain descent at one rate.
    """
    refuse(algorithm, params)
    if algorithm.order in ("reptile", "entropy"):
        batches = minibatches(episode, algorithm.inner.steps)
        if algorithm.order == "entropy":
            with seeded(0):
                seen = [place.looked for place in walk(algorithm, params, batches, step)]
        else:
            walked = descend(algorithm.learner, algorithm.inner, algorithm.names, params, batches)
            seen = [place.params for place in walked]
        return [Look(here, batch) for here, batch in zip(seen, batches, strict=False)]
    *before, adapted = algorithm.adapt(params, episode.support).params
    return [*(Look(here, episode.support) for here in before), Look(adapted, episode.query, episode.support.inputs)]


def refuse(algorithm: Algorithm, params: Params) -> None:
    """Refuse a learner whose head does not store features as the closed form has it.

    Raises:
        ConfigError: As in `looks`.
    """
    algorithm.learner.linear_head(params, "what the head remembers")
    axes = algorithm.axes
    others = [each for each in algorithm.inner.departures if not each.startswith("proximal")]
    others += [f"order={axes.order}"] if axes.order in ("joint", "implicit") else []
    others += ["outer_loss=every_step"] if axes.outer_loss != "last" else []
    others += ["objective=gradient_penalty"] if axes.objective == "gradient_penalty" else []
    if others:
        raise ConfigError(
            f"expected an inner loop of plain descent that the encoder is trained by, got {', '.join(others)}; for "
            "ordinary training explain an entropy_sgd run with averaging 1, proximal 0 and noise 0, which is plain SGD"
        )


def trains(algorithm: Algorithm, count: int) -> range:
    """Return which of an inner loop's steps say something to the encoder, of so many looks."""
    return range(count) if algorithm.order in ("reptile", "entropy") else range(count - 1, count)


def cross_batch(algorithm: Algorithm, looks: Sequence[Look], step: int = 0) -> list[CrossBatch]:
    """Split the gradient at the features of every batch, in float64.

    Args:
        algorithm: Whose inner loop it is.
        looks: Its batches in turn.
        step: The outer step, which decides the pull.
    """
    learner, inner = algorithm.learner, algorithm.inner
    moves = bool(algorithm.names & {f"{learner.head}.weight"})
    towards = pull(algorithm, step) if algorithm.order == "entropy" else inner.proximal
    kept = 1 - inner.lr * towards
    first = learner.linear_head(looks[0].params)[0].double()
    features: list[Tensor] = []
    residuals: list[Tensor] = []
    found = []
    for place, look in enumerate(looks):
        here, residual = features_and_residuals(algorithm, look)
        head = learner.linear_head(look.params)[0].double()
        remembers = moves and algorithm.axes.remembers
        coefficients = tuple(
            -inner.lr * kept ** (place - 1 - each) * residual @ earlier.T if remembers else here.new_zeros(0)
            for each, earlier in enumerate(residuals)
        )
        contrast = torch.zeros_like(here)
        if remembers:
            contrast = sum((each @ seen for each, seen in zip(coefficients, features, strict=True)), contrast)
        interference = residual @ first
        rest = residual @ head - interference - contrast
        found.append(CrossBatch(coefficients if remembers else (), contrast, interference, rest))
        features.append(here)
        residuals.append(residual)
    return found


def features_and_residuals(algorithm: Algorithm, look: Look) -> tuple[Tensor, Tensor]:
    """Return a batch's features [example feature] and the derivative of its loss by its logits [example way]."""
    learner = algorithm.learner
    with torch.no_grad():
        features = learner.features(look.params, look.batch.inputs, reference=look.reference).double()
        weight, bias = learner.linear_head(look.params)
        logits = features @ weight.double().T
        logits = logits if bias is None else logits + bias.double()
    loss = loss_of(algorithm.inner.loss)

    def loss_at(outputs: Params) -> tuple[Tensor, Tensor]:
        return loss(outputs["logits"], look.batch.targets), outputs["logits"]

    return features, final_gradient(loss_at, {"logits": logits})[0]["logits"]
