"""The axes of the family: what each member decides, apart from the numbers of its inner loop."""

import math
from dataclasses import dataclass
from typing import Literal, cast, get_args

from innerloop.errors import ConfigError, one_of
from innerloop.inner import LearnedRates, Rule, Start

Head = Literal["learned", "zero", "zeroing", "first", "shared", "prototypes", "ridge", "attention", "logistic"]
Order = Literal["second", "first", "implicit", "reptile", "joint", "entropy"]
OuterLoss = Literal["last", "every_step"]
Objective = Literal["query_loss", "contrastive", "gradient_penalty"]
# Heads that the support set makes, so that the head's own parameters stand unused.
MADE = ("prototypes", "ridge", "attention")
# What Entropy-SGD's inner loop has and no other.
LOCAL = ("averaging", "noise", "scoping", "remembers")
SWITCHES = ("interference", "coefficient_noise", "positives_only", "curvature")


@dataclass(frozen=True)
class Axes:
    """Where an algorithm stands on each axis.

    Attributes:
        adapts: What moves in the inner loop: `all`, the `head`, the `body` (all but the head), or names and patterns
            of parameters, separated by commas (`encoder.block4.*,head.*`).
        head: How the head starts, and what becomes of it between outer steps: `learned`; `zero` at the start, then
            learned; `zeroing`: zero at the start and again after every outer step (kao2022); `first`: put back to its
            first value after every outer step; `shared`: one row for all classes (UNICORN, ye2022); or made of the
            support set: `prototypes` (triantafillou2020), a `ridge` regression (bertinetto2019), or no head but
            `attention` over the support features (vinyals2016). `logistic` is for tests (`evaluation.head`).
        head_every: zeroing and first: only after every so many outer steps.
        order: How an episode becomes a meta-gradient: `second` differentiates through the inner loop, `first` holds
            inner gradients constant, `implicit` differentiates the inner loop's optimum (iMAML), `reptile` follows the
            adapted parameters, `joint` trains one classifier over all training classes, without tasks, `entropy` does
            so by following the mean of a noisy inner loop (Entropy-SGD).
        second_from: second: first order before this outer step (antoniou2019).
        rule: The inner optimizer: `sgd`, `momentum` or `adam`.
        learned_rates: Which inner rates are meta-learned: `none`, `one`, one a `layer`, a layer and step
            (`layer_step`: LSLR), or a `weight` (Meta-SGD).
        outer_loss: The query loss after the `last` inner step, or a mean over those after `every_step` (antoniou2019).
        last_from: every_step: the mean narrows to the last step alone, evenly until this outer step; 0: it stays.
        per_step_norms: Whether BatchNorm has a scale and shift of its own at every inner step (antoniou2019).
        proximal: Weight of half the squared distance from the start in the inner loss; iMAML's lambda, Entropy-SGD's
            gamma.
        cg_steps: implicit: steps of conjugate gradients.
        objective: What is followed: the `query_loss` after adaptation; to the encoder the `contrastive` loss it amounts
            to where the head alone adapts (kao2022; order first is its L_FO, second its L_SO); or what it amounts to
            at a small inner rate: the query loss before adaptation with a `gradient_penalty` (nichol2018).
        interference: contrastive: whether what the head before adaptation adds is part of it.
        coefficient_noise: contrastive: whether coefficients have their part that an even support output lacks.
        positives_only: contrastive: whether pairs of different classes are left out.
        curvature: contrastive: whether the second order's term that the paper leaves out is added.
        averaging: entropy: weight of the newest parameters in the running mean of the inner loop; 1 is the last.
        noise: entropy: size of the noise in the inner loop; 0 is none.
        scoping: entropy: by which share `proximal` grows with every outer step.
        remembers: entropy: whether an inner step looks through the head that the steps before it left, or through
            the one before all of them: the same loop without a memory of earlier minibatches.
    """

    adapts: str = "all"
    head: Head = "learned"
    head_every: int = 1
    order: Order = "second"
    second_from: int = 0
    rule: Rule = "sgd"
    learned_rates: LearnedRates = "none"
    outer_loss: OuterLoss = "last"
    last_from: int = 0
    per_step_norms: bool = False
    proximal: float = 0.0
    cg_steps: int = 5
    objective: Objective = "query_loss"
    interference: bool = True
    coefficient_noise: bool = True
    positives_only: bool = False
    curvature: bool = False
    averaging: float = 0.25
    noise: float = 1e-4
    scoping: float = 0.0
    remembers: bool = True

    def __post_init__(self) -> None:
        for name, known in (
            ("head", Head),
            ("order", Order),
            ("rule", Rule),
            ("learned_rates", LearnedRates),
            ("outer_loss", OuterLoss),
            ("objective", Objective),
        ):
            one_of(f"algorithm.{name}", getattr(self, name), get_args(known))
        for name, least in (("head_every", 1), ("second_from", 0), ("last_from", 0), ("cg_steps", 1)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise ConfigError(
                    f"expected algorithm.{name}, a whole number of at least {least}, got {value}; correct it"
                )
        if not (self.proximal >= 0 and math.isfinite(self.proximal)):
            raise ConfigError(
                f"expected a proximal weight of at least 0, got {self.proximal}; iMAML uses 0.5 to 2, Entropy-SGD 0.01"
            )
        if not 0 < self.averaging <= 1:
            raise ConfigError(
                f"expected algorithm.averaging above 0 and up to 1, got {self.averaging:g}; 0.25 is usual"
            )
        for name in ("noise", "scoping"):
            value = getattr(self, name)
            if not (value >= 0 and math.isfinite(value)):
                raise ConfigError(f"expected algorithm.{name} of at least 0, got {value:g}; 0.0001 is usual")
        self._refuse_senseless()

    @property
    def start(self) -> Start:
        """What stands in the place of the head when the inner loop begins."""
        return cast("Start", self.head) if self.head in MADE else "params"

    @property
    def needs_classes(self) -> bool:
        """Whether targets have to be classes, not real values."""
        contrastive = self.objective == "contrastive"
        return contrastive or self.is_joint or self.head in ("prototypes", "attention")

    @property
    def is_joint(self) -> bool:
        """Whether the head has a row for every training class, and a task is a draw of their examples."""
        return self.order in ("joint", "entropy")

    @property
    def draws(self) -> bool:
        """Whether the meta-gradient is random beyond what the network itself draws."""
        return self.order == "entropy" and self.noise > 0

    @property
    def curves(self) -> bool:
        """Whether the meta-gradient takes second derivatives of the network."""
        return self.order in ("second", "implicit") or self.objective == "gradient_penalty"

    def _refuse_senseless(self) -> None:
        """Refuse combinations that mean nothing, each with its reason."""
        differentiated = self.order in ("second", "first")
        contrastive, written_out = self.objective == "contrastive", self.objective != "query_loss"
        switched, local = (
            [name for name in names if getattr(self, name) != getattr(Axes, name)] for names in (SWITCHES, LOCAL)
        )
        for holds, expected, reason in (
            (
                self.second_from and self.order != "second",
                f"algorithm.order=second beside second_from, got {self.order}",
                "only then is there an order to switch to",
            ),
            (
                self.last_from and self.outer_loss != "every_step",
                f"algorithm.outer_loss=every_step beside last_from, got {self.outer_loss}",
                "only a mean over steps can narrow to the last",
            ),
            (
                self.head_every > 1 and self.head not in ("zeroing", "first"),
                f"algorithm.head=zeroing or first beside head_every, got {self.head}",
                "nothing else happens to the head between outer steps",
            ),
            (
                self.cg_steps != Axes.cg_steps and self.order != "implicit",
                f"order=implicit beside cg_steps, got {self.order}",
                "nothing else takes conjugate gradients",
            ),
            (
                self.learned_rates != "none" and not differentiated,
                f"fixed rates for order={self.order}, got learned_rates={self.learned_rates}",
                "its meta-gradient does not depend on the rates; leave learned_rates out",
            ),
            (
                self.outer_loss == "every_step" and not differentiated,
                f"outer_loss=last for order={self.order}, got every_step",
                "it looks at the end of the inner loop alone; use order first or second",
            ),
            (
                self.per_step_norms and not differentiated,
                f"no per_step_norms for order={self.order}, got them",
                "it has no gradient for one step's own parameters; use order first or second",
            ),
            (
                self.head in MADE and self.order in ("implicit", "reptile", "entropy"),
                f"another head for order={self.order}, got {self.head}",
                "it has no way through a head made of the support set; use order first or second",
            ),
            (
                self.head == "logistic",
                "another head in training, got logistic",
                "nothing can be differentiated through it; test with it by evaluation.head=logistic",
            ),
            (
                self.head == "attention" and self.learned_rates != "none",
                f"fixed rates with head=attention, got learned_rates={self.learned_rates}",
                "there is no head left to adapt",
            ),
            (
                self.order == "joint" and self.head not in MADE,
                f"head={', '.join(MADE[:-1])} or {MADE[-1]} for order=joint, got {self.head}",
                "the classes of a test have no row in the head that was trained",
            ),
            (
                self.order == "entropy" and (self.head == "shared" or self.adapts != "all" or self.rule != "sgd"),
                f"adapts=all, rule=sgd and a head of its own for order=entropy, got adapts={self.adapts}, "
                f"rule={self.rule}, head={self.head}",
                "it trains by its inner loop alone, which is plain descent",
            ),
            (
                local and self.order != "entropy",
                f"order=entropy beside {', '.join(local)}, got {self.order}",
                "no other inner loop is averaged or noisy",
            ),
            (
                self.order == "implicit" and not self.proximal > 0,
                f"a proximal weight above 0 for order=implicit, got {self.proximal:g}",
                "without it the optimum does not depend on the start; iMAML uses 0.5 to 2",
            ),
            (
                written_out and not differentiated,
                f"order=first or second with objective={self.objective}, got {self.order}",
                "only what these follow can be written out",
            ),
            (
                contrastive and self.adapts in ("all", "body"),
                f"adapts=head with objective=contrastive, got {self.adapts}",
                "its closed form holds the encoder still in the inner loop",
            ),
            (
                written_out and self.outer_loss != "last",
                f"outer_loss=last with objective={self.objective}, got {self.outer_loss}",
                "it is that of the last step, written out",
            ),
            (
                switched and not contrastive,
                f"objective=contrastive beside {', '.join(switched)}, got {self.objective}",
                "only a contrastive loss has terms to switch",
            ),
            (
                self.curvature and self.order != "second",
                f"order=second beside curvature, got {self.order}",
                "the first order holds support features constant",
            ),
        ):
            if holds:
                raise ConfigError(f"expected {expected}; {reason}")
