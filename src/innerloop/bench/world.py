"""What every contender is given: the same parameters, the same episodes and the same recipe, in one file.

A file, because each contender is a process of its own; tensors and text only, so that a contender that knows nothing of
innerloop's recipes can read what it needs.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from innerloop.data.episode import Batch, Episode, Examples, stacked, tasks
from innerloop.shapes import Params


@dataclass(frozen=True)
class Told:
    """What is told of a world beside its tensors.

    Attributes:
        names: The parameters in the module's own order, the head's last.
        head: Which of them are the head's.
        lr: Rate of the inner steps.
        steps: How many inner steps.
        first_order: Whether the inner gradients are constants to the outer one.
        outputs: How many rows the head has.
        recipe: All of it, as YAML.
    """

    names: list[str]
    head: list[str]
    lr: float
    steps: int
    first_order: bool
    outputs: int
    recipe: str


@dataclass(frozen=True)
class World:
    """Parameters to start from, the episodes of one outer step, and what is told of them."""

    params: Params
    batch: Batch
    told: Told

    @property
    def values(self) -> list[torch.Tensor]:
        """The parameters in the module's own order."""
        return [self.params[name] for name in self.told.names]

    @property
    def episodes(self) -> list[Episode]:
        """The episodes one by one."""
        return list(tasks(self.batch))

    def double(self) -> "World":
        """Return the same world in float64."""
        params = {name: value.double() for name, value in self.params.items()}
        episodes = [
            Episode(*(Examples(side.inputs.double(), side.targets) for side in episode)) for episode in self.episodes
        ]
        return World(params, stacked(episodes), self.told)


def save(world: World, path: Path) -> None:
    """Write a world."""
    tensors = {f"params/{name}": value.contiguous() for name, value in world.params.items()}
    for index, episode in enumerate(world.episodes):
        for side, examples in zip(Episode._fields, episode, strict=True):
            for what, values in zip(Examples._fields, examples, strict=True):
                # A copy, since tensors that share memory cannot be written.
                tensors[f"episodes/{index}/{side}/{what}"] = values.clone()
    save_file(tensors, path, {"told": json.dumps(asdict(world.told)), "episodes": str(len(world.episodes))})


def load(path: Path, device: str = "cpu") -> World:
    """Read a world, with its tensors on a device."""
    with safe_open(path, framework="pt", device=device) as file:
        told, count = Told(**json.loads(file.metadata()["told"])), int(file.metadata()["episodes"])
        params = {name: file.get_tensor(f"params/{name}") for name in told.names}
        episodes = [
            Episode(
                *(
                    Examples(*(file.get_tensor(f"episodes/{index}/{side}/{what}") for what in Examples._fields))
                    for side in Episode._fields
                )
            )
            for index in range(count)
        ]
    return World(params, stacked(episodes), told)
