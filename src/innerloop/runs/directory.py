"""A run's folder: what lies where, how one is begun, and how it is known.

    recipe.yaml            what the run is, resolved: every setting with its value
    run.json               what made it: versions, commit, command, machine, engine, time
    lock                   which process writes it, while one does
    history.jsonl          one line for every outer step
    heads.bin              the head before every outer step, where the recipe asks for it
    snapshots/             the meta-parameters at some outer steps on the way
    checkpoints/           the newest saved states, to continue from
    best.safetensors       the state with the best meta-validation accuracy
    evaluation-*.json      accuracy on unseen classes, episode by episode
    explained/*/           what each analysis found: result.json and its figures
    banks/                 training tasks as vectors, for what holds new tasks against them
    manifest-*.json        the classes and examples of each of those episodes, by name

Every file is plain values or tensors: nothing in a run can run code. recipe.yaml is written last when a run is begun: a
folder without it holds no run.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from innerloop.errors import DiskError, RunError
from innerloop.runs import lock
from innerloop.runs.files import drafts, make_folder, name_of, write_whole, written_as
from innerloop.runs.recipe import Recipe, fingerprint, to_yaml

FORMAT = 2  # of the folder; of 1 were runs with one checkpoint, `last.safetensors`, and no digests


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
        self.checkpoints = self.folder / "checkpoints"
        self.only = self.folder / "last.safetensors"
        self.best = self.folder / "best.safetensors"

    def evaluation(self, *facts: object) -> Path:
        """Return where the evaluation that these facts tell apart from others is kept."""
        name = "-".join(["evaluation", *(str(fact).replace(" ", "-") for fact in facts)])
        return self.folder / f"{name_of(name)}.json"

    @property
    def is_free(self) -> bool:
        """Whether a run can be begun here: nothing is here but what one left that ended before it was begun."""
        if not self.folder.exists():
            return True
        left = {self.about, self.folder / lock.NAME, *drafts(self.folder)}
        return all(place in left for place in self.folder.iterdir())

    def made(self) -> lock.Lock:
        """Make the folder, and return the right to write it.

        Raises:
            RunError: Something stands there already, or another process writes it.
            DiskError: The folder cannot be made.
        """
        try:
            os.fsencode(self.folder).decode()
        except UnicodeError as error:  # safetensors opens no such files
            raise RunError(
                f"expected a run folder with a name of letters, got bytes that are no letters in '{self.folder}'; "
                "choose another with --out"
            ) from error
        try:
            make_folder(self.folder, parents=True)
            # Looked at twice: another's folder gets no lock, and two processes may come at once.
            held = lock.Lock(self.folder) if self.is_free else None
            if held is not None and self.is_free:
                return held
        except OSError as error:
            raise DiskError(
                f"expected to make the run folder '{self.folder}', got: {error.strerror}; choose another with --out"
            ) from error
        raise RunError(
            f"expected a new or empty run folder, got '{self.folder}' with files in it; choose another with --out, "
            "or continue that run with --resume"
        )

    def begin(self, recipe: Recipe, about: Mapping[str, Any]) -> dict[str, Any]:
        """Write what the run is, and what made it; return that as it was written.

        Args:
            recipe: What it is.
            about: What made it, as plain values.

        Raises:
            DiskError: It cannot be written.
        """
        self.tidy()
        whole = {"format": FORMAT, **about, "recipe": fingerprint(recipe)}
        self.tell(whole)
        write_whole(self.recipe, to_yaml(recipe))
        return whole

    def continued(
        self, before: Mapping[str, Any], made: Mapping[str, Any], by: Mapping[str, Any], step: int
    ) -> dict[str, Any]:
        """Write that the run was continued, and return what made it.

        Args:
            before: What made it until now.
            made: Versions, command and machine that continue it.
            by: By what it is worked out from here on.
            step: The outer step it goes on from.
        """
        differs = {name: value for name, value in {**made, **by}.items() if value != before.get(name)}
        resumed = [*before.get("resumed", []), {"step": step, **differs}]
        whole = {**before, "format": FORMAT, **by, "resumed": resumed}
        self.tell(whole)
        return whole

    def tell(self, about: Mapping[str, Any]) -> None:
        """Write what made the run."""
        write_whole(self.about, json.dumps(about, indent=2, ensure_ascii=False) + "\n")

    def tidy(self) -> None:
        """Remove what a process left that was killed while it wrote; only whoever has the right to write calls it."""
        # Not all: evaluations and explanations are written by others, at any time.
        own = {place.name for place in (self.about, self.recipe, self.history, self.heads, self.best)}
        left = [draft for draft in drafts(self.folder) if written_as(draft) in own]
        for draft in [*left, *drafts(self.checkpoints), *drafts(self.snapshots)]:
            draft.unlink(missing_ok=True)
