"""The outer loop as a generator of states: whoever iterates decides what to show, measure and save.

Every state is a value of its own: it can be kept, written, and handed back as `start` to continue bit for bit.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import torch
from torch import Tensor

from innerloop.algorithms import Algorithm
from innerloop.data.episode import Batch, Episode, tasks
from innerloop.engine import BatchGradient, Chosen, Engine, EngineConfig
from innerloop.errors import ConfigError, DivergedError, one_of
from innerloop.params import add, first_nonfinite, norm, select, snapshot
from innerloop.shapes import Params
from innerloop.training.head_reset import reset_head
from innerloop.training.schedule import Schedule, factor

OuterRule = Literal["adam", "sgd"]
RULES: Mapping[OuterRule, Callable[..., torch.optim.Optimizer]] = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}


@dataclass(frozen=True)
class TrainingConfig:
    """The outer loop.

    Attributes:
        steps: Outer steps in all.
        tasks: Episodes in the batch of one outer step.
        pool: How many different episodes training sees, again and again with their slots dealt anew; 0 is no end. 1 is
            kao2022's experiment on a single task, 10,000 its pool for mini-ImageNet.
        outer_lr: Learning rate of the outer step.
        outer_rule: `adam`, as the papers, or `sgd`, plain: under it the head is a sum of past queries (kao2022).
        outer_schedule: What becomes of that rate over training: `constant`, or falling to 0 as a `cosine` or `linear`.
    """

    steps: int = 600
    tasks: int = 16
    pool: int = 0
    outer_lr: float = 1e-3
    outer_rule: OuterRule = "adam"
    outer_schedule: Schedule = "constant"

    def __post_init__(self) -> None:
        one_of("training.outer_schedule", self.outer_schedule, get_args(Schedule))
        one_of("training.outer_rule", self.outer_rule, get_args(OuterRule))
        for name, least in (("steps", 0), ("tasks", 1), ("pool", 0)):
            value = getattr(self, name)
            if value < least:
                raise ConfigError(f"expected training.{name} of at least {least}, got {value}; ask for more")
        if not self.outer_lr > 0 or self.outer_lr == float("inf"):
            raise ConfigError(f"expected a positive training.outer_lr, got {self.outer_lr}; the papers use 0.001")


@dataclass(frozen=True, eq=False)
class State:
    """Where training stands after `step` outer steps.

    Attributes:
        step: Outer steps done.
        params: The meta-learned parameters.
        optimizer: The outer optimizer's tensors, named `parameter/what`.
        first_head: The head's first value, for the policy that puts it back.
        loss: Mean query loss over the last step's tasks, in nats for cross-entropy; NaN before the first step.
        accuracy: Mean query accuracy over the last step's tasks, in [0, 1]; NaN before the first step.
    """

    step: int
    params: Params
    optimizer: Params = field(default_factory=dict)
    first_head: Params = field(default_factory=dict)
    loss: float = float("nan")
    accuracy: float = float("nan")

    def on(self, device: torch.device) -> "State":
        """Return the state with its tensors on a device; the optimizer's counts stay where they are read."""

        def moved(values: Params) -> Params:
            return {name: value.to(device) if value.dim() else value for name, value in values.items()}

        params = {name: value.to(device) for name, value in self.params.items()}
        return replace(self, params=params, optimizer=moved(self.optimizer), first_head=moved(self.first_head))


def initial_state(algorithm: Algorithm, params: Params) -> State:
    """Return the state before the first outer step; the zeroing trick zeroes the head here already.

    Args:
        algorithm: Whose head policy it is.
        params: `algorithm.initial_params()`, or others to go on from.
    """
    first_head = snapshot(algorithm.learner.head_params(params))
    return State(0, reset_head(algorithm, snapshot(params), first_head, 0), first_head=first_head)


def train(
    algorithm: Algorithm,
    start: State,
    episodes: Callable[[int], Batch],
    config: TrainingConfig,
    seed: int = 0,
    engine: Engine | None = None,
) -> Iterator[State]:
    """Meta-train, yielding the start and the state after every outer step.

    Args:
        algorithm: What turns an episode into a meta-gradient.
        start: `initial_state(...)`, or any state this generator yielded before.
        episodes: Maps the number of outer steps done to the next batch of episodes; a pure function, so
            that a continued run sees what the uninterrupted one would.
        config: How many steps, and how.
        seed: What dropout in the learner draws from.
        engine: Maps the meta-gradient over the tasks of a batch; by default what suits device, network and algorithm.

    Yields:
        States with `step` from `start.step` to `config.steps`.

    Raises:
        DivergedError: A query loss or the meta-gradient is not finite; names the outer step and the task. The
            states yielded before are untouched.
    """
    engine = engine or Chosen(EngineConfig(), algorithm)
    yield start
    leaves = {name: value.clone() for name, value in start.params.items()}
    optimizer = RULES[config.outer_rule](list(leaves.values()), lr=config.outer_lr)
    _restore(optimizer, leaves, start.optimizer)
    for step in range(start.step, config.steps):
        batch = episodes(step)
        result = engine.gradient(leaves, batch, step, seed)
        _refuse_nonfinite(algorithm, leaves, batch, result, step)
        for group in optimizer.param_groups:
            group["lr"] = config.outer_lr * factor(config.outer_schedule, step, config.steps)
        for name, leaf in leaves.items():
            leaf.grad = result.gradient[name]
        optimizer.step()
        settled = reset_head(algorithm, leaves, start.first_head, step + 1)
        for name, leaf in leaves.items():
            leaf.copy_(settled[name])
        yield State(
            step + 1,
            snapshot(leaves),
            _tensors(optimizer, leaves),
            start.first_head,
            result.losses.mean().item(),
            result.accuracies.mean().item(),
        )


def _tensors(optimizer: torch.optim.Optimizer, leaves: Params) -> Params:
    return {
        f"{name}/{key}": value.detach().clone()
        for name, leaf in leaves.items()
        for key, value in optimizer.state[leaf].items()
        if isinstance(value, Tensor)
    }


def _restore(optimizer: torch.optim.Optimizer, leaves: Params, tensors: Params) -> None:
    for key, value in tensors.items():
        name, what = key.rsplit("/", 1)
        optimizer.state[leaves[name]][what] = value.detach().clone()


def _refuse_nonfinite(algorithm: Algorithm, params: Params, batch: Batch, result: BatchGradient, step: int) -> None:
    finite = torch.isfinite(result.losses)
    if not bool(finite.all()):
        task = int((~finite).nonzero()[0])
        where = _strayed(algorithm, params, list(tasks(batch))[task])
        raise DivergedError(
            f"expected a finite query loss, got {result.losses[task].item()} at outer step {step + 1} in task {task}"
            f"{where}; try a smaller inner.lr or training.outer_lr, the last checkpoint is kept"
        )
    name = first_nonfinite(result.gradient)
    if name is not None:
        raise DivergedError(
            f"expected a finite meta-gradient, got NaN or infinity for '{name}' at outer step {step + 1}; "
            "try a smaller inner.lr or training.outer_lr, the last checkpoint is kept"
        )


def _strayed(algorithm: Algorithm, params: Params, episode: Episode) -> str:
    """Say how far the inner loop went on an episode, step by step, for an error's message."""
    path = algorithm.adapt(params, episode.support).params
    before = norm(select(path[0], algorithm.names))
    moved = [f"{(norm(add(select(each, algorithm.names), path[0], -1.0)) / before).item():.2g}" for each in path[1:]]
    return f" (after each inner step the parameters had moved by {', '.join(moved)} times their norm)" if moved else ""
