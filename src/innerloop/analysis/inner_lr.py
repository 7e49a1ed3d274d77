"""At which rate of adaptation, of either sign, and after how many inner steps is a trained learner best?

One trajectory a rate gives the accuracy and the loss after every number of steps; all rates see the same episodes, so
that cells are compared in pairs. From a zero head one step is a fact rather than a finding: the encoder stands still
and the logits are the rate times inner products with centred class means, so that every positive rate predicts the
same and every negative one the opposite.

Source: THEORY E1 (ours, on kao2022's view of the head); bernacchia2021 for rates below zero.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from innerloop.algorithms import Algorithm
from innerloop.analysis.centroids import slots_of
from innerloop.analysis.subject import Subject
from innerloop.data.episode import Batch, Episode, stacked
from innerloop.engine import Chosen, EngineConfig
from innerloop.errors import ConfigError, DataError, DivergedError
from innerloop.inner import accuracy
from innerloop.params import norm, zeroed
from innerloop.shapes import Params
from innerloop.statistics import Interval, mean_interval, ranking
from innerloop.training import zeroing_changes_nothing

MAGNITUDES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)

Grid = tuple[tuple[Interval | None, ...], ...]
Place = tuple[int, int]


@dataclass(frozen=True)
class InnerLrSettings:
    """What is tried.

    Attributes:
        rates: Rates of adaptation, of any sign, none of them 0 or twice; the test's own and its opposite are tried too.
        most: The largest number of inner steps; every number from 0 to this is tried.
    """

    rates: tuple[float, ...] = tuple(sorted(sign * size for sign in (-1, 1) for size in MAGNITUDES))
    most: int = 10

    def __post_init__(self) -> None:
        if self.most < 1:
            raise ConfigError(
                f"expected at least 1 inner step to try, got most={self.most}; ask for 1 or more, 10 are usual"
            )
        if not self.rates:
            raise ConfigError("expected rates to try, got none; ask for some of both signs, -0.1 and 0.1 say")
        for rate in self.rates:
            if not np.isfinite(rate):
                raise ConfigError(f"expected finite rates, got {rate:g}; 0.001 to 10 of both signs are usual")
        if 0 in self.rates:
            raise ConfigError("expected rates other than 0, got 0; leave it out, as 0 inner steps show the same")
        if twice := sorted({rate for rate in self.rates if self.rates.count(rate) > 1}):
            raise ConfigError(f"expected every rate once, got {twice[0]:g} twice; leave one out")


@dataclass(frozen=True)
class RateArm:
    """What rate and number of inner steps do, for one way to start the head. Rows are rates, columns 0 to `most` steps.

    Attributes:
        accuracy: Query accuracy in [0, 1]; None where predictions of some episode are not finite.
        loss: Query loss in the learner's own units, nats for cross-entropy; None as above.
        diverged: In how many episodes predictions are not finite.
        best: Row and column of the highest mean accuracy; the lowest rate and the fewest steps of those that share it.
        as_good: All that are not significantly worse, the best among them, in pairs over episodes and not corrected for
            how many are compared; 0 steps, the same at every rate, stand for the lowest alone. None for one episode.
    """

    accuracy: Grid
    loss: Grid
    diverged: tuple[tuple[int, ...], ...]
    best: Place
    as_good: tuple[Place, ...] | None


@dataclass(frozen=True)
class OneStep:
    """What one step from a zero head predicts, over episodes.

    Attributes:
        same: Share of queries for which all positive rates name one slot.
        opposite: Share of queries for which every negative rate names the slot that positive ones like least.
    """

    same: Interval
    opposite: Interval


@dataclass(frozen=True)
class InnerLr:
    """Accuracy and loss by rate of adaptation and inner steps.

    Attributes:
        training_lr: Rate of training.
        training_steps: Inner steps of training.
        test_lr: Rate the learner is tested with as a rule.
        test_steps: Steps it is tested with.
        adapts: What moves in the inner loop.
        chance: Accuracy of guessing, mean over episodes.
        rates: Those tried, ascending; rows of the arms.
        most: The largest number of steps tried.
        head_is_zero: Whether the head is zero before adaptation, so that both arms are one.
        head_norm: Norm of the head before adaptation.
        as_trained: With the head as training left it.
        zeroed: With the head set to zero before adaptation; the same where something else takes the head's place.
        one_step: One step from the zeroed head; None where the head does not adapt or something takes its place.
        scatter: Over training, where recorded: outer step, squared scatter of class means, and within classes.
    """

    training_lr: float
    training_steps: int
    test_lr: float
    test_steps: int
    adapts: str
    chance: float
    rates: tuple[float, ...]
    most: int
    head_is_zero: bool
    head_norm: float
    as_trained: RateArm
    zeroed: RateArm
    one_step: OneStep | None
    scatter: tuple[tuple[int, float, float], ...]

    @property
    def tested(self) -> Place:
        """Row and column of the usual test, its steps cut at the most tried."""
        return self.rates.index(self.test_lr), min(self.test_steps, self.most)


def measure(subject: Subject, settings: InnerLrSettings | None = None) -> InnerLr:
    """Test a learner at every rate with every number of inner steps.

    Raises:
        ConfigError: Rates are learned or set by name, the test's own is 0, or nothing adapts.
        DataError: There is no episode, or one with a single class.
        DivergedError: Predictions are not finite before adaptation, or at no rate.
    """
    settings = settings or InnerLrSettings()
    algorithm, inner, learner = subject.tested, subject.tested.inner, subject.tested.learner
    if inner.learned_rates != "none" or inner.lr_of:
        own_rates = "learned rates" if inner.learned_rates != "none" else "rates by name (inner.lr_of)"
        raise ConfigError(
            f"expected one rate that can be varied for inner_lr, got {own_rates}; explain a run with "
            "one, or its learned_rates"
        )
    if inner.lr == 0 or not algorithm.names:
        raise ConfigError(f"expected an inner loop that moves something, got rate {inner.lr:g}; choose another rate")
    without_head = zeroed(subject.params, learner.head_names)
    is_zero = zeroing_changes_nothing(algorithm, subject.params)
    rates = tuple(sorted({*settings.rates, inner.lr, -inner.lr}))
    moves_head = inner.start == "params" and bool(algorithm.names & learner.head_names)
    engine, scored = Chosen(EngineConfig().of_tests, algorithm), _scored(rates, settings.most)
    found: list[Tensor] = []
    zero: list[Tensor] = []
    chance: list[float] = []
    for batch, ways in _batches(subject):
        chance += [1 / each for each in ways]
        found.append(engine.each(scored, subject.params, batch))
        zero.append(found[-1] if is_zero else engine.each(scored, without_head, batch))
    if not found:
        raise DataError("expected at least one episode to test rates on, got none; ask for more episodes")
    head = {name: subject.params[name].double() for name in learner.head_names}
    scores, zero_scores = (torch.cat(each).cpu().numpy() for each in (found, zero))
    shape = (-1, len(rates), settings.most + 1, 2)
    return InnerLr(
        subject.trained.inner.lr,
        subject.trained.inner.steps,
        inner.lr,
        inner.steps,
        algorithm.adapts,
        sum(chance) / len(chance),
        rates,
        settings.most,
        is_zero,
        norm(head).item(),
        arm(scores[:, :-2].reshape(shape)),
        arm(zero_scores[:, :-2].reshape(shape)),
        OneStep(*(mean_interval(column) for column in zero_scores[:, -2:].T)) if moves_head else None,
        _scatter(subject),
    )


def arm(scores: NDArray[np.float64]) -> RateArm:
    """Return what scores [episode rate step 2] say, the last axis being accuracy and loss; NaN has diverged.

    Raises:
        DivergedError: Every cell has.
    """
    episodes, rates, columns, _ = scores.shape
    lost: NDArray[np.bool_] = np.asarray(np.isnan(scores).any(-1))
    if lost.any(0).all():
        raise DivergedError("expected finite predictions at some rate, got none; try smaller rates")
    # 0 steps are one cell, whatever the rate.
    once = lost | ((np.arange(columns) == 0) & (np.arange(rates) > 0)[:, None])
    ranked = ranking(np.where(once, np.nan, scores[..., 0]).reshape(episodes, -1))

    def grid(measure: int) -> Grid:
        return tuple(
            tuple(
                None if lost[:, row, column].any() else mean_interval(scores[:, row, column, measure])
                for column in range(columns)
            )
            for row in range(rates)
        )

    return RateArm(
        grid(0),
        grid(1),
        tuple(tuple(int(count) for count in row) for row in lost.sum(0)),
        divmod(ranked.best, columns),
        None if ranked.as_good is None else tuple(divmod(each, columns) for each in ranked.as_good),
    )


def _batches(subject: Subject) -> Iterator[tuple[Batch, list[int]]]:
    """Yield the probe episodes, some at a time, with the ways of each."""
    for several in subject.some_at_a_time():
        ways = [len(slots_of(each.episode.support.targets)) for each in several]
        if 1 in ways:
            number = several[ways.index(1)].number
            raise DataError(
                f"expected episodes of two classes or more, got one in episode {number}; ask for more ways, as every "
                "rate is right about one class"
            )
        yield stacked([each.episode for each in several]), ways


def _scored(rates: Sequence[float], most: int) -> Callable[[Algorithm, Params, Episode], Tensor]:
    """Return what measures one episode: accuracy and loss by rate and step, then the two shares of `OneStep`, flat.

    The shares are those of the head given; they are `OneStep`'s where that is zero.
    """

    def scored(algorithm: Algorithm, params: Params, episode: Episode) -> Tensor:
        rows, first = [], []
        before: Tensor | None = None
        with torch.no_grad():
            for rate in rates:
                path = algorithm.with_inner(lr=rate, steps=most).adapt(params, episode.support).params
                if before is None:  # the same for every rate
                    before = _score(algorithm, path[0], episode)[0]
                after = [_score(algorithm, here, episode) for here in path[1:]]
                rows.append(torch.stack([before, *(score for score, _ in after)]))
                first.append(after[0][1])
        return torch.cat([torch.stack(rows).flatten(), _one_step(rates, first, slots_of(episode.support.targets))])

    return scored


def _score(algorithm: Algorithm, params: Params, episode: Episode) -> tuple[Tensor, Tensor]:
    """Return accuracy and loss [2], NaN where predictions are not finite, and the logits."""
    loss, logits = algorithm.query_loss(params, episode)
    both = torch.stack([accuracy(logits.double(), episode.query.targets), loss.double()])
    # What single precision cannot hold counts as not finite in double too: no interval could be told of it.
    fits = torch.isfinite(logits.float()).all() and torch.isfinite(loss.float())
    return torch.where(fits, both, float("nan")), logits


def _one_step(rates: Sequence[float], logits: Sequence[Tensor], slots: Tensor) -> Tensor:
    """Return the shares of queries of `OneStep` [2], of logits by rate; both signs are among them."""
    liked = [each[:, slots] for rate, each in zip(rates, logits, strict=True) if rate > 0]
    refused = [each[:, slots].argmax(1) for rate, each in zip(rates, logits, strict=True) if rate < 0]
    shares = [
        torch.stack([each == expected for each in named]).all(0).double().mean()
        for named, expected in (([each.argmax(1) for each in liked], liked[0].argmax(1)), (refused, liked[0].argmin(1)))
    ]
    return torch.stack(shares)


def _scatter(subject: Subject) -> tuple[tuple[int, float, float], ...]:
    """Return what the run recorded of its features' scatter."""
    history = [] if subject.run is None else subject.run.history
    measured = [(record["step"], record.get("cosine", {})) for record in history]
    return tuple(
        (step, each["between_classes"], each["within_classes"]) for step, each in measured if "between_classes" in each
    )
