"""A manifest: exactly which examples every episode of an evaluation was made of, by name.

With it another run, another program or another person tests on the very same episodes, so that two learners can be
compared in pairs.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from innerloop.data.episode import Count, EpisodeShape
from innerloop.data.sampler import Choice
from innerloop.data.split import Split
from innerloop.errors import DataError

FORMAT = 1


@dataclass(frozen=True)
class Manifest:
    """Episodes by name.

    Attributes:
        data_set: Name of the data set.
        split: Name of its split.
        episodes: For each episode its classes in the order of their slots, and each class's support and query.
    """

    data_set: str
    split: str
    episodes: tuple[dict[str, Any], ...]

    def to_json(self) -> str:
        """Return the manifest as JSON."""
        values = {"format": FORMAT, "data_set": self.data_set, "split": self.split, "episodes": self.episodes}
        return json.dumps(values, ensure_ascii=False)


def record(split: Split, choices: Sequence[Choice]) -> Manifest:
    """Name what these choices are made of."""
    names = split.names()

    def named(choice: Choice) -> dict[str, Any]:
        return {
            "classes": [split.class_names[each] for each in choice.classes],
            "support": [[names[index] for index in ids] for ids in choice.support],
            "query": [[names[index] for index in ids] for ids in choice.query],
        }

    return Manifest(split.data_set, split.name, tuple(named(choice) for choice in choices))


def replay(split: Split, manifest: Manifest) -> list[Choice]:
    """Find what a manifest names in a split.

    Raises:
        DataError: The manifest was made on another data set or split, or names what is not there.
    """
    if (manifest.data_set, manifest.split) != (split.data_set, split.name):
        raise DataError(
            f"expected a manifest of '{split.data_set}' {split.name}, got '{manifest.data_set}' {manifest.split}; "
            "name the data and the split it was made on"
        )
    classes = {name: index for index, name in enumerate(split.class_names)}
    examples = {name: index for index, name in enumerate(split.names())}

    def found(ids: list[str]) -> NDArray[np.int64]:
        return np.array([examples[each] for each in ids], np.int64)

    try:
        return [
            Choice(
                tuple(classes[name] for name in episode["classes"]),
                tuple(found(ids) for ids in episode["support"]),
                tuple(found(ids) for ids in episode["query"]),
            )
            for episode in manifest.episodes
        ]
    except (KeyError, TypeError) as error:
        raise DataError(
            f"expected only names that '{split.data_set}' {split.name} has, got {error} in the manifest; "
            "use the data set's files it was made on"
        ) from error


def shape_of(choices: Sequence[Choice], asked: EpisodeShape) -> EpisodeShape:
    """Return the shape that replayed episodes have, as ranges where they differ.

    Raises:
        DataError: There is no episode.
    """
    if not choices:
        raise DataError("expected at least one episode in the manifest, got none; make one with `innerloop evaluate`")

    def spread(sizes: Iterable[int]) -> Count:
        found = sorted(set(sizes))
        return found[0] if len(found) == 1 else (found[0], found[-1])

    return replace(
        asked,
        n_way=spread(len(choice.classes) for choice in choices),
        k_shot=spread(len(ids) for choice in choices for ids in choice.support),
        n_queries=spread(len(ids) for choice in choices for ids in choice.query),
    )


def read(place: Path) -> Manifest:
    """Read a manifest.

    Raises:
        DataError: The file is missing, or no manifest.
    """
    try:
        values = json.loads(place.read_text(encoding="utf-8"))
        if values["format"] != FORMAT:
            raise DataError(
                f"expected a manifest of format {FORMAT} in '{place}', got {values['format']}; make it anew"
            )
        return Manifest(values["data_set"], values["split"], tuple(values["episodes"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"expected a manifest in '{place}', got: {error}; make one with `innerloop evaluate`"
        ) from error
