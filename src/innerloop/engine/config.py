"""How the work is done on this machine: nothing here changes what is learned, but for rounding."""

from dataclasses import dataclass, replace
from typing import Literal, get_args

from innerloop.errors import ConfigError, one_of

EngineName = Literal["auto", "loop", "vmap", "compiled", "workers", "closed_form"]
Memory = Literal["auto", "graph", "constant"]
Precision = Literal["float32", "tf32", "bf16"]


@dataclass(frozen=True)
class EngineConfig:
    """How a batch of tasks is computed.

    Attributes:
        name: `loop`: one task after another. `workers`: tasks side by side on threads. `vmap`: all tasks in one go, for
            GPUs. `compiled`: the loop's body compiled, for long trainings. `closed_form`: the encoder run once a task,
            where it stands still in the inner loop. `auto` takes what fits device, network and algorithm.
        memory: What second order keeps: the whole `graph` of the inner loop, or one step of it at a time (`constant`:
            memory does not grow with inner steps, up to 1.3 times slower); `auto`: the graph if it fits.
        precision: `float32`; `tf32`: on a GPU, matrix products with a shorter mantissa; `bf16`: convolutions and matrix
            products in bfloat16, three digits each; gradients end up some percent to tens of percent off
            (docs/performance.md says what that costs). Sums, losses and parameters stay as they are.
        chunk: vmap: how many tasks at once; 0 is as many as fit.
        workers: workers: how many threads; 0 is one a core.
        device: `auto`: a GPU if there is one; else `cpu`, `cuda`, `cuda:1`.
    """

    name: EngineName = "auto"
    memory: Memory = "auto"
    precision: Precision = "float32"
    chunk: int = 0
    workers: int = 0
    device: str = "auto"

    @property
    def of_tests(self) -> "EngineConfig":
        """The same for a test, which has no meta-gradient to compile or to have in closed form, nor a graph to keep."""
        return replace(self, name="auto" if self.name in ("compiled", "closed_form") else self.name, memory="graph")

    def __post_init__(self) -> None:
        for setting, known in (("name", EngineName), ("memory", Memory), ("precision", Precision)):
            one_of(f"engine.{setting}", getattr(self, setting), get_args(known))
        for setting, engine in (("chunk", "vmap"), ("workers", "workers")):
            value = getattr(self, setting)
            if not isinstance(value, int) or value < 0:
                raise ConfigError(
                    f"expected engine.{setting}, a whole number of at least 0, got {value}; 0 leaves it to innerloop"
                )
            if value and self.name not in ("auto", engine):
                raise ConfigError(
                    f"expected engine.name={engine} beside engine.{setting}, got {self.name}; nothing else uses it"
                )
