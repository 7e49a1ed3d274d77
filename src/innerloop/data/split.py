"""A data set: examples grouped by class, and classes grouped by the side of meta-learning they are on.

No class stands on two sides. That is checked when a data set is built, not trusted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from innerloop.data.family import Family
from innerloop.data.storage import LeftOut, Prepared
from innerloop.errors import ConfigError, DataError, did_you_mean

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SIDES = (TRAIN, VALIDATION, TEST)


@dataclass(frozen=True, eq=False)
class Split:
    """The classes of one side, with the examples of each.

    Attributes:
        data_set: The data set's name.
        name: `train`, `validation` or `test`.
        inputs: All examples of the data set, [example *dims]; images are uint8 [example channel height width] with
            ink 255 and paper 0 where that makes sense, anything else is float32.
        class_names: One name a class, unique in the whole data set.
        members: For each class, the indices of its examples.
        turns: For each class, by how many quarter turns its images are turned.
        example_names: Every example's name; by default its index.
        content: A digest of all examples of the data set, which tells it from another of the same names.
    """

    data_set: str
    name: str
    inputs: NDArray[Any]
    class_names: tuple[str, ...]
    members: tuple[NDArray[np.int64], ...]
    turns: tuple[int, ...] = ()
    example_names: Sequence[str] = ()
    content: str | None = None

    def __post_init__(self) -> None:
        if len(self.class_names) != len(self.members):
            raise DataError(
                f"expected one list of examples for each of the {len(self.class_names)} classes of "
                f"'{self.data_set}' {self.name}, got {len(self.members)}"
            )

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one example: channels, height and width for images."""
        return self.inputs.shape[1:]

    def names(self) -> Sequence[str]:
        """Return every example's name, in the order of `inputs`."""
        return self.example_names or [str(index) for index in range(len(self.inputs))]

    def __len__(self) -> int:
        return len(self.class_names)


@dataclass(frozen=True, eq=False)
class DataSet:
    """Splits whose classes are disjoint.

    Attributes:
        name: The data set's name.
        splits: Its sides by name.
        left_out: Examples that were not taken, with the reason.

    Raises:
        DataError: A class stands in two splits, or twice in one.
    """

    name: str
    splits: Mapping[str, Split | Family]
    left_out: tuple[LeftOut, ...] = field(default=())

    def __post_init__(self) -> None:
        stored = {side: split for side, split in self.splits.items() if isinstance(split, Split)}
        for side, split in stored.items():
            if len(set(split.class_names)) != len(split.class_names):
                raise DataError(f"expected every class of '{self.name}' {side} once, got one twice; rename or merge it")
        for (left, first), (right, second) in combinations(stored.items(), 2):
            shared = sorted(set(first.class_names) & set(second.class_names))
            if shared:
                raise DataError(
                    f"expected class-disjoint splits of '{self.name}', got {len(shared)} classes in both {left} and "
                    f"{right} ('{shared[0]}' among them); leave each class on one side"
                )

    def classes(self, name: str) -> Split:
        """Return the split of this name, of a data set that has classes.

        Raises:
            DataError: It has no such split, or its tasks are given by a formula.
        """
        return with_classes(self.split(name))

    @cached_property
    def digest(self) -> str:
        """A few letters that differ where any example does, or the side a class is on; nothing for formulas alone."""
        stored = [split for split in self.splits.values() if isinstance(split, Split)]
        told = [(split.name, split.content, split.class_names, list(map(len, split.members))) for split in stored]
        return sha256(repr(told).encode()).hexdigest()[:12] if told else ""

    def split(self, name: str) -> Split | Family:
        """Return the split of this name."""
        if name not in self.splits:
            known = ", ".join(self.splits)
            raise DataError(
                f"data set '{self.name}' has no split '{name}'; it has: {known}.{did_you_mean(name, self.splits)}"
            )
        return self.splits[name]


def rooted(name: str, root: str | None) -> Path:
    """Return the place of a data set that has to be told where its files are.

    Raises:
        DataError: It was not told, or there is nothing.
    """
    if root is None:
        raise DataError(f"expected --data.root for '{name}', got none; `innerloop data list` says what belongs there")
    place = Path(root)
    if not place.exists():
        raise DataError(f"expected the files of '{name}' at '{root}', got nothing there; correct --data.root")
    return place


def with_classes(split: Split | Family) -> Split:
    """Return the split, where it has classes and stored examples.

    Raises:
        DataError: Its tasks are given by a formula.
    """
    if isinstance(split, Family):
        raise DataError(
            f"expected a data set with stored examples, got '{split.data_set}', whose tasks are given by a formula; "
            "name one that has them (`innerloop data list`)"
        )
    return split


def data_set(name: str, prepared: Prepared, sides: Mapping[str, Sequence[str]]) -> DataSet:
    """Make a data set of prepared images and the classes of each side.

    Classes without any image left are not in it.
    """
    order = np.argsort(prepared.labels, kind="stable")
    bounds = np.searchsorted(prepared.labels[order], np.arange(len(prepared.class_names) + 1))
    members = {
        class_name: order[bounds[index] : bounds[index + 1]] for index, class_name in enumerate(prepared.class_names)
    }
    splits = {}
    for side, names in sides.items():
        there = tuple(each for each in names if each in members)
        splits[side] = Split(
            name,
            side,
            prepared.images,
            there,
            tuple(members[each] for each in there),
            example_names=prepared.example_names,
            content=prepared.content,
        )
    return DataSet(name, splits, prepared.left_out)


def split_by_class(
    data_set: str, name: str, inputs: NDArray[Any], class_of: Sequence[str], keep: Sequence[str] | None = None
) -> Split:
    """Group examples in memory by the name of their class.

    Args:
        data_set: The data set's name.
        name: The split's name.
        inputs: All examples, [example *dims]; not copied.
        class_of: The class name of every example.
        keep: The classes of this split, in order; by default all, in order of appearance.
    """
    members: dict[str, list[int]] = {}
    for index, class_name in enumerate(class_of):
        members.setdefault(class_name, []).append(index)
    names = tuple(members) if keep is None else tuple(keep)
    return Split(data_set, name, inputs, names, tuple(np.array(members[each], dtype=np.int64) for each in names))


def with_rotations(data: DataSet) -> DataSet:
    """Return the data set with each class turned by 90, 180 and 270 degrees as classes of their own, on its side.

    Raises:
        ConfigError: The examples are not square images.
    """
    sides = {side: data.classes(side) for side in data.splits}
    shape = next(iter(sides.values())).input_shape
    if len(shape) != 3 or shape[1] != shape[2]:
        raise ConfigError(f"expected square images to turn, got examples of shape {shape}; leave data.rotations out")
    name = f"{data.name}-rotations"
    splits = {
        side: replace(
            split,
            data_set=name,
            class_names=tuple(
                f"{each}@{90 * turn}" if turn else each for turn in range(4) for each in split.class_names
            ),
            members=split.members * 4,
            turns=tuple(turn for turn in range(4) for _ in split.class_names),
        )
        for side, split in sides.items()
    }
    return replace(data, name=name, splits=splits)
