"""A manifest: exactly which examples every episode of an evaluation was made of, by name.

With it another run, another program or another person tests on the very same episodes, so that two learners can be
compared in pairs.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from innerloop.data.episode import Count, EpisodeShape
from innerloop.data.sampler import Choice
from innerloop.data.split import Split
from innerloop.errors import DataError
from innerloop.plain import LARGEST_RESULTS, quoted, read_json

FORMAT = 1


@dataclass(frozen=True)
class Manifest:
    """Episodes by name.

    Attributes:
        data_set: Name of the data set.
        split: Name of its split.
        episodes: For each episode its classes in the order of their slots, and each class's support and query.
        content: The digest of the data set's examples; None where it is not known, and then not checked.
    """

    data_set: str
    split: str
    episodes: tuple[dict[str, Any], ...]
    content: str | None = None

    def to_json(self) -> str:
        """Return the manifest as JSON."""
        values = {
            "format": FORMAT,
            "data_set": self.data_set,
            "split": self.split,
            "content": self.content,
            "episodes": self.episodes,
        }
        return json.dumps(values, ensure_ascii=False)

    @property
    def digest(self) -> str:
        """What tells these episodes from others, in twelve letters."""
        return sha256(self.to_json().encode()).hexdigest()[:12]


def record(split: Split, choices: Sequence[Choice]) -> Manifest:
    """Name what these choices are made of."""
    names = split.names()

    def named(choice: Choice) -> dict[str, Any]:
        return {
            "classes": [split.class_names[each] for each in choice.classes],
            "support": [[names[index] for index in ids] for ids in choice.support],
            "query": [[names[index] for index in ids] for ids in choice.query],
        }

    return Manifest(split.data_set, split.name, tuple(named(choice) for choice in choices), split.content)


def replay(split: Split, manifest: Manifest) -> list[Choice]:
    """Find what a manifest names in a split.

    Raises:
        DataError: The manifest was made on another data set or split, names what is not there, or is of episodes that
            no data set has: classes twice, an example of another class, or one that is asked twice.
    """
    if (manifest.data_set, manifest.split) != (split.data_set, split.name):
        raise DataError(
            f"expected a manifest of '{split.data_set}' {split.name}, got '{manifest.data_set}' {manifest.split}; "
            "name the data and the split it was made on"
        )
    if manifest.content is not None and split.content is not None and manifest.content != split.content:
        raise DataError(
            f"expected the examples of '{split.data_set}' that the manifest was made on, got others of the same names; "
            "name the files it was made on with --data.root"
        )
    classes = {name: index for index, name in enumerate(split.class_names)}
    examples = {name: index for index, name in enumerate(split.names())}
    choices = []
    for number, episode in enumerate(manifest.episodes):
        try:
            choices.append(_choice(split, classes, examples, episode))
        except _OddError as odd:
            raise DataError(
                f"expected {odd.args[0]} in episode {number} of the manifest, got {odd.args[1]}; "
                "use a manifest as `innerloop evaluate` wrote it, and the data it was made on"
            ) from odd
    return choices


class _OddError(Exception):
    """An episode that cannot be: what was expected, and what was found."""


def _choice(
    split: Split, classes: Mapping[str, int], examples: Mapping[str, int], episode: Mapping[str, Any]
) -> Choice:
    names, support, query = (_texts(episode, "classes"), *(_lists(episode, side) for side in ("support", "query")))
    if not 2 <= len(names) == len(support) == len(query):
        got = f"{len(names)} classes, {len(support)} lists of support and {len(query)} of queries"
        raise _OddError("at least two classes, each with its support and its queries", got)
    _refuse_twice(names, "every class once")
    found = []
    for name, *sides in zip(names, support, query, strict=True):
        if name not in classes:
            raise _OddError(f"classes that '{split.data_set}' {split.name} has", f"'{name}'")
        asked = [each for ids in sides for each in ids]
        _refuse_twice(asked, f"every example of '{name}' once, support and queries together")
        rows = np.array([examples.get(each, -1) for each in asked], np.int64)
        foreign = ~np.isin(rows, split.members[classes[name]])
        if foreign.any():
            raise _OddError(f"examples of '{name}'", f"'{asked[int(foreign.argmax())]}', which is none of them")
        found.append(np.split(rows, [len(sides[0])]))
    return Choice(tuple(classes[name] for name in names), *(tuple(side) for side in zip(*found, strict=True)))


def _lists(episode: Mapping[str, Any], side: str) -> list[list[str]]:
    values = episode.get(side)
    if not isinstance(values, list):
        raise _OddError(f"a list '{side}'", type(values).__name__)
    return [_texts({side: each}, side) for each in values]


def _texts(episode: Mapping[str, Any], key: str) -> list[str]:
    values = episode.get(key)
    if not isinstance(values, list) or not values or not all(isinstance(each, str) for each in values):
        raise _OddError(f"a list of names in '{key}'", "something else")
    return values


def _refuse_twice(names: Sequence[str], expected: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise _OddError(expected, f"'{name}' twice")
        seen.add(name)


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
        values = read_json(place, LARGEST_RESULTS)
        if values["format"] != FORMAT:
            raise DataError(
                f"expected a manifest of format {FORMAT} in '{place}', got {quoted(values['format'])}; make it anew"
            )
        episodes = values["episodes"]
        if not isinstance(episodes, list) or not all(isinstance(each, dict) for each in episodes):
            raise TypeError("something else than a list of episodes as 'episodes'")
        if not all(
            isinstance(each, str) for each in (values["data_set"], values["split"], values.get("content") or "")
        ):
            raise TypeError("something else than text as 'data_set', 'split' or 'content'")
        return Manifest(values["data_set"], values["split"], tuple(values["episodes"]), values.get("content"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"expected a manifest in '{place}', got: {error}; make one with `innerloop evaluate`"
        ) from error
