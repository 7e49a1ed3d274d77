"""How good a learner is on unseen classes: N episodes, before adaptation and after every inner step."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from innerloop.algorithms import Algorithm
from innerloop.data.episode import Episode, EpisodeShape, stacked
from innerloop.data.family import Family
from innerloop.data.sampler import Choice, check, draw, gather
from innerloop.data.split import Split
from innerloop.engine import Chosen, Engine, EngineConfig
from innerloop.errors import ConfigError, DivergedError, one_of
from innerloop.inner import LearnedRates, Start, accuracy
from innerloop.params import zeroed
from innerloop.plain import made, number
from innerloop.shapes import Params
from innerloop.statistics import Interval, mean_interval

Measure = Literal["accuracy", "loss"]
# Episodes that are drawn, tested and reported together.
TOGETHER = 20
TestHead = Literal["zero", "prototypes", "ridge", "logistic", "attention"]


@dataclass(frozen=True)
class EvaluationConfig:
    """How a learner is tested.

    Attributes:
        episodes: How many episodes.
        inner_lr: Adaptation rate at test time, of any sign; by default the training one.
        inner_steps: Inner steps at test time; by default as many as in training, and none from a head that the support
            set makes.
        head: What takes the place of the algorithm's own head: `zero`; `prototypes` (nearest centre), `ridge` or
            `logistic` regression, made of the support set; `attention` over support features.
    """

    episodes: int = 600
    inner_lr: float | None = None
    inner_steps: int | None = None
    head: TestHead | None = None

    def __post_init__(self) -> None:
        if self.head is not None:
            one_of("evaluation.head", self.head, get_args(TestHead))
        if self.episodes < 1:
            raise ConfigError(f"expected evaluation.episodes of at least 1, got {self.episodes}; the papers use 600")
        if self.inner_steps is not None and self.inner_steps < 0:
            raise ConfigError(f"expected evaluation.inner_steps of at least 0, got {self.inner_steps}; ask for more")
        if self.inner_lr is not None and not math.isfinite(self.inner_lr):
            raise ConfigError(f"expected a finite evaluation.inner_lr, got {self.inner_lr}; the papers use 0.01 to 0.4")

    def loop(self, lr: float, steps: int) -> tuple[float, int]:
        """Return the rate and steps of adaptation at test, given those of training."""
        usual = steps if self.head in (None, "zero") else 0
        return lr if self.inner_lr is None else self.inner_lr, usual if self.inner_steps is None else self.inner_steps

    def applied_to(self, algorithm: Algorithm) -> Algorithm:
        """Return the algorithm as it adapts at test time, with dropout off.

        Raises:
            ConfigError: A rate where rates are learned, or steps where there is no head to adapt.
        """
        steps = self.loop(algorithm.inner.lr, algorithm.inner.steps)[1]
        changes = {"lr": self.inner_lr, "start": self.head}
        given = {name: value for name, value in changes.items() if value is not None}
        if self.head == "zero" and not (steps and algorithm.names & algorithm.learner.head_names):
            raise ConfigError(
                f"expected a head that adapts from evaluation.head=zero, got adapts={algorithm.adapts} and {steps} "
                "inner steps; a zero head that stays says the same of every class"
            )
        return replace(algorithm, learner=algorithm.learner.tested()).with_inner(steps=steps, **given)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What came out, episode by episode, so that two learners tested on the same episodes can be compared in pairs.

    Attributes:
        data_set: Name of the data set tested on.
        split: Name of its split.
        shape: Ways, shots and queries.
        seed: The episodes are those of this seed; None where a manifest named them.
        inner_lr: Adaptation rate; where rates are learned, the value they began with.
        transductive: Whether query examples were normalised by one another.
        measure: `accuracy`, or for real-valued targets the query `loss`.
        as_trained: The measure, accuracy in [0, 1], with the head as training left it; the first column [episode, 0]
            is before adaptation.
        zeroed: The same with the head set to zero before adaptation (kao2022, section 4); where something else takes
            the head's place, the same as `as_trained`.
        manifest: The digest of the episodes' manifest, equal for the same episodes wherever they came from; None for
            tasks that a formula gives.
        head: What stood in the place of the head before adaptation: its own `params`, or something else as in
            `InnerLoop.start`.
        learned_rates: Which rates were learned.
        rates_by_name: Whether some parameters had a rate of their own (`inner.lr_of`).
    """

    data_set: str
    split: str
    shape: EpisodeShape
    seed: int | None
    inner_lr: float
    transductive: bool
    as_trained: NDArray[np.float64]
    zeroed: NDArray[np.float64]
    measure: Measure = "accuracy"
    manifest: str | None = None
    head: Start = "params"
    learned_rates: LearnedRates = "none"
    rates_by_name: bool = False

    @property
    def title(self) -> str:
        """What was tested on: `omniglot, test classes, 5-way 1-shot`; real-valued tasks have no classes."""
        real = self.measure == "loss"
        return (
            f"{self.data_set}, {self.split} {'tasks' if real else 'classes'}, {self.shape.described(classes=not real)}"
        )

    @property
    def source(self) -> str:
        """Which episodes these are: `seed 0`, or `episodes of manifest 0123456789ab`."""
        return f"episodes of manifest {self.manifest}" if self.seed is None else f"seed {self.seed}"

    def interval(self, zero_head: bool = False, step: int = -1) -> Interval:
        """Return the mean of the measure after an inner step (the last by default) with its 95% interval."""
        return mean_interval((self.zeroed if zero_head else self.as_trained)[:, step])

    @property
    def inner_steps(self) -> int:
        """How many inner steps were taken."""
        return int(self.as_trained.shape[1]) - 1

    def to_json(self) -> dict[str, Any]:
        """Return plain values that `from_json` reads back."""
        return {
            **asdict(self),
            "as_trained": self.as_trained.round(6).tolist(),
            "zeroed": self.zeroed.round(6).tolist(),
        }

    @classmethod
    def from_json(cls, values: Any) -> "Evaluation":
        """Read back what `to_json` gave.

        Raises:
            ValueError: It is something else.
        """
        if not isinstance(values, dict):
            raise ValueError("no evaluation by name")
        arms = {arm: _by_step(values.get(arm)) for arm in ("as_trained", "zeroed")}
        if len({each.shape for each in arms.values()}) > 1:
            raise ValueError("another number of episodes or steps with the head zeroed")
        return made(cls, values, ready=arms)


def _by_step(rows: Any) -> NDArray[np.float64]:
    """Return a measure that was read, [episode step]."""
    try:
        found = np.asarray([[number(each) for each in row] for row in rows], np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"no numbers by episode and step: {error}") from error
    if found.ndim != 2 or not found.size:
        raise ValueError("no measure by episode and step")
    return found


def evaluate(
    algorithm: Algorithm,
    params: Params,
    split: Split | Family,
    shape: EpisodeShape,
    indices: Iterable[int],
    seed: int,
    choices: Sequence[Choice] | None = None,
    engine: Engine | None = None,
) -> Evaluation:
    """Test a learner with its head as trained and with its head zeroed, on the same episodes.

    Args:
        algorithm: Adapts as it should at test time (`EvaluationConfig.applied_to`).
        params: What meta-training found.
        split: Where the classes come from.
        shape: Ways (as many as the head has), shots, queries.
        indices: Which episodes of the seed, `range(600)` as a rule; wrap it to show progress.
        seed: Whose episodes.
        choices: The episodes themselves, where a manifest names them; `indices` then counts these.
        engine: Maps the test over episodes, for this algorithm; by default what suits it.

    Raises:
        DataError: The split cannot fill such episodes.
    """
    if choices is None:
        check(split, shape)
    without_head = zeroed(params, algorithm.learner.head_names)
    is_zero = zeroing_changes_nothing(algorithm, params)
    engine = engine or Chosen(EngineConfig().of_tests, algorithm)
    measure: Measure = "accuracy"
    as_trained: list[list[float]] = []
    with_zero: list[list[float]] = []
    numbers = iter(indices)
    while several := list(islice(numbers, TOGETHER)):
        if choices is None or isinstance(split, Family):
            episodes = [draw(split, shape, seed, index) for index in several]
        else:
            episodes = [gather(split, choices[index]) for index in several]
        measure = "loss" if episodes[0].query.targets.is_floating_point() else "accuracy"
        batch = stacked(episodes)
        found = engine.each(scores, params, batch)
        as_trained += _finite(found, several, algorithm)
        with_zero += _finite(found if is_zero else engine.each(scores, without_head, batch), several, algorithm)
    if not as_trained:
        raise ConfigError("expected at least one episode to test on, got none; the papers use 600")
    return Evaluation(
        split.data_set,
        split.name,
        shape,
        seed,
        algorithm.inner.lr,
        algorithm.learner.transductive,
        np.array(as_trained),
        np.array(with_zero),
        measure,
        head=algorithm.inner.start,
        learned_rates=algorithm.inner.learned_rates,
        rates_by_name=bool(algorithm.inner.lr_of),
    )


def zeroing_changes_nothing(algorithm: Algorithm, params: Params) -> bool:
    """Return whether a test with the head zeroed is the test as it is: it is zero, or something takes its place."""
    made = algorithm.inner.start != "params"
    return made or not any(bool(params[name].any()) for name in algorithm.learner.head_names)


def scores(algorithm: Algorithm, params: Params, episode: Episode) -> Tensor:
    """Return the query accuracy, or loss for real targets, before adaptation and after every inner step [step + 1].

    NaN where predictions are not finite, which no measure fits.
    """
    said: list[Tensor] = []
    with torch.no_grad():
        for here in algorithm.adapt(params, episode.support).params:
            loss, logits = algorithm.query_loss(here, episode)
            score = loss if episode.query.targets.is_floating_point() else accuracy(logits, episode.query.targets)
            said.append(torch.where(torch.isfinite(logits).all(), score, float("nan")))
    return torch.stack(said)


def score_by_step(algorithm: Algorithm, params: Params, episode: Episode) -> list[float]:
    """Return the query accuracy, or loss for real targets, before adaptation and after every inner step.

    Raises:
        DivergedError: Predictions that are not finite, which no measure fits.
    """
    return _finite(scores(algorithm, params, episode)[None], [], algorithm)[0]


def _finite(found: Tensor, numbers: Sequence[int], algorithm: Algorithm) -> list[list[float]]:
    """Return the scores [task step] as numbers; refuse the first that is none, and name its episode if it has one."""
    strayed = torch.isnan(found).nonzero()
    if len(strayed):
        task, step = strayed[0].tolist()
        where = f" (episode {numbers[task]})" if numbers else ""
        raise DivergedError(
            f"expected finite predictions, got NaN or infinity after inner step {step} at rate "
            f"{algorithm.inner.lr:g}; try a smaller one{where}"
        )
    rows: list[list[float]] = found.tolist()
    return rows
