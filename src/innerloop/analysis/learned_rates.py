"""Which signs and sizes have the inner rates that a learner has learned, by layer and inner step?

A layer is a parameter tensor. Where every weight has a rate of its own, a layer's are told by their mean, their
smallest, their largest and the share of negative ones; elsewhere it has one rate, or one an inner step.

Source: the question is starshak2022's, who found negative ones; rates as in li2017 and antoniou2019.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from innerloop.algorithms import Algorithm
from innerloop.analysis.subject import Subject
from innerloop.errors import ConfigError, RunError
from innerloop.inner import LearnedRates
from innerloop.inner.rates import PREFIX
from innerloop.shapes import Params

Part = Literal["head", "body", "all"]
Layers = dict[str, list[list[float]]]
ALL_LAYERS = "all layers"


@dataclass(frozen=True)
class Rates:
    """A layer's rates at one inner step.

    Attributes:
        mean: Over its weights; the rate itself where it has but one.
        smallest: The smallest of them.
        largest: The largest.
        negative: Share below 0, in [0, 1].
    """

    mean: float
    smallest: float
    largest: float
    negative: float


@dataclass(frozen=True)
class Layer:
    """A layer's learned rates; every tuple of `Rates` has one an inner step, or one for all.

    Attributes:
        name: Of its parameter tensor; `all layers` where they share one rate.
        part: Whether it is the head's, the body's, or both.
        count: How many rates it has at an inner step.
        first: Before the first outer step.
        now: At the checkpoint.
        path: At each of the result's `recorded` outer steps; empty where nothing was recorded.
    """

    name: str
    part: Part
    count: int
    first: tuple[Rates, ...]
    now: tuple[Rates, ...]
    path: tuple[tuple[Rates, ...], ...]


@dataclass(frozen=True)
class LearnedInnerRates:
    """Learned rates by layer and inner step.

    Attributes:
        kind: What has a rate of its own: `one`, `layer`, `layer_step` or `weight`.
        step: Outer steps before the checkpoint.
        recorded: The outer steps at which rates were recorded, up to the checkpoint.
        layers: In the network's order.
    """

    kind: str
    step: int
    recorded: tuple[int, ...]
    layers: tuple[Layer, ...]

    def of(self, *parts: Part) -> list[Layer]:
        """Return the layers of these parts, of all by default."""
        return [layer for layer in self.layers if not parts or layer.part in parts]


def measure(subject: Subject) -> LearnedInnerRates:
    """Read a learner's rates: as they began, as its run recorded them, and as they are.

    Raises:
        ConfigError: It has learned none.
        RunError: Its run recorded those of other layers.
    """
    algorithm = subject.trained
    kind = algorithm.inner.learned_rates
    now, first = _learned(subject.params), _learned(algorithm.initial_params())
    if not now:
        got = "a learner that adapts nothing" if kind != "none" else "algorithm.learned_rates=none"
        raise ConfigError(f"expected learned rates, got {got}; train meta_sgd or maml_pp")
    step = 0 if subject.state is None else subject.state.step
    history = [] if subject.run is None else subject.run.history
    records = [record for record in history if "rates" in record and record["step"] <= step]
    try:
        layers = tuple(
            Layer(
                name,
                _part(name, algorithm),
                _count(value, kind),
                _rates(first[name], kind),
                _rates(value, kind),
                tuple(_read(record["rates"][name]) for record in records),
            )
            for name, value in now.items()
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"expected the run's history to have rates of its own layers, got others ({error!r}); restore the file, or "
            "train anew"
        ) from error
    return LearnedInnerRates(kind, step, tuple(record["step"] for record in records), layers)


def recorded(algorithm: Algorithm, params: Params) -> Layers:
    """Return the rates as plain values for a record: by layer and inner step, in the order of `Rates`."""
    kind = algorithm.inner.learned_rates
    return {
        name: [[each.mean, each.smallest, each.largest, each.negative] for each in _rates(value, kind)]
        for name, value in _learned(params).items()
    }


def pooled(groups: Iterable[tuple[int, Iterable[Rates]]]) -> Rates:
    """Return the rates of several layers and steps as those of one, every learned number counting once.

    Args:
        groups: For each layer its count, and its rates by inner step; at least one.
    """
    found = [(count, each) for count, steps in groups for each in steps]
    total = sum(count for count, _ in found)
    return Rates(
        sum(count * each.mean for count, each in found) / total,
        min(each.smallest for _, each in found),
        max(each.largest for _, each in found),
        sum(count * each.negative for count, each in found) / total,
    )


def _learned(params: Mapping[str, Tensor]) -> Params:
    """Return the learned rates by the name of their layer."""
    found = {name: value for name, value in params.items() if name.split("/")[0] == PREFIX}
    return {ALL_LAYERS if name == PREFIX else name.removeprefix(f"{PREFIX}/"): value for name, value in found.items()}


def _part(name: str, algorithm: Algorithm) -> Part:
    if name != ALL_LAYERS:
        return "head" if name in algorithm.learner.head_names else "body"
    moved = {_part(own, algorithm) for own in algorithm.names}
    return moved.pop() if len(moved) == 1 else "all"


def _count(value: Tensor, kind: LearnedRates) -> int:
    return value.numel() if kind == "weight" else 1


def _rates(value: Tensor, kind: LearnedRates) -> tuple[Rates, ...]:
    """Return a layer's rates by inner step."""
    steps = value.detach().cpu().double()
    rows = steps.reshape(len(steps), -1) if kind == "layer_step" else steps.reshape(1, -1)
    return tuple(
        Rates(row.mean().item(), row.min().item(), row.max().item(), (row < 0).double().mean().item()) for row in rows
    )


def _read(kept: list[Any]) -> tuple[Rates, ...]:
    return tuple(Rates(*(float(value) for value in values)) for values in kept)
