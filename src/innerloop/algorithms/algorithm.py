"""The contract: an algorithm adapts to a support set and turns an episode into a meta-gradient.

A frozen value with no task axis, no state and no optimizer. Its axes can be read, so that an engine or an analysis
can decide on them.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from torch import Tensor

from innerloop.data.episode import Episode, Examples
from innerloop.inner import LOSSES, InnerLoop, Trajectory, adapt
from innerloop.models import Learner
from innerloop.shapes import Params, Scalar

Adapts = Literal["all", "head"]
Order = Literal["second", "first"]


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


@dataclass(frozen=True, eq=False)
class Algorithm:
    """One member of the MAML family.

    Attributes:
        learner: Encoder and head.
        inner: The inner loop of training.
        adapts: What moves in the inner loop: `all` parameters or the `head` alone.
        order: `second` differentiates through the inner loop, `first` holds it constant.
        rule: How an episode becomes a meta-gradient; given by the order.
    """

    learner: Learner
    inner: InnerLoop
    adapts: Adapts
    order: Order
    rule: Callable[["Algorithm", Params, Episode], MetaGradient]

    def adapt(
        self, params: Params, support: Examples, differentiable: bool = False, weights: Tensor | None = None
    ) -> Trajectory:
        """Run the inner loop from `params` on `support`; say so if the trajectory is to be differentiated through.

        Args:
            params: Where the inner loop starts.
            support: Examples to adapt on.
            differentiable: Whether somebody will differentiate through the trajectory.
            weights: How much each support example's loss counts [example]; all alike when None.
        """
        names = self.learner.head_names if self.adapts == "head" else params.keys()
        return adapt(self.learner, self.inner, names, params, support, differentiable, weights)

    def query_loss(self, params: Params, episode: Episode) -> tuple[Scalar, Tensor]:
        """Return the loss of `params` on the query set as they are, and the logits."""
        logits = self.learner.logits(params, episode.query.inputs, reference=episode.support.inputs)
        return LOSSES[self.inner.loss](logits, episode.query.targets), logits

    def meta_gradient(self, params: Params, episode: Episode) -> MetaGradient:
        """Return what the outer optimizer is to follow for this episode."""
        return self.rule(self, params, episode)

    def with_inner(self, **changes: float | int | str) -> "Algorithm":
        """Return the same algorithm with another inner rate, number of steps or loss."""
        return replace(self, inner=replace(self.inner, **changes))  # type: ignore[arg-type]
