"""Algorithms: the MAML family as registry lines over a few axes."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import NamedTuple

from innerloop.algorithms import contrastive, entropy_sgd, fomaml, gradient_penalty, imaml, joint, maml, reptile
from innerloop.algorithms.adapting import adapting_names
from innerloop.algorithms.algorithm import Algorithm, MetaGradient, Rule
from innerloop.algorithms.axes import Axes, Head, Objective, Order, OuterLoss
from innerloop.errors import ConfigError, unknown_name
from innerloop.inner import InnerLoop, LearnedRates, refuse_start
from innerloop.inner import Rule as InnerRule
from innerloop.models import Learner

__all__ = [
    "ALGORITHMS",
    "RULES",
    "Algorithm",
    "AlgorithmConfig",
    "Axes",
    "Head",
    "MetaGradient",
    "Order",
    "Preset",
    "build",
]


class Preset(NamedTuple):
    """A named member of the family.

    Attributes:
        axes: Where it stands.
        lr: Inner rate it is usually trained with, on images.
        steps: Inner steps, likewise.
        source: Citation key and place.
    """

    axes: Axes
    lr: float
    steps: int
    source: str


ALGORITHMS: Mapping[str, Preset] = {
    "maml": Preset(Axes(), 0.4, 1, "finn2017, equation 1"),
    "fomaml": Preset(Axes(order="first"), 0.4, 1, "finn2017, section 5.2"),
    "anil": Preset(Axes(adapts="head"), 0.4, 1, "raghu2020, section 4"),
    "boil": Preset(Axes(adapts="body"), 0.4, 1, "oh2021, section 3"),
    "zeroing": Preset(Axes(head="zeroing"), 0.4, 1, "kao2022, section 4"),
    "reptile": Preset(Axes(order="reptile"), 0.1, 5, "nichol2018, algorithm 1"),
    "meta_sgd": Preset(Axes(learned_rates="weight"), 0.1, 1, "li2017, algorithm 1"),
    "maml_pp": Preset(
        Axes(learned_rates="layer_step", outer_loss="every_step", per_step_norms=True),
        0.1,
        5,
        "antoniou2019, section 4",
    ),
    "imaml": Preset(Axes(order="implicit", proximal=2.0), 0.1, 16, "rajeswaran2019, algorithm 2"),
    "unicorn": Preset(Axes(head="shared"), 0.1, 5, "ye2022, section 4"),
    "protomaml": Preset(Axes(head="prototypes"), 0.1, 5, "triantafillou2020, section 3"),
    "protonet": Preset(Axes(head="prototypes"), 0.1, 0, "snell2017, algorithm 1"),
    "matchingnet": Preset(Axes(head="attention"), 0.1, 0, "vinyals2016, section 2.1"),
    "r2d2": Preset(Axes(head="ridge"), 0.1, 0, "bertinetto2019, section 3.2"),
    "pretrained": Preset(Axes(adapts="head", head="prototypes", order="joint"), 0.1, 0, "chen2019, section 3.1"),
    "entropy_sgd": Preset(Axes(order="entropy", proximal=0.01), 0.1, 5, "chaudhari2017, algorithm 1"),
    "contrastive_fo": Preset(
        Axes(adapts="head", order="first", objective="contrastive"), 0.4, 1, "kao2022, equation 7"
    ),
    "contrastive_so": Preset(Axes(adapts="head", objective="contrastive"), 0.4, 1, "kao2022, equations 8 and 10"),
    "gradient_penalty": Preset(Axes(objective="gradient_penalty"), 0.1, 1, "nichol2018, section 5"),
}

RULES: Mapping[Order, Rule] = {
    "second": maml.meta_gradient,
    "first": fomaml.meta_gradient,
    "implicit": imaml.meta_gradient,
    "reptile": reptile.meta_gradient,
    "joint": joint.meta_gradient,
    "entropy": entropy_sgd.meta_gradient,
}

OBJECTIVES: Mapping[Objective, Mapping[Order, Rule]] = {
    "query_loss": RULES,
    "contrastive": {"second": contrastive.meta_gradient, "first": contrastive.meta_gradient},
    "gradient_penalty": {"second": gradient_penalty.meta_gradient, "first": gradient_penalty.meta_gradient},
}


@dataclass(frozen=True)
class AlgorithmConfig:
    """A named algorithm, with any of its axes moved; what is not given is the named algorithm's.

    Attributes:
        name: A member of the family, as in `ALGORITHMS`.
        adapts: What moves in the inner loop: `all`, the `head`, the `body`, or names and patterns of parameters,
            separated by commas (`encoder.block4.*,head.*`).
        head: `learned`, `zero` (once), `zeroing` (the zeroing trick: zero again after every outer step), `first` (put
            back to its first value), `shared` (one row for all classes), or made of the support set: `prototypes`, a
            `ridge` regression, or `attention` instead of a head.
        head_every: zeroing and first: only after every so many outer steps.
        order: `second`, `first`, `implicit`, `reptile`, or one classifier over all training classes: `joint`, or
            `entropy` (Entropy-SGD).
        second_from: second: first order before this outer step.
        rule: Inner optimizer: `sgd`, `momentum` or `adam`.
        learned_rates: Inner rates that are meta-learned: `none`, `one`, `layer`, `layer_step` or `weight`.
        outer_loss: Query loss after the `last` inner step or after `every_step`.
        last_from: every_step: narrows to the last step until this outer step.
        per_step_norms: BatchNorm's scale and shift of their own at every inner step.
        proximal: Weight of half the squared distance from the start in the inner loss; iMAML's lambda, Entropy-SGD's
            gamma.
        cg_steps: implicit: steps of conjugate gradients.
        objective: The `query_loss`, the `contrastive` loss it amounts to where the head alone adapts, or the
            `gradient_penalty` it amounts to at a small inner rate.
        interference: contrastive: whether what the head before adaptation adds is part of it.
        coefficient_noise: contrastive: whether coefficients have their part that an even support output lacks.
        positives_only: contrastive: whether pairs of different classes are left out.
        curvature: contrastive: whether the second order's term that the paper leaves out is added.
        averaging: entropy: weight of the newest parameters in the running mean of the inner loop; 1 is the last.
        noise: entropy: size of the noise in the inner loop; 0 is none.
        scoping: entropy: by which share `proximal` grows with every outer step.
        remembers: entropy: whether an inner step looks through the head that the steps before it left, or through
            the one before all of them.
    """

    name: str = "fomaml"
    adapts: str | None = None
    head: Head | None = None
    head_every: int | None = None
    order: Order | None = None
    second_from: int | None = None
    rule: InnerRule | None = None
    learned_rates: LearnedRates | None = None
    outer_loss: OuterLoss | None = None
    last_from: int | None = None
    per_step_norms: bool | None = None
    proximal: float | None = None
    cg_steps: int | None = None
    objective: Objective | None = None
    interference: bool | None = None
    coefficient_noise: bool | None = None
    positives_only: bool | None = None
    curvature: bool | None = None
    averaging: float | None = None
    noise: float | None = None
    scoping: float | None = None
    remembers: bool | None = None

    def __post_init__(self) -> None:
        if self.name not in ALGORITHMS:
            raise unknown_name("algorithm", self.name, ALGORITHMS)
        _ = self.axes

    @property
    def preset(self) -> Preset:
        """The named algorithm."""
        return ALGORITHMS[self.name]

    @property
    def axes(self) -> Axes:
        """The named algorithm's axes, with the changes asked for.

        Raises:
            ConfigError: Together they mean nothing.
        """
        changes = {name: value for name, value in asdict(self).items() if name != "name" and value is not None}
        return replace(self.preset.axes, **changes)


def build(config: AlgorithmConfig, learner: Learner, inner: InnerLoop) -> Algorithm:
    """Bind a learner and an inner loop into an algorithm.

    Args:
        config: The algorithm, by name and axes.
        learner: Encoder and head.
        inner: Rate, steps, loss; what the axes decide of the inner loop replaces what stands there.

    Raises:
        ConfigError: What adapts names nothing, a head is not linear that has to be, or rates of their own fit nothing.
    """
    axes = config.axes
    inner = replace(
        inner,
        rule=axes.rule,
        learned_rates=axes.learned_rates,
        start=axes.start,
        per_step_norms=axes.per_step_norms,
        proximal=axes.proximal,
    )
    names = adapting_names(axes.adapts, learner)
    if axes.per_step_norms:
        names -= learner.norm_names
    algorithm = Algorithm(learner, inner, axes, names, OBJECTIVES[axes.objective])
    _refuse_unfit(algorithm)
    algorithm.initial_params()
    return algorithm


def _refuse_unfit(algorithm: Algorithm) -> None:
    """Refuse what only shows once learner, inner loop and axes are together."""
    learner, inner, axes, names = algorithm.learner, algorithm.inner, algorithm.axes, algorithm.names
    contrasts = axes.objective == "contrastive"
    if not names:
        why = " less the norms of per_step_norms" if axes.per_step_norms else ""
        raise ConfigError(
            f"expected a parameter that adapts, got none for adapts={axes.adapts}{why} (those of the learner: "
            f"{', '.join(sorted(learner.names))}); choose others, or set requires_grad=True on some"
        )
    refuse_start(learner, inner.start)
    for holds, asker in (
        (axes.head in ("zero", "zeroing", "shared"), f"head={axes.head}"),
        (contrasts, "objective=contrastive"),
    ):
        if holds:
            learner.linear_head(learner.initial_params(), asker)
    if axes.head in ("zeroing", "shared") and (f"{learner.head}.weight" not in names or not inner.steps):
        raise ConfigError(
            f"expected a head whose weight adapts with head={axes.head}, got adapts={axes.adapts}, {inner.steps} steps "
            f"and, to train, {', '.join(sorted(learner.head_names)) or 'no head parameter'}; equal rows that do not "
            "adapt say the same of every class"
        )
    if not inner.steps:
        _refuse_without_steps(axes)
    if axes.order in ("reptile", "entropy") and not inner.steps:
        raise ConfigError(
            f"expected inner.steps of at least 1 for order={axes.order}, got 0; it follows the adapted parameters"
        )
    if axes.order == "entropy" and inner.lr_of:
        raise ConfigError("expected one inner.lr for order=entropy, got inner.lr_of beside it; leave it out")
    for setting, default, rule in (("momentum", InnerLoop.momentum, "momentum"), ("betas", InnerLoop.betas, "adam")):
        if getattr(inner, setting) != default and inner.rule != rule:
            raise ConfigError(
                f"expected algorithm.rule={rule} beside inner.{setting}, got {inner.rule}; nothing else uses it"
            )
    if axes.order == "joint" and inner.steps:
        raise ConfigError(
            f"expected inner.steps=0 for order=joint, got {inner.steps}; it trains without an inner loop, and "
            "evaluation.inner_steps is that of the test"
        )
    if axes.objective == "gradient_penalty" and (inner.departures or inner.steps != 1):
        got = ", ".join([*inner.departures, *([f"inner.steps={inner.steps}"] if inner.steps != 1 else [])])
        raise ConfigError(
            f"expected one step of plain gradient descent at one fixed rate with objective=gradient_penalty, got "
            f"{got}; it is what such a step amounts to, so change one of the two (more steps at test are "
            "evaluation.inner_steps)"
        )
    if contrasts:
        algorithm.require_plain("objective=contrastive")
        if not learner.names - learner.head_names:
            raise ConfigError("expected an encoder to train with objective=contrastive, got none; unfreeze some of it")
        if names != learner.head_names:
            raise ConfigError(
                f"expected all of the head and nothing else to adapt with objective=contrastive, got "
                f"{', '.join(sorted(names))}; set algorithm.adapts to head"
            )


def _refuse_without_steps(axes: Axes) -> None:
    """Refuse what is about inner steps where there are none."""
    for name in ("rule", "learned_rates", "outer_loss", "per_step_norms"):
        if getattr(axes, name) != getattr(Axes, name):
            raise ConfigError(
                f"expected inner steps for algorithm.{name}={getattr(axes, name)}, got 0; ask for some, or leave it out"
            )
