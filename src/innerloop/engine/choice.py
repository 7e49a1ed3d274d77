"""Which engine does the work: the one asked for, or the one that fits device, network and algorithm.

    on a GPU    vmap where everything in it can be mapped, else the loop
    on a CPU    workers where there are several cores, else the loop
    anywhere    by the closed form where that is exact

Second order goes back over one inner step at a time where the graph of all of them would not fit into memory.

What was chosen is a value, `Made`: a run keeps it and continues by it, whatever another machine would choose.
"""

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from innerloop.algorithms import Algorithm, adjoint, closed_form
from innerloop.data.episode import Batch, Episode, on, stacked, tasks
from innerloop.engine.batch_gradient import BatchGradient
from innerloop.engine.compiled import Compiled
from innerloop.engine.config import EngineConfig
from innerloop.engine.layout import suits
from innerloop.engine.loop import Engine, Loop, PerTask
from innerloop.engine.memory import fits
from innerloop.engine.prepared import Prepared
from innerloop.engine.vmapped import Vmapped
from innerloop.engine.workers import Workers
from innerloop.errors import ConfigError
from innerloop.models import Learner, drawn, seeded
from innerloop.shapes import Params

CLOSED, CONSTANT = "closed form", "constant memory"


@dataclass(frozen=True)
class Made:
    """What an engine turned out to be: all of its own that decides how sums round.

    Attributes:
        mapping: How tasks are mapped: `loop`, `workers`, `vmap` or `compiled`.
        rule: By which rule the meta-gradient is worked out, if not by the algorithm's own.
        chunk: vmap: tasks at once; 0 is all of a batch.
        workers: workers: how many threads.
    """

    mapping: str
    rule: str = ""
    chunk: int = 0
    workers: int = 0


def build(
    config: EngineConfig, algorithm: Algorithm, params: Params, batch: Batch, as_before: Made | None = None
) -> Prepared:
    """Return the engine that does an algorithm's work on this device.

    Args:
        config: What was asked for.
        algorithm: What is mapped over tasks.
        params: Meta-parameters, on the device of the work.
        batch: Episodes like those to come, to try things on.
        as_before: What was made of the same before, to be made again.

    Raises:
        ConfigError: What was asked for cannot be done, or not exactly.
    """
    device = next(iter(params.values())).device
    if config.precision == "tf32" and device.type != "cuda":
        raise ConfigError("expected a GPU for engine.precision=tf32, got a CPU, which has none; use float32 or bf16")
    episode = next(tasks(on(batch, device)))
    random = algorithm.axes.draws or _draws(algorithm, params, episode)
    if random and config.name not in ("auto", "loop"):
        raise ConfigError(
            f"expected {'algorithm.noise=0' if algorithm.axes.draws else 'a network without dropout'} for engine "
            f"{config.name}, got one that draws random numbers, which only the loop can repeat; use engine loop"
        )
    if config.precision == "bf16":
        if device.type == "cpu" and config.name == "vmap":
            raise ConfigError(
                "expected engine.precision=float32 for engine vmap on a CPU, got bf16, in which BatchNorm cannot be "
                "mapped there; use engine workers"
            )
        algorithm = replace(algorithm, learner=algorithm.learner.rounded(torch.bfloat16))
    if as_before is None:
        algorithm = _ruled(config, algorithm, params, episode, random)
        name = _mapping(config, algorithm, params, episode, random)
        chunk, workers = config.chunk, config.workers or cores()
    else:
        algorithm = _by(as_before.rule, algorithm)
        name, chunk, workers = as_before.mapping, as_before.chunk, as_before.workers
    if device.type == "cpu" and name in ("loop", "workers"):
        algorithm = replace(algorithm, learner=_quick(algorithm))
    engine: Engine
    if name == "vmap":
        engine = Vmapped(algorithm, chunk)
    elif name == "compiled":
        engine = Compiled(algorithm)
    elif name == "workers":
        engine = Workers(algorithm, workers)
    else:
        engine = Loop(algorithm)
    laid = name in ("loop", "workers") and suits(algorithm, params, episode)
    return Prepared(engine, laid, config.precision, _rule(algorithm))


def _made(built: Prepared) -> Made:
    """Return what does the work by now: a chunk that did not fit is smaller, what cannot be compiled is looped over."""
    engine = built.engine
    return Made(
        engine.name,
        built.rule,
        chunk=engine.chunk if isinstance(engine, Vmapped) else 0,
        workers=engine.count if isinstance(engine, Workers) else 0,
    )


def cores() -> int:
    """Return how many cores this process may use: torch's threads, so that OMP_NUM_THREADS and ranks decide."""
    return torch.get_num_threads()


def _ruled(config: EngineConfig, algorithm: Algorithm, params: Params, episode: Episode, random: bool) -> Algorithm:
    """Return the algorithm with the rule that gives its meta-gradient most cheaply."""
    departs = closed_form.departure(algorithm)
    if config.name == "closed_form" and departs is not None:
        raise ConfigError(
            f"expected an algorithm whose encoder stands still in the inner loop for engine closed_form, got one of "
            f"which {departs}; use engine auto"
        )
    if config.name in ("auto", "closed_form") and departs is None and not random:
        return _by(CLOSED, algorithm)
    if algorithm.order != "second" or algorithm.axes.objective != "query_loss" or algorithm.inner.steps < 2:
        return algorithm
    if config.memory == "constant" and config.name in ("vmap", "compiled"):
        raise ConfigError(
            f"expected engine loop or workers with engine.memory=constant, got {config.name}; it keeps the whole graph"
        )
    at_once = (config.workers or cores()) if config.name in ("auto", "workers") else 1
    constant = config.memory == "constant" or (
        config.memory == "auto"
        and config.name in ("auto", "loop", "workers")
        and not fits(algorithm, params, episode, at_once)
    )
    return _by(CONSTANT, algorithm) if constant else algorithm


def _by(rule: str, algorithm: Algorithm) -> Algorithm:
    """Return the algorithm with this rule in the place of its own; "" is its own."""
    if rule == CLOSED:
        by = closed_form.meta_gradient
        return replace(algorithm, rules={**algorithm.rules, "second": by, "first": by})
    return replace(algorithm, rules={**algorithm.rules, "second": adjoint.meta_gradient}) if rule else algorithm


def _mapping(config: EngineConfig, algorithm: Algorithm, params: Params, episode: Episode, random: bool) -> str:
    """Return which way tasks are mapped."""
    if config.name == "vmap":
        Vmapped(algorithm, 1).gradient(params, stacked([episode]))  # refuses what cannot be mapped
    if config.name not in ("auto", "closed_form"):
        return config.name
    on_cpu = next(iter(params.values())).device.type == "cpu"
    if on_cpu:
        return "loop" if random or cores() == 1 else "workers"
    if random or algorithm.rules["second"] is adjoint.meta_gradient:
        return "loop"
    try:
        Vmapped(algorithm).gradient(params, stacked([episode, episode]))
    except ConfigError:
        return "loop"
    return "vmap"


def _quick(algorithm: Algorithm) -> Learner:
    """Return the learner with layers that are fast on a CPU for as many derivatives as the algorithm takes."""
    once = algorithm.rules["second"] is closed_form.meta_gradient or not algorithm.axes.curves
    return algorithm.learner.pooled() if once else algorithm.learner.curved()


def _draws(algorithm: Algorithm, params: Params, episode: Episode) -> bool:
    """Whether the network draws random numbers: the generators stand elsewhere after it ran."""
    with seeded(0), torch.no_grad():
        before = drawn()
        algorithm.learner.logits(params, episode.support.inputs)
        return any(not torch.equal(one, other) for one, other in zip(before, drawn(), strict=True))


def _rule(algorithm: Algorithm) -> str:
    """Return by which rule it works, if not by its own."""
    rule = algorithm.rules["second"]
    if rule is closed_form.meta_gradient:
        return CLOSED
    return CONSTANT if rule is adjoint.meta_gradient else ""


@dataclass
class Chosen:
    """An engine that is built when the first batch comes, since it takes episodes to know what fits.

    Attributes:
        config: What was asked for.
        algorithm: What is mapped.
        as_before: What was made of them before, to be made again.
    """

    config: EngineConfig
    algorithm: Algorithm
    as_before: Made | None = None
    _built: Prepared | None = field(default=None, init=False)

    @property
    def name(self) -> str:
        """What does the work; what was asked for as long as there was none."""
        return self.config.name if self._built is None else self._built.name

    @property
    def made(self) -> Made | None:
        """What does the work, as it could be made again; None as long as there was none."""
        return None if self._built is None else _made(self._built)

    def gradient(self, params: Params, batch: Batch, step: int = 0, seed: int = 0, first: int = 0) -> BatchGradient:
        """Return the mean meta-gradient of an outer step, as `Loop.gradient`."""
        return self.begin(params, batch).gradient(params, batch, step, seed, first)

    def each(self, function: PerTask, params: Params, batch: Batch) -> Tensor:
        """Return what the function says of every episode [task ...]."""
        return self.begin(params, batch).each(function, params, batch)

    def begin(self, params: Params, batch: Batch) -> Engine:
        """Build the engine, if there is none yet, for episodes like these.

        Raises:
            ConfigError: What was asked for cannot be done, or not exactly.
        """
        if self._built is None:
            self._built = build(self.config, self.algorithm, params, batch, self.as_before)
        return self._built
