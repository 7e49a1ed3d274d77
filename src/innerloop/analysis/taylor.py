"""What does a small inner rate do to MAML's objective? Its terms by powers of the rate, for one episode.

    L_query(adapted)  =  L_query  -  steps rate g_query . g_support                                         penalty
                      +  rate^2 / 2 (steps^2 g_support . H_query g_support                                  curvature
                                     + steps (steps - 1) g_query . H_support g_support)
                      +  remainder, of the order of rate^3

    meta-gradient, one step     g_query  -  rate (H_query g_support  +  H_support g_query)  +  remainder    second order
                                g_query  -  rate  H_query g_support                         +  remainder    first order

Everything is taken at the parameters before adaptation, with slopes g by the parameters that adapt and second
derivatives H by those times a vector alone. Where support and query are drawn alike, g_query . g_support is an unbiased
estimate of the squared norm of the task's mean gradient.

Source: nichol2018, section 5; THEORY F1 to F4. Differs from the paper: terms of the loss and of more steps are ours.
"""

from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
from torch import Tensor

from innerloop.algorithms import Algorithm
from innerloop.analysis.contrast import LossName, Order, residuals
from innerloop.data.episode import Episode
from innerloop.errors import ConfigError
from innerloop.inner import final_gradient, slope_and_product
from innerloop.inner.curvature import Product
from innerloop.params import add, dot, scaled, select, zeroed
from innerloop.shapes import Params


class LossTerms(NamedTuple):
    """The change of the query loss by adaptation and its parts, in the loss's units.

    Attributes:
        change: What it is; it has to be measured.
        penalty: Its part of the first power of the rate.
        curvature: That of the second.
    """

    change: float
    penalty: float
    curvature: float

    @property
    def remainder(self) -> float:
        """What both parts leave over."""
        return self.change - self.penalty - self.curvature


@dataclass(frozen=True, eq=False)
class Expansion:
    """One episode's slopes and second derivatives at the parameters before adaptation.

    Attributes:
        algorithm: Whose inner loop.
        params: The parameters before adaptation.
        episode: The task.
        loss: The query loss there.
        query_slope: Its gradient by all parameters.
        support_slope: The support loss's gradient by those that adapt.
        query_turned: The query loss's second derivatives times the support slope, for all parameters.
        support_turned: The support loss's times the query slope.
        support_product: What multiplies any vector by the support loss's second derivatives.
    """

    algorithm: Algorithm
    params: Params
    episode: Episode
    loss: float
    query_slope: Params
    support_slope: Params
    query_turned: Params
    support_turned: Params
    support_product: Product

    @property
    def product(self) -> float:
        """The inner product of both slopes: what a small rate rewards, and a negative one penalises."""
        return dot(self.support_slope, self.query_slope).item()

    def terms(self, rate: float, loss: float, steps: int = 1) -> LossTerms:
        """Return the terms of the change to `loss`, the query loss after so many inner steps at this rate."""
        by_query = dot(self.support_slope, self.query_turned).item()
        by_support = dot(self.support_slope, self.support_turned).item()
        return LossTerms(
            loss - self.loss,
            -steps * rate * self.product,
            rate * rate / 2 * (steps**2 * by_query + steps * (steps - 1) * by_support),
        )

    def penalty(self, rate: float, order: Order) -> Params:
        """Return the meta-gradient's part of the first power of the rate."""
        both = self.query_turned if order == "first" else add(self.query_turned, self.support_turned)
        return scaled(both, -rate)

    def one_step(self, rate: float) -> tuple[float, dict[Order, Params]]:
        """Return the query loss after one inner step at this rate, and its exact meta-gradient of either order."""
        adapted = add(self.params, self.support_slope, -rate)
        first, (loss, _) = final_gradient(lambda here: self.algorithm.query_loss(here, self.episode), adapted)
        turned = self.support_product(select(first, self.algorithm.names))
        return loss.item(), {"first": first, "second": add(first, turned, -rate)}

    def loss_after(self, rate: float, steps: int) -> float:
        """Return the query loss after so many inner steps at this rate."""
        adapted = self.algorithm.with_inner(lr=rate, steps=steps).adapted(self.params, self.episode.support)
        with torch.no_grad():
            return self.algorithm.query_loss(adapted, self.episode)[0].item()


def expanded(algorithm: Algorithm, params: Params, episode: Episode) -> Expansion:
    """Return one episode's expansion at `params`, in float64: high terms are small differences of large losses.

    Raises:
        ConfigError: The inner loop is not plain gradient descent, or the loss is the user's own.
    """
    algorithm.require_plain("an expansion in the inner rate", of_head=False)
    params = {name: value.detach().double() for name, value in params.items()}

    def query_loss(here: Params) -> Tensor:
        return algorithm.query_loss(here, episode)[0]

    def support_loss(here: Params) -> Tensor:
        return algorithm.support_loss(here, episode.support)[0]

    query, query_product = slope_and_product(query_loss, params, params)
    support, support_product = slope_and_product(support_loss, params, algorithm.names)
    with torch.no_grad():
        loss = query_loss(params).item()
    along = {**zeroed(params, params), **support}
    return Expansion(
        algorithm,
        params,
        episode,
        loss,
        query,
        support,
        query_product(along),
        support_product(select(query, algorithm.names)),
        support_product,
    )


def contrastive_product(algorithm: Algorithm, params: Params, episode: Episode) -> float | None:
    """Return the head's part of the product of slopes as a sum over pairs of a query and a support example (THEORY F7).

        sum over q, s of  (residual_q . residual_s) (query_q . support_s + 1 where a bias adapts)

    These are the coefficients of a contrastive loss over the rate, before the inner step: of one class they attract.

    Returns:
        None where the head is not linear, does not adapt, or there are no classes.
    """
    learner = algorithm.learner
    weight_name, bias_name = f"{learner.head}.weight", f"{learner.head}.bias"
    if episode.support.targets.is_floating_point() or not algorithm.names & {weight_name, bias_name}:
        return None
    params = {name: value.detach().double() for name, value in params.items()}
    try:
        weight, bias = learner.linear_head(params)
    except ConfigError:
        return None
    weight, shift = weight.double(), 0.0 if bias is None else bias.double()
    loss = cast("LossName", algorithm.inner.loss)
    with torch.no_grad():
        support = learner.features(params, episode.support.inputs)
        query = learner.features(params, episode.query.inputs, reference=episode.support.inputs)
        asked = residuals(query @ weight.T + shift, episode.query.targets, loss)
        shown = residuals(support @ weight.T + shift, episode.support.targets, loss)
        pairs = query @ support.T * (weight_name in algorithm.names) + (bias_name in algorithm.names)
        return ((asked @ shown.T) * pairs).sum().item()
