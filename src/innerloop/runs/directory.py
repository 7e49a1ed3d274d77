"""A run's folder: what lies where, how one is begun, and how it is known.

    recipe.yaml            what the run is, resolved: every setting with its value
    run.json               what made it: versions, command, machine, time
    history.jsonl          one line for every outer step
    heads.bin              the head before every outer step, where the recipe asks for it
    snapshots/             the meta-parameters at some outer steps on the way
    last.safetensors       the newest saved state, to continue from
    best.safetensors       the state with the best meta-validation accuracy
    evaluation-*.json      accuracy on unseen classes, episode by episode
    explained/*/           what each analysis found: result.json and its figures
    banks/                 training tasks as vectors, for what holds new tasks against them
    manifest-*.json        the classes and examples of each of those episodes, by name

Every file is plain values or tensors: nothing in a run can run code.
"""

import json
import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import torch

from innerloop.errors import RunError
from innerloop.runs.files import name_of, write_whole
from innerloop.runs.recipe import Recipe, fingerprint, to_yaml

FORMAT = 1


class RunDirectory:
    """Paths inside one run's folder."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.recipe = self.folder / "recipe.yaml"
        self.about = self.folder / "run.json"
        self.history = self.folder / "history.jsonl"
        self.heads = self.folder / "heads.bin"
        self.snapshots = self.folder / "snapshots"
        self.banks = self.folder / "banks"
        self.last = self.folder / "last.safetensors"
        self.best = self.folder / "best.safetensors"

    def evaluation(self, *facts: object) -> Path:
        """Return where the evaluation that these facts tell apart from others is kept."""
        name = "-".join(["evaluation", *(str(fact).replace(" ", "-") for fact in facts)])
        return self.folder / f"{name_of(name)}.json"

    def begin(self, recipe: Recipe, command: str) -> None:
        """Make the folder and write what the run is.

        Raises:
            RunError: Something stands there already, or the folder cannot be made.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            taken = any(self.folder.iterdir())
        except OSError as error:
            raise RunError(
                f"expected to make the run folder '{self.folder}', got: {error.strerror}; choose another with --out"
            ) from error
        if taken:
            raise RunError(
                f"expected a new or empty run folder, got '{self.folder}' with files in it; choose another with --out, "
                "or continue that run with --resume"
            )
        write_whole(self.about, json.dumps({**provenance(command), "recipe": fingerprint(recipe)}, indent=2) + "\n")
        write_whole(self.recipe, to_yaml(recipe))


def provenance(command: str) -> dict[str, str | int]:
    """Return what a reader needs to repeat a result: versions, command, machine, time."""
    return {
        "format": FORMAT,
        "innerloop": version("innerloop"),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads",
        "command": command,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }
