"""Which support example is to blame for a wrong prediction?

With the encoder held still, a query's adapted logits are a sum over support examples, and a part that is nobody's:

    logits[q] = head_before(q)  +  sum over s of  -inner_lr * summed_residuals[s] (feature(q) . feature(s) + bias)

so each example's share in every class's logit is exact. Where the encoder moves too, an example's influence is the
derivative of the adapted logits by the weight of its loss, through the whole inner loop. Both are held against the
truth: adapting again with that example's weight at 0 (it still takes part in the BatchNorm statistics).

Source: THEORY A1, A2 (kao2022, section 2: the head memorises support features). The use for blame is ours.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, cast

import torch
from jaxtyping import Float
from scipy import stats
from torch import Tensor
from torch.func import jacfwd, jvp, vmap

from innerloop.algorithms import Algorithm
from innerloop.analysis.contrast import LossName, Reduction, head_loop, scale_of
from innerloop.analysis.parts import encoder_stays
from innerloop.analysis.subject import Probe, Subject
from innerloop.analysis.values import over
from innerloop.data.episode import Episode
from innerloop.data.pictures import to_text
from innerloop.errors import ConfigError, DivergedError
from innerloop.shapes import Params
from innerloop.statistics import Interval, paired_difference


@dataclass(frozen=True)
class ResponsibilitySettings:
    """How much is looked into.

    Attributes:
        shown: How many mistakes are kept with their pictures, the most confident one of an episode.
        readapted: In how many episodes the learner adapts again without each support example, where that needs the
            network; where the encoder stands still it is a formula, and done in all.
    """

    shown: int = 6
    readapted: int = 20

    def __post_init__(self) -> None:
        for name in ("shown", "readapted"):
            if getattr(self, name) < 0:
                raise ConfigError(f"expected responsibility.{name} of at least 0, got {getattr(self, name)}; 0 is none")


class Shares(NamedTuple):
    """Who made the adapted logits; `nobody + shares.sum(1)` is them.

    Attributes:
        nobody: What the head before adaptation says; 0 for a zeroed head.
        shares: Each support example's part in every query's logits.
    """

    nobody: Float[Tensor, "query way"]
    shares: Float[Tensor, "query support way"]


@dataclass(frozen=True)
class Blamed:
    """A support example's part in a mistake.

    Attributes:
        name: Its class.
        number: Its index in the support set.
        share: What it adds to (logit of the predicted class - logit of the true class).
        picture: A small picture of it as base64 PNG; empty where inputs are no pictures.
    """

    name: str
    number: int
    share: float
    picture: str


@dataclass(frozen=True)
class Mistake:
    """A wrong prediction: a false positive of the predicted class, a false negative of the true one.

    Attributes:
        episode: The episode's index.
        query: The query's index in it.
        true: Its class.
        predicted: What was said.
        margin: Logit of the predicted class - logit of the true class, of the learner as it adapts.
        nobody: What the head before adaptation adds to the margin.
        rest: What neither has made: 0 where shares are exact, else what influence, a derivative, leaves over.
        support: Every support example, the most to blame first.
        picture: The query, as the support's.
    """

    episode: int
    query: int
    true: str
    predicted: str
    margin: float
    nobody: float
    rest: float
    support: tuple[Blamed, ...]
    picture: str


@dataclass(frozen=True)
class Removal:
    """What taking the most blamed support example out of the loss does, over episodes with mistakes.

    Attributes:
        mistakes: How many mistakes were tried.
        blamed: Share of them that are then predicted right.
        random: The same for one of the same class drawn at random (all of them tried: its expectation).
        difference: Blamed - random, in pairs.
    """

    mistakes: int
    blamed: Interval
    random: Interval
    difference: Interval


@dataclass(frozen=True)
class Responsibility:
    """Who is to blame, over episodes.

    Attributes:
        is_exact: Whether the encoder stands still, so that shares are exact and blame is a share; else it is influence.
        accuracy: Share of queries predicted right.
        mistakes: How many were wrong.
        agreement: Share of queries that are predicted alike with the encoder held still.
        nobody: Share of the absolute logits (nobody's beside all examples') that is the head's before adaptation.
        blamed_is_predicted: Share of mistakes whose most blamed example is of the predicted class; where blame is
            influence, of the episodes that were adapted again.
        share_correlation: Spearman's, between shares and what adapting again without the example takes away.
        influence_correlation: The same for the influence.
        removal: None where every class has one example, or nothing was tried.
        shown: Mistakes in full: of each episode (adapted again, where blame is influence) the most confident, and of
            these the most confident.
    """

    is_exact: bool
    accuracy: Interval
    mistakes: int
    agreement: Interval
    nobody: Interval
    blamed_is_predicted: Interval | None
    share_correlation: Interval | None
    influence_correlation: Interval | None
    removal: Removal | None
    shown: tuple[Mistake, ...]


def shares(
    support: Float[Tensor, "support feature"],
    support_labels: Tensor,
    query: Float[Tensor, "query feature"],
    weight: Float[Tensor, "way feature"],
    bias: Float[Tensor, " way"] | None = None,
    *,
    inner_lr: float,
    inner_steps: int = 1,
    loss: LossName = "cross_entropy",
    reduction: Reduction = "mean",
    weights: Float[Tensor, " support"] | None = None,
) -> Shares:
    """Split the adapted logits of a linear head by support example.

    Args:
        support: Support features.
        support_labels: Their class slots [support].
        query: Query features.
        weight: The head before adaptation.
        bias: Its bias, which adapts too; None for a head without.
        inner_lr: Any sign.
        inner_steps: 0 or more.
        loss: Of the inner loop.
        reduction: Of the loss.
        weights: How much each example's loss counts; all alike when None.
    """
    scale = scale_of(loss, reduction, len(support), len(weight))
    _, residuals = head_loop(support, support_labels, weight, bias, inner_lr, inner_steps, loss, scale, weights)
    summed = sum(residuals, torch.zeros_like(support @ weight.T))
    products = query @ support.T + (0.0 if bias is None else 1.0)
    nobody = query @ weight.T if bias is None else query @ weight.T + bias
    return Shares(nobody, -inner_lr * products[:, :, None] * summed[None])


class Blame(NamedTuple):
    """All there is to say of one episode.

    Attributes:
        logits: The adapted logits [query way].
        frozen: The same with the encoder held still, by support example.
        without: The adapted logits without each support example [support query way]; None where not asked for.
        influence: Derivative of the logits by each example's weight [support query way]; None as above.
    """

    logits: Tensor
    frozen: Shares
    without: Tensor | None
    influence: Tensor | None


def of_episode(algorithm: Algorithm, params: Params, episode: Episode, readapt: bool = True) -> Blame:
    """Find who made each query's adapted logits.

    Args:
        algorithm: How the learner adapts at test.
        params: Meta-parameters.
        episode: Targets are class slots.
        readapt: Whether to adapt again without each example, and through each example's weight.

    Raises:
        ConfigError: The learner's head is not linear.
    """
    frozen = _frozen(algorithm, params, episode)
    parts = frozen(None)
    count = len(episode.support.targets)

    if encoder_stays(algorithm, params):

        def formula(weights: Tensor) -> Tensor:
            made = frozen(weights)
            return made.nobody + made.shares.sum(1)

        ones, logits = parts.shares.new_ones(count), parts.nobody + parts.shares.sum(1)
        if not readapt:
            return Blame(logits, parts, None, None)
        return Blame(logits, parts, vmap(formula)(ones - torch.eye(count)), jacfwd(formula)(ones).movedim(2, 0))

    def network(weights: Tensor, differentiable: bool = False) -> Tensor:
        adapted = algorithm.adapt(params, episode.support, differentiable, weights).adapted
        return algorithm.query_loss(adapted, episode)[1]

    ones = next(iter(params.values())).new_ones(count)
    with torch.no_grad():
        logits = algorithm.query_loss(algorithm.adapt(params, episode.support).adapted, episode)[1]
    if not readapt:
        return Blame(logits, parts, None, None)
    return Blame(logits, parts, _without(network, ones), _influence(partial(network, differentiable=True), ones))


def measure(subject: Subject, settings: ResponsibilitySettings) -> Responsibility:
    """Find who is to blame over probe episodes, with the inner loop of the test.

    Raises:
        ConfigError: The head is not linear, or nothing moves in the inner loop.
        DivergedError: Predictions that are not finite.
    """
    algorithm, params = subject.tested, subject.params
    algorithm.require_plain("responsibility")
    if algorithm.inner.steps == 0 or algorithm.inner.lr == 0:
        raise ConfigError(
            f"expected an inner loop in which the support takes part, got {algorithm.inner.steps} steps at rate "
            f"{algorithm.inner.lr:g}; ask for 1 step or more, at a rate that is not 0"
        )
    exact = encoder_stays(algorithm, params)
    rows: dict[str, list[float]] = {name: [] for name in ("accuracy", "agreement", "nobody", "share", "influence")}
    of_predicted: list[float] = []
    removed: list[tuple[int, float, float]] = []
    kept: list[Mistake] = []
    mistakes = 0
    for done, probe in enumerate(subject.probes()):
        found = of_episode(algorithm, params, probe.episode, exact or done < settings.readapted)
        if not bool(torch.isfinite(found.logits).all()):
            raise DivergedError(
                f"expected finite predictions, got NaN or infinity in episode {probe.number}; check the run for "
                "divergence, or try a smaller rate"
            )
        targets = probe.episode.query.targets
        wrong = (found.logits.argmax(1) != targets).nonzero().flatten().tolist()
        mistakes += len(wrong)
        frozen = found.frozen.nobody + found.frozen.shares.sum(1)
        rows["accuracy"].append(1 - len(wrong) / len(targets))
        rows["agreement"].append((frozen.argmax(1) == found.logits.argmax(1)).double().mean().item())
        rows["nobody"].append(_nobody(found.frozen))
        if found.without is not None and found.influence is not None:
            taken = found.logits - found.without
            rows["share"].append(_rank_correlation(found.frozen.shares.transpose(0, 1), taken))
            rows["influence"].append(_rank_correlation(found.influence, taken))
        # Blame is a share where shares are exact and influence elsewhere; never one in some episodes and one in others.
        if wrong and found.without is not None:
            of_predicted.append(_of_predicted(probe, found, wrong, exact))
            removed += _removed(probe, found, wrong, exact)
            kept = _most_confident([*kept, _mistake(probe, found, wrong, exact)], settings.shown)
    intervals = {name: over(values) for name, values in rows.items() if values}
    return Responsibility(
        exact,
        _given(intervals["accuracy"]),
        mistakes,
        _given(intervals["agreement"]),
        _given(intervals["nobody"]),
        over(of_predicted),
        intervals.get("share"),
        intervals.get("influence"),
        _removal(removed),
        tuple(kept),
    )


def _frozen(algorithm: Algorithm, params: Params, episode: Episode) -> Callable[[Tensor | None], Shares]:
    """Return the shares, with the encoder held still, as a function of the examples' weights; in float64."""
    learner, inner = algorithm.learner, algorithm.inner
    weight, bias = learner.linear_head(params)
    with torch.no_grad():
        support = learner.features(params, episode.support.inputs).double()
        query = learner.features(params, episode.query.inputs, reference=episode.support.inputs).double()

    def made(weights: Tensor | None) -> Shares:
        return shares(
            support,
            episode.support.targets,
            query,
            weight.double(),
            None if bias is None else bias.double(),
            inner_lr=inner.lr,
            inner_steps=inner.steps,
            loss=cast("LossName", inner.loss),
            weights=weights,
        )

    return made


def _without(logits_of: Callable[[Tensor], Tensor], ones: Tensor) -> Tensor:
    """Return the logits without each example [support query way], adapting the network again for each."""
    with torch.no_grad():
        return torch.stack([logits_of(ones - each) for each in torch.eye(len(ones), dtype=ones.dtype)])


def _influence(logits_of: Callable[[Tensor], Tensor], ones: Tensor) -> Tensor:
    """Return the derivative of the logits by each example's weight [support query way], by forward mode."""

    def pushed(direction: Tensor) -> Tensor:
        derivative: Tensor = jvp(logits_of, (ones,), (direction,))[1]
        return derivative

    # A few at a time: their convolutions share weights, and memory stays small.
    return vmap(pushed, chunk_size=5)(torch.eye(len(ones), dtype=ones.dtype)).detach()


def _blame(found: Blame, exact: bool, query: int, predicted: int, true: int) -> Tensor:
    """Return each support example's part in the margin of a query [support]: its share, or its influence."""
    made = found.frozen.shares[query]
    if not exact and found.influence is not None:
        made = found.influence[:, query]
    return made[:, predicted] - made[:, true]


def _removed(probe: Probe, found: Blame, wrong: list[int], exact: bool) -> list[tuple[int, float, float]]:
    """Return (number of mistakes, share corrected without the most blamed, without a random one of its class)."""
    assert found.without is not None
    slots, targets = probe.episode.support.targets, probe.episode.query.targets
    right = found.without.argmax(2) == targets  # [support query]
    blamed, random = [], []
    for query in wrong:
        predicted, true = int(found.logits[query].argmax()), int(targets[query])
        most = int(_blame(found, exact, query, predicted, true).argmax())
        alike = slots == slots[most]
        if int(alike.sum()) > 1:
            blamed.append(float(right[most, query]))
            random.append(right[alike, query].double().mean().item())
    return [(len(blamed), sum(blamed) / len(blamed), sum(random) / len(random))] if blamed else []


def _removal(removed: list[tuple[int, float, float]]) -> Removal | None:
    if not removed:
        return None
    counts, blamed, random = zip(*removed, strict=True)
    return Removal(sum(counts), _given(over(blamed)), _given(over(random)), paired_difference(blamed, random))


def _of_predicted(probe: Probe, found: Blame, wrong: list[int], exact: bool) -> float:
    hits = 0
    for query in wrong:
        predicted, true = int(found.logits[query].argmax()), int(probe.episode.query.targets[query])
        most = int(_blame(found, exact, query, predicted, true).argmax())
        hits += int(probe.episode.support.targets[most]) == predicted
    return hits / len(wrong)


def _mistake(probe: Probe, found: Blame, wrong: list[int], exact: bool) -> Mistake:
    """Return the episode's most confident mistake."""
    support, query = probe.episode
    margins = {each: found.logits[each].max() - found.logits[each, query.targets[each]] for each in wrong}
    chosen = max(wrong, key=lambda each: float(margins[each]))
    predicted, true = int(found.logits[chosen].argmax()), int(query.targets[chosen])
    made = _blame(found, exact, chosen, predicted, true)
    nobody = (found.frozen.nobody[chosen, predicted] - found.frozen.nobody[chosen, true]).item()
    order = made.argsort(descending=True).tolist()
    return Mistake(
        probe.number,
        chosen,
        probe.classes[true],
        _class_of(probe, predicted),
        float(margins[chosen]),
        nobody,
        0.0 if exact else float(margins[chosen]) - nobody - made.sum().item(),
        tuple(
            Blamed(
                probe.classes[int(support.targets[each])],
                each,
                made[each].item(),
                to_text(support.inputs[each].numpy()),
            )
            for each in order
        ),
        to_text(query.inputs[chosen].numpy()),
    )


def _most_confident(mistakes: list[Mistake], count: int) -> list[Mistake]:
    """Return the most confident mistakes, each picture once: episodes share examples."""
    chosen: dict[str, Mistake] = {}
    for each in sorted(mistakes, key=lambda each: -each.margin):
        chosen.setdefault(each.picture or f"{each.episode} {each.query}", each)
    return list(chosen.values())[:count]


def _class_of(probe: Probe, slot: int) -> str:
    """Return the class of a slot; a head may have more rows than the episode has classes, and say one of those."""
    return probe.classes[slot] if slot < len(probe.classes) else f"no class (slot {slot})"


def _nobody(made: Shares) -> float:
    own, others = made.nobody.abs().sum().item(), made.shares.abs().sum().item()
    return own / (own + others) if own + others else 0.0


def _rank_correlation(left: Tensor, right: Tensor) -> float:
    first, second = left.double().flatten().numpy(), right.double().flatten().numpy()
    if first.std() == 0 or second.std() == 0:
        return float("nan")
    return float(stats.spearmanr(first, second).statistic)


def _given(interval: Interval | None) -> Interval:
    assert interval is not None
    return interval
