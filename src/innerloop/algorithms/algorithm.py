"""The contract: an algorithm adapts to a support set and turns an episode into a meta-gradient.

A frozen value with no task axis, no state and no optimizer. Its axes can be read, so that an engine or an analysis
can decide on them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from torch import Tensor

from innerloop.algorithms.axes import Axes, Order
from innerloop.algorithms.heads import few_rows, tied_gradient, tied_head
from innerloop.data.episode import Episode, Examples, require_classes
from innerloop.errors import ConfigError
from innerloop.inner import (
    InnerLoop,
    Trajectory,
    adapt,
    attended,
    descend,
    initial_norms,
    initial_rates,
    initial_ridge,
    loss_of,
    refuse_start,
)
from innerloop.models import Learner
from innerloop.models.randomness import seeded
from innerloop.params import zeroed
from innerloop.shapes import Params, Scalar


class MetaGradient(NamedTuple):
    """What one episode says to the outer loop.

    Attributes:
        gradient: Keyed and shaped like the parameters.
        loss: Query loss after adaptation, in nats for cross-entropy.
        accuracy: Share of right query predictions after adaptation, in [0, 1].
    """

    gradient: Params
    loss: Tensor
    accuracy: Tensor


Rule = Callable[["Algorithm", Params, Episode, int], MetaGradient]


@dataclass(frozen=True, eq=False)
class Algorithm:
    """One member of the MAML family.

    Attributes:
        learner: Encoder and head.
        inner: The inner loop of training.
        axes: Where it stands on each axis.
        names: The parameters that move in the inner loop.
        rules: How each order turns (algorithm, params, episode, outer step) into a meta-gradient.
    """

    learner: Learner
    inner: InnerLoop
    axes: Axes
    names: frozenset[str]
    rules: Mapping[Order, Rule]

    def __post_init__(self) -> None:
        if self.inner.start != "attention":
            return
        if self.inner.steps:
            raise ConfigError(
                f"expected 0 inner steps with attention instead of a head, got {self.inner.steps}; there is no head "
                "to adapt, so set inner.steps (at test evaluation.inner_steps) to 0"
            )
        if self.inner.loss == "mse":
            raise ConfigError(
                "expected inner.loss=cross_entropy with attention instead of a head, got mse; its outputs are "
                "logarithms of probabilities"
            )

    @property
    def adapts(self) -> str:
        """What moves in the inner loop: `all`, `head`, `body`, or patterns."""
        return self.axes.adapts

    @property
    def order(self) -> Order:
        """How an episode becomes a meta-gradient."""
        return self.axes.order

    def initial_params(self) -> Params:
        """Return all that is meta-learned, as it begins: the learner's parameters, learned rates, and so on."""
        params = self.learner.initial_params()
        if self.axes.head in ("zero", "zeroing"):
            params = zeroed(params, self.learner.head_names)
        elif self.axes.head == "shared":
            params = tied_head(self.learner, params)
        rates = initial_rates(self.inner, params, self.names)
        ridge = initial_ridge(params) if self.axes.head == "ridge" else {}
        return {**params, **initial_norms(self.learner, self.inner, params), **rates, **ridge}

    def adapt(
        self, params: Params, support: Examples, differentiable: bool = False, weights: Tensor | None = None
    ) -> Trajectory:
        """Run the inner loop from `params` on `support`; say so if its gradients are to be differentiated.

        Args:
            params: Where the inner loop starts.
            support: Examples to adapt on.
            differentiable: Whether somebody will differentiate through the inner gradients.
            weights: How much each support example's loss counts [example]; all alike when None.
        """
        start = self._for_task(params, support)
        return adapt(self.learner, self.inner, self.names, start, support, differentiable, weights)

    def adapted(self, params: Params, *supports: Examples) -> Params:
        """Return the parameters after the inner loop alone, in memory that does not grow with its steps.

        Args:
            params: Where the inner loop starts.
            supports: The examples of each step in turn, from the first again after the last.
        """
        here = self._for_task(params, supports[0])
        for position in descend(self.learner, self.inner, self.names, here, supports):
            here = position.params
        return here

    def query_loss(self, params: Params, episode: Episode) -> tuple[Scalar, Tensor]:
        """Return the loss of `params` on the query set as they are, and the logits."""
        logits = self._outputs(params, episode)
        return loss_of(self.inner.loss)(logits, episode.query.targets), logits

    def support_loss(self, params: Params, support: Examples) -> tuple[Scalar, Tensor]:
        """Return the loss of `params` on the support set as they are, and the logits."""
        logits = self.learner.logits(params, support.inputs)
        return loss_of(self.inner.loss)(logits, support.targets), logits

    def meta_gradient(self, params: Params, episode: Episode, step: int = 0, seed: int = 0) -> MetaGradient:
        """Return what the outer optimizer is to follow for this episode.

        Args:
            params: The meta-parameters.
            episode: One task.
            step: The outer step, from 0.
            seed: What dropout in the learner draws from; another for every task and step.
        """
        with seeded(seed):
            found = self.rules[self.order_at(step)](self, params, episode, step)
        if self.axes.head != "shared":
            return found
        return found._replace(gradient=tied_gradient(self.learner, found.gradient))

    def order_at(self, step: int) -> Order:
        """Return the order of an outer step, which may begin as first and go over to second."""
        return "first" if step < self.axes.second_from else self.axes.order

    def with_inner(self, **changes: Any) -> "Algorithm":
        """Return the same algorithm with another inner rate, number of steps or loss.

        Raises:
            ConfigError: A rate for an algorithm that has learned its own.
        """
        if "lr" in changes and self.inner.learned_rates != "none":
            raise ConfigError(
                f"expected no inner_lr where rates are learned ({self.inner.learned_rates}), got {changes['lr']:g}; "
                "leave it out"
            )
        if "lr" in changes and self.inner.lr_of:
            raise ConfigError(
                f"expected no inner_lr beside inner.lr_of, got {changes['lr']:g}; leave it out, as those rates hold at "
                "the test too"
            )
        if "start" in changes:
            refuse_start(self.learner, changes["start"])
        return replace(self, inner=replace(self.inner, **changes))

    def with_order(self, order: Order) -> "Algorithm":
        """Return the same algorithm with another order of the meta-gradient from the first outer step on."""
        curvature = self.axes.curvature and order == "second"
        return replace(self, axes=replace(self.axes, order=order, second_from=0, curvature=curvature))

    def require_plain(self, what: str, of_head: bool = True) -> None:
        """Refuse what the closed forms of the contrastive view, and expansions in the rate, do not cover.

        Args:
            what: Who asks, for the message.
            of_head: Whether the head has to adapt.

        Raises:
            ConfigError: The inner loop is not gradient descent at one rate (that moves the head, if asked for), or
                the loss is the user's own, or the order is neither first nor second.
        """
        for holds, got in (
            (not self.inner.is_plain, ", ".join(self.inner.departures)),
            (
                of_head and not self.names & self.learner.head_names,
                f"a head that does not adapt (adapts={self.adapts})",
            ),
            (not isinstance(self.inner.loss, str), f"the loss '{self.inner.loss_name}'"),
            (self.order not in ("first", "second"), f"the order '{self.order}'"),
        ):
            if holds:
                descent = "plain gradient descent of the head" if of_head else "plain gradient descent"
                raise ConfigError(
                    f"expected {descent} at one fixed rate for {what}, got {got}; do without one of the two"
                )

    def _outputs(self, params: Params, episode: Episode) -> Tensor:
        support, query = episode
        if self.inner.start != "attention":
            return self.learner.logits(params, query.inputs, reference=support.inputs)
        require_classes(support, "to attend to")
        features = self.learner.features(params, query.inputs, reference=support.inputs)
        rows = len(self.learner.linear_head(params)[0])
        return attended(self.learner.features(params, support.inputs), support.targets, features, rows)

    def _for_task(self, params: Params, support: Examples) -> Params:
        """Return the parameters with rows of the task's own, where those of the head belong to all training classes."""
        return few_rows(self.learner, params, support) if self.axes.is_joint else params
