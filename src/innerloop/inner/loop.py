"""What an inner loop is: its rates, its rule, its loss, and how the head starts; a frozen value."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from innerloop.errors import ConfigError, one_of, unknown_name
from innerloop.inner.loss import LOSSES, Loss

Rule = Literal["sgd", "momentum", "adam"]
LearnedRates = Literal["none", "one", "layer", "layer_step", "weight"]
Start = Literal["params", "zero", "prototypes", "ridge", "logistic", "attention"]


@dataclass(frozen=True)
class InnerLoop:
    """How a learner adapts to a support set.

    Attributes:
        lr: Learning rate of the inner steps, of any sign; 0 leaves the parameters as they are. Where rates are
            learned, the value they begin with.
        steps: How many inner steps, 0 or more.
        loss: `cross_entropy`, `mse`, or a function (outputs, targets) -> scalar; the outer loop minimises the same.
        lr_of: Rates of their own for parameters whose name fits a pattern (`{"head.*": 0.4}`), one rate or one a step
            (later steps use the last); the first pattern that fits counts.
        rule: `sgd`, `momentum` or `adam`, all differentiable.
        momentum: momentum: how much of the last direction is kept.
        betas: adam: how much of the mean and of the mean square is kept.
        learned_rates: Which rates are meta-learned: `none`, `one` for all, one a `layer` (parameter tensor), one a
            layer and step (`layer_step`), or one a `weight`.
        start: What the head starts from: its `params` as they are, `zero`, or what is made of the support set:
            `prototypes`, `ridge` or `logistic` (for tests) regression, or `attention` instead of a head.
        per_step_norms: Whether BatchNorm has a scale and shift of its own, meta-learned, at every inner step.
        proximal: Weight of half the squared distance from the start, added to the support loss; iMAML's lambda.
    """

    lr: float = 0.4
    steps: int = 1
    loss: str | Loss = "cross_entropy"
    lr_of: Mapping[str, float | tuple[float, ...]] = field(default_factory=dict)
    rule: Rule = "sgd"
    momentum: float = 0.9
    betas: tuple[float, float] = (0.9, 0.999)
    learned_rates: LearnedRates = "none"
    start: Start = "params"
    per_step_norms: bool = False
    proximal: float = 0.0

    def __post_init__(self) -> None:
        if isinstance(self.loss, str) and self.loss not in LOSSES:
            raise unknown_name("loss", self.loss, LOSSES)
        one_of("inner.rule", self.rule, get_args(Rule))
        one_of("inner.learned_rates", self.learned_rates, get_args(LearnedRates))
        one_of("inner.start", self.start, get_args(Start))
        if not isinstance(self.steps, int):
            raise ConfigError(f"expected a whole number of inner steps, got {self.steps}; 1 to 10 are usual")
        if self.steps < 0:
            raise ConfigError(f"expected inner steps of at least 0, got {self.steps}; ask for 1 or more to adapt")
        rates = [self.lr]
        for own in self.lr_of.values():
            rates += own if isinstance(own, tuple) else [own]
        for rate in rates:
            if not math.isfinite(rate):
                raise ConfigError(f"expected a finite inner learning rate, got {rate}; the papers use 0.01 to 0.4")
        if any(own == () for own in self.lr_of.values()):
            raise ConfigError("expected a rate or one a step in inner.lr_of, got an empty list; give a rate")
        for name, share in (("momentum", self.momentum), ("betas", self.betas[0]), ("betas", self.betas[1])):
            if not 0 <= share < 1:
                raise ConfigError(f"expected inner.{name} from 0 to below 1, got {share}; 0.9 is usual")
        if not (self.proximal >= 0 and math.isfinite(self.proximal)):
            raise ConfigError(
                f"expected a proximal weight of at least 0, got {self.proximal}; iMAML uses 0.5 to 2, Entropy-SGD 0.01"
            )

    @property
    def is_plain(self) -> bool:
        """Whether a step is `lr` times the gradient for every parameter, from the parameters as they are."""
        return not self.departures

    @property
    def departures(self) -> list[str]:
        """What makes it other than plain: `rule=adam` and so on."""
        plain = {"rule": "sgd", "learned_rates": "none", "lr_of": {}, "start": "params", "per_step_norms": False}
        own = {name: getattr(self, name) for name in (*plain, "proximal")}
        return [f"{name}={value}" for name, value in own.items() if value != {**plain, "proximal": 0}[name]]

    @property
    def loss_name(self) -> str:
        """The loss as a reader knows it."""
        return self.loss if isinstance(self.loss, str) else getattr(self.loss, "__name__", "a loss of the user's")
