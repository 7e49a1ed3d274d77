"""The outer loop as a generator of states: whoever iterates decides what to show, measure and save.

Every state is a value of its own: it can be kept, written, and handed back as `start` to continue bit for bit. None is
ever yielded that holds a NaN or an infinity.
"""

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm

from innerloop.algorithms import Algorithm
from innerloop.data.episode import Batch
from innerloop.engine import BatchGradient, Chosen, Engine, EngineConfig
from innerloop.params import scaled, snapshot
from innerloop.shapes import Params
from innerloop.training import divergence
from innerloop.training.config import OuterRule, TrainingConfig
from innerloop.training.head_reset import reset_head
from innerloop.training.schedule import factor
from innerloop.training.state import State, is_count

RULES: Mapping[OuterRule, Callable[..., torch.optim.Optimizer]] = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}


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
        DivergedError: A query loss, the meta-gradient or the parameters it leads to are not finite, and the policy is
            `stop`, or has been at it for `PATIENCE` steps in a row; names the outer step, the task and the parameter.
            The states yielded before are untouched.
    """
    engine = engine or Chosen(EngineConfig(), algorithm)
    yield start
    leaves = snapshot(start.params)
    optimizer = RULES[config.outer_rule](list(leaves.values()), lr=config.outer_lr)
    _put_back(optimizer, leaves, start)
    state = start
    for step in range(start.step, config.steps):
        batch = episodes(step)
        result = engine.gradient(leaves, batch, step, seed)
        fault = divergence.in_gradient(engine, leaves, batch, result, step, seed)
        if fault is None:
            after = _updated(algorithm, optimizer, leaves, state, result, config)
            fault = divergence.in_state(after)
        if fault is not None:
            if config.nonfinite == "stop":
                raise divergence.stopped(fault, engine, state.params, batch, step)
            if state.in_a_row + 1 == divergence.PATIENCE:
                raise divergence.exhausted(fault, engine, state.params, batch, step)
            after = _skipped(algorithm, state, fault.where, config)
            _put_back(optimizer, leaves, after)
        state = after
        yield state


def has_moments_of(state: State, config: TrainingConfig) -> bool:
    """Whether a state has what the outer rule keeps of its parameters; before the first update that is nothing."""
    if not state.optimizer and state.in_a_row == state.step:
        return True
    leaves = snapshot(state.params)
    optimizer = RULES[config.outer_rule](list(leaves.values()), lr=0.0)
    for leaf in leaves.values():
        leaf.grad = torch.zeros_like(leaf)
    optimizer.step()
    expected = _tensors(optimizer, leaves)
    return state.optimizer.keys() == expected.keys() and all(
        (value.shape, value.dtype) == (expected[name].shape, expected[name].dtype)
        and (not is_count(name) or value.item() >= 1)
        for name, value in state.optimizer.items()
    )


def clipped(gradient: Params, longest: float | None) -> tuple[Params, float]:
    """Return a gradient scaled down to a norm where it is longer, and its norm before; NaN where none is asked for."""
    if longest is None:
        return gradient, float("nan")
    # In float64, since the square of a large float32 is infinite.
    length = get_total_norm([value.double() for value in gradient.values()]).item()
    return (scaled(gradient, longest / length) if length > longest else gradient), length


def _updated(
    algorithm: Algorithm,
    optimizer: torch.optim.Optimizer,
    leaves: Params,
    state: State,
    result: BatchGradient,
    config: TrainingConfig,
) -> State:
    """Take the outer step, and return where it leads."""
    for group in optimizer.param_groups:
        group["lr"] = config.outer_lr * state.rate * factor(config.outer_schedule, state.step, config.steps)
    gradient, length = clipped(result.gradient, config.clip)
    for name, leaf in leaves.items():
        leaf.grad = gradient[name]
    optimizer.step()
    settled = reset_head(algorithm, leaves, state.first_head, state.step + 1)
    for name, leaf in leaves.items():
        leaf.copy_(settled[name])
    return State(
        state.step + 1,
        snapshot(leaves),
        _tensors(optimizer, leaves),
        state.first_head,
        result.losses.mean().item(),
        result.accuracies.mean().item(),
        rate=state.rate,
        gradient_norm=length,
    )


def _skipped(algorithm: Algorithm, state: State, where: str, config: TrainingConfig) -> State:
    """Return the state after an outer step without an update; what its head policy does between steps is done."""
    return State(
        state.step + 1,
        reset_head(algorithm, snapshot(state.params), state.first_head, state.step + 1),
        state.optimizer,
        state.first_head,
        skipped=where,
        in_a_row=state.in_a_row + 1,
        rate=state.rate / 2 if config.nonfinite == "halve" else state.rate,
    )


def _tensors(optimizer: torch.optim.Optimizer, leaves: Params) -> Params:
    return {
        f"{name}/{key}": value.detach().clone()
        for name, leaf in leaves.items()
        for key, value in optimizer.state[leaf].items()
        if isinstance(value, Tensor)
    }


def _put_back(optimizer: torch.optim.Optimizer, leaves: Params, state: State) -> None:
    """Bring parameters and optimizer to where a state stands."""
    for name, leaf in leaves.items():
        leaf.copy_(state.params[name])
    optimizer.state.clear()
    for key, value in state.optimizer.items():
        name, what = key.rsplit("/", 1)
        optimizer.state[leaves[name]][what] = value.detach().clone()
