"""A run read back from its folder."""

import json
import re
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from innerloop.algorithms import Algorithm
from innerloop.data import DataConfig
from innerloop.data.episode import spelled
from innerloop.data.family import Family
from innerloop.data.manifest import Manifest
from innerloop.data.split import Split
from innerloop.errors import ConfigError, DamagedError, RunError, RunWarning
from innerloop.plain import LARGEST_RESULTS, LARGEST_SETTINGS, made, parse_json, read_text
from innerloop.runs import explanation, history, saves, snapshots
from innerloop.runs.checkpoint import read_checkpoint, steps_in, whose
from innerloop.runs.directory import FORMAT, RunDirectory
from innerloop.runs.files import write_whole
from innerloop.runs.recipe import Recipe, fingerprint, from_yaml, untrained
from innerloop.shapes import Params
from innerloop.training import Evaluation, State

Which = Literal["best", "last"]
BEST_LOST = "restore it, test the last one instead (--checkpoint=last), or train again"


@dataclass(frozen=True, eq=False)
class KeptEvaluation:
    """An evaluation with what a reader needs to repeat it: command, checkpoint, data, and the manifest where kept."""

    command: str
    checkpoint: Which
    data: DataConfig
    evaluation: Evaluation
    manifest: Manifest | None = None


@dataclass(frozen=True, eq=False)
class OpenedRun:
    """A run's folder with its recipe, history and provenance in memory; checkpoints are read when asked for."""

    directory: RunDirectory
    recipe: Recipe
    history: list[history.Record]
    about: dict[str, Any]
    title: str = ""

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.directory.folder.resolve().name

    @property
    def is_as_begun(self) -> bool:
        """Whether the recipe is still the one the run was begun with, or nothing says what that was."""
        # Where the data lie was part of it once, and is what a run of that time has to be asked by.
        begun = self.about.get("recipe", "")
        return begun in ("", fingerprint(self.recipe), fingerprint(self.recipe, with_root=True))

    def state(self, which: Which = "best") -> State:
        """Read a checkpoint.

        Raises:
            RunError: There is none, or it is damaged (of the last, all that are kept).
        """
        of = whose(self.about)
        if self.chosen(which) == "best":
            state, best = read_checkpoint(self.directory.best, of, BEST_LOST)
            if best.step != state.step:
                raise DamagedError(f"expected the best checkpoint at '{self.directory.best}', got another; {BEST_LOST}")
            return state
        found = saves.newest(self.directory, of)
        if found is None:
            raise RunError(f"expected a checkpoint in '{self.directory.checkpoints}', got none; train the run first")
        return found[0]

    def snapshots(self) -> tuple[int, ...]:
        """Return the outer steps whose parameters were kept on the way; none for a run from before that was done."""
        return steps_in(self.directory.snapshots)

    def snapshot(self, step: int) -> Params:
        """Read the meta-parameters as they were after one of these outer steps.

        Raises:
            RunError: They were not kept, or the file is damaged.
        """
        return snapshots.read(self.directory.snapshots, step, whose(self.about))

    def chosen(self, which: Which) -> Which:
        """Return which checkpoint is meant: a run that validated nothing has no best, and its last is taken."""
        # The file as well: a history can be lost.
        validated = any("validation" in record for record in self.history) or self.directory.best.exists()
        return "last" if which == "last" or not validated else "best"

    def evaluations(self) -> list[KeptEvaluation]:
        """Read all evaluations of the run, in the order of their names."""
        return [_kept(place) for place in sorted(self.directory.folder.glob("evaluation-*.json"))]

    def explanations(self) -> list[explanation.KeptExplanation]:
        """Read all explanations of the run, in the order of their names."""
        return explanation.kept_in(self.directory.folder)

    def learned(self, split: Split | Family, which: Which = "best") -> tuple[Algorithm, State]:
        """Return the run's algorithm, made for a split, and a checkpoint's state.

        Raises:
            RunError: There is no such checkpoint, or a damaged one.
            ConfigError: The split's examples do not fit the run's network.
        """
        state = self.state(which)
        # A classifier over all training classes has as many rows as it was trained with, whatever the split.
        rows = len(state.params["head.weight"]) if self.recipe.algorithm.axes.is_joint else None
        algorithm = untrained(self.recipe, split, rows)
        expected = algorithm.initial_params()
        if {name: value.shape for name, value in state.params.items()} != {
            name: value.shape for name, value in expected.items()
        }:
            size = "x".join(map(str, split.input_shape))
            raise ConfigError(
                f"expected images that fit the run's network, got {size} in '{split.data_set}'; "
                "test on data of the size it was trained on"
            )
        if any(value.dtype != expected[name].dtype for name, value in state.params.items()):
            raise RunError(
                f"expected parameters of this run's network in '{self.directory.folder}', got some of another type; "
                "restore its checkpoints, or train again"
            )
        return algorithm, state

    def keep(self, kept: KeptEvaluation) -> Path:
        """Write an evaluation into the run, and return where."""
        result = kept.evaluation
        place = self.directory.evaluation(
            result.data_set,
            result.split,
            result.shape.described(classes=result.measure == "accuracy"),
            f"{spelled(result.shape.n_queries)} queries",
            f"{len(result.as_trained)} episodes",
            f"manifest {result.manifest}" if result.seed is None else f"seed {result.seed}",
            f"{result.inner_steps} steps",
            f"lr {result.inner_lr!r}",
            *([f"{result.head} head"] if result.head != "params" else []),
            kept.checkpoint,
        )
        content = {
            "command": kept.command,
            "checkpoint": kept.checkpoint,
            "data": asdict(kept.data),
            "evaluation": result.to_json(),
        }
        if kept.manifest is not None:  # first: an evaluation that is there has its manifest
            write_whole(place.with_name(place.name.replace("evaluation-", "manifest-", 1)), kept.manifest.to_json())
        write_whole(place, json.dumps(content) + "\n")
        return place


def open_together(folders: Sequence[str | Path]) -> list[OpenedRun]:
    """Open runs to be compared; runs of one name are titled by as much of their path as tells them apart.

    Raises:
        RunError: One is no run, or is given twice.
    """
    runs = [open_run(folder) for folder in folders]
    places = [run.directory.folder.resolve() for run in runs]
    if len(set(places)) != len(places):
        raise RunError("expected every run once, got one twice; name different folders to compare")
    words = [re.sub("[-_ ]+", " ", run.name) for run in runs]
    return [
        run if words.count(word) == 1 else replace(run, title=_telling(place, places))
        for run, word, place in zip(runs, words, places, strict=True)
    ]


def _telling(place: Path, places: Sequence[Path]) -> str:
    """Return as much of the end of a path as no other has."""
    others = [other for other in places if other != place]
    for length in range(2, len(place.parts)):
        ending = place.parts[-length:]
        if all(other.parts[-length:] != ending for other in others):
            return "/".join(ending)
    return str(place)


def open_run(folder: str | Path, to_resume: bool = False) -> OpenedRun:
    """Open a run.

    Args:
        folder: The run's.
        to_resume: Whether to go on with it, which a changed recipe is refused for and not warned of.

    Warns:
        RunWarning: Its recipe is not the one it was begun with.

    Raises:
        RunError: The folder holds no run, or a damaged one.
    """
    directory = RunDirectory(folder)
    if not directory.recipe.is_file():
        raise RunError(f"expected a run folder with recipe.yaml, got '{folder}'; name a folder that `train` made")
    about = _json(directory.about, "restore it, or train anew") if directory.about.exists() else {}
    _refuse_unknown(directory, about)
    run = OpenedRun(
        directory,
        from_yaml(_text(directory.recipe, LARGEST_SETTINGS), str(directory.recipe)),
        history.read(directory.history),
        about,
        directory.folder.resolve().name,
    )
    if not to_resume and not run.is_as_begun:
        warnings.warn(
            f"'{directory.recipe}' was changed since the run began with it: what is told of it holds for the changed "
            "one; change it back, or train anew with it",
            RunWarning,
            stacklevel=2,
        )
    return run


def _refuse_unknown(directory: RunDirectory, about: dict[str, Any]) -> None:
    known = about.get("format", FORMAT)
    if type(known) is not int or not 1 <= known <= FORMAT:
        raise RunError(
            f"expected a run of format 1 to {FORMAT} in '{directory.folder}', got {known!r:.40}, of innerloop "
            f"{about.get('innerloop', 'unknown')!s:.40}; open it with that version or a later one"
        )
    resumed = about.get("resumed", [])
    if not isinstance(resumed, list) or not all(isinstance(each, dict) for each in resumed):
        raise RunError(f"expected what continued the run in '{directory.about}', got something else; restore it")


def _kept(place: Path) -> KeptEvaluation:
    values = _json(place)
    try:
        evaluation = Evaluation.from_json(values.pop("evaluation", None))
        return made(KeptEvaluation, values, ready={"evaluation": evaluation})
    except (ValueError, ConfigError) as error:
        raise RunError(f"expected an evaluation in '{place}', got something else ({error}); evaluate again") from error


def _json(place: Path, cure: str = "delete the file and make it again") -> dict[str, Any]:
    try:
        values: dict[str, Any] = parse_json(_text(place, LARGEST_RESULTS))
    except ValueError as error:
        raise RunError(f"expected JSON in '{place}', got: {error}; {cure}") from error
    if not isinstance(values, dict):
        raise RunError(f"expected named values in '{place}', got {type(values).__name__}; {cure}")
    return values


def _text(place: Path, largest: int) -> str:
    try:
        return read_text(place, largest)
    except (OSError, ValueError) as error:
        raise RunError(f"expected text in '{place}', got: {error}; restore the file or make it again") from error
