"""Where an outer step stops being finite: in which task, and in which parameter.

A batch's meta-gradient is a mean, in which one task's NaN is everybody's. Only where the mean is not finite are the
tasks worked out one by one, by the engine that did the batch; over several ranks all do so, since all hold that mean.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from innerloop.algorithms import Algorithm
from innerloop.data.episode import Batch, Episode, part, task_count
from innerloop.engine import BatchGradient, Engine
from innerloop.errors import DivergedError
from innerloop.params import add, first_nonfinite, norm, select
from innerloop.shapes import Params
from innerloop.training.state import State, is_count

# So many batches of other tasks in a row say that the parameters are at fault and no task, and no update mends them.
PATIENCE = 10
NUMBERS = "NaN or infinity"


class Fault(NamedTuple):
    """What is not finite.

    Attributes:
        expected: What should have been.
        got: What was found.
        where: In which task and parameter, as words.
        task: The task's number in its batch; None where no single one is at fault.
    """

    expected: str
    got: str
    where: str
    task: int | None = None


def in_gradient(
    engine: Engine, params: Params, batch: Batch, result: BatchGradient, step: int, seed: int
) -> Fault | None:
    """Return the first task, and in it the first parameter, that made an outer step's gradient or losses not finite.

    Args:
        engine: What the result came from.
        params: The meta-parameters.
        batch: The step's episodes.
        result: What the engine made of them.
        step: Outer steps done.
        seed: What dropout draws from.
    """
    together = first_nonfinite(result.gradient)
    losses = result.losses.tolist()
    if together is None and all(map(math.isfinite, losses)):
        return None
    for task in range(task_count(batch)):
        name = first_nonfinite(engine.gradient(params, part(batch, task, task + 1), step, seed, task).gradient)
        where = f"task {task}" + (f", parameter '{name}'" if name else "")
        if not math.isfinite(losses[task]):
            return Fault("a finite query loss", str(losses[task]), where, task)
        if name is not None:
            return Fault("a finite meta-gradient", NUMBERS, where, task)
    return Fault("a finite meta-gradient", NUMBERS, f"the sum over tasks, parameter '{together}'")


def in_state(state: State) -> Fault | None:
    """Return the first of the parameters, or of the optimizer's tensors, that an update has made not finite."""
    if math.isinf(state.gradient_norm):
        return Fault("a meta-gradient of finite norm", "infinity", "the sum over tasks")
    moments = {name: value for name, value in state.optimizer.items() if not is_count(name)}
    name = first_nonfinite({**state.params, **moments})
    if name is None:
        return None
    kind = "parameter" if name in state.params else "moment"
    return Fault(f"finite {kind}s", NUMBERS, f"the outer update, {kind} '{name}'")


def stopped(fault: Fault, engine: Engine, params: Params, batch: Batch, step: int) -> DivergedError:
    """Return the error that ends training at the first fault."""
    return DivergedError(
        f"expected {fault.expected}, got {fault.got} at outer step {step + 1} in {fault.where}"
        f"{_strayed(engine, params, batch, fault)}; try a smaller inner.lr or training.outer_lr, or a training.clip, "
        "or write nonfinite: skip (or halve) under training in the run's recipe.yaml and go on with --resume; the last "
        "checkpoint is kept"
    )


def exhausted(fault: Fault, engine: Engine, params: Params, batch: Batch, step: int) -> DivergedError:
    """Return the error that ends training at the last of `PATIENCE` faults in a row."""
    return DivergedError(
        f"expected {fault.expected} once in {PATIENCE} outer steps, got none in steps {step + 2 - PATIENCE} to "
        f"{step + 1}, at last {fault.got} in {fault.where}{_strayed(engine, params, batch, fault)}; train anew with a "
        "smaller inner.lr or training.outer_lr, or a training.clip; the last checkpoint is kept"
    )


def _strayed(engine: Engine, params: Params, batch: Batch, fault: Fault) -> str:
    """Say how far the inner loop went on the task at fault, step by step, for an error's message."""
    if fault.task is None or not engine.algorithm.inner.steps:
        return ""
    moved = engine.each(_moved, params, part(batch, fault.task, fault.task + 1))[0].tolist()
    far = ", ".join(f"{each:.2g}" for each in moved)
    return f" (after each inner step the parameters had moved by {far} times their norm)"


def _moved(algorithm: Algorithm, params: Params, episode: Episode) -> Tensor:
    """Return how far the adapted parameters are from their start after each inner step, over its norm [step]."""
    start, *path = [select(each, algorithm.names) for each in algorithm.adapt(params, episode.support).params]
    return torch.stack([norm(add(each, start, -1.0)) / norm(start) for each in path])
