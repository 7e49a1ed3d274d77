"""Algorithms: the MAML family as registry lines over two axes, what adapts and the order of the meta-gradient."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, get_args

from innerloop.algorithms import fomaml, maml
from innerloop.algorithms.algorithm import Adapts, Algorithm, MetaGradient, Order
from innerloop.data.episode import Episode
from innerloop.errors import one_of, unknown_name
from innerloop.inner import InnerLoop
from innerloop.models import Learner
from innerloop.shapes import Params

__all__ = ["ALGORITHMS", "Algorithm", "AlgorithmConfig", "Axes", "MetaGradient", "build"]


class Axes(NamedTuple):
    """Where an algorithm stands on each axis of the family."""

    adapts: Adapts
    order: Order


ALGORITHMS: Mapping[str, Axes] = {
    "maml": Axes(adapts="all", order="second"),
    "fomaml": Axes(adapts="all", order="first"),
    "anil": Axes(adapts="head", order="second"),
}

RULES: Mapping[Order, Callable[[Algorithm, Params, Episode], MetaGradient]] = {
    "second": maml.meta_gradient,
    "first": fomaml.meta_gradient,
}


@dataclass(frozen=True)
class AlgorithmConfig:
    """A named algorithm, with any of its axes moved.

    Attributes:
        name: `maml`, `fomaml` or `anil` (raghu2020: only the head adapts).
        adapts: `all` or `head`; by default the named algorithm's.
        order: `second` or `first`; by default the named algorithm's.
    """

    name: str = "fomaml"
    adapts: Adapts | None = None
    order: Order | None = None

    def __post_init__(self) -> None:
        if self.name not in ALGORITHMS:
            raise unknown_name("algorithm", self.name, ALGORITHMS)
        for name, value, known in (("adapts", self.adapts, Adapts), ("order", self.order, Order)):
            if value is not None:
                one_of(f"algorithm.{name}", value, get_args(known))

    @property
    def axes(self) -> Axes:
        """The named algorithm's axes, with the changes asked for."""
        named = ALGORITHMS[self.name]
        return Axes(self.adapts or named.adapts, self.order or named.order)


def build(config: AlgorithmConfig, learner: Learner, inner: InnerLoop) -> Algorithm:
    """Bind a learner and an inner loop into an algorithm."""
    adapts, order = config.axes
    return Algorithm(learner, inner, adapts, order, RULES[order])
