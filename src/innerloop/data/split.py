"""A data set: images grouped by class, and classes grouped by the side of meta-learning they are on.

No class stands on two sides. That is checked when a data set is built, not trusted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from innerloop.errors import DataError, did_you_mean

TRAIN, VALIDATION, TEST = "train", "validation", "test"


@dataclass(frozen=True, eq=False)
class Split:
    """The classes of one side, with the images of each.

    Attributes:
        data_set: The data set's name.
        name: `train`, `validation` or `test`.
        images: uint8, [image channel height width]; ink is 255 and paper 0 where that makes sense.
        class_names: One name a class, unique in the whole data set.
        members: For each class, the indices of its images.
    """

    data_set: str
    name: str
    images: NDArray[np.uint8]
    class_names: tuple[str, ...]
    members: tuple[NDArray[np.int64], ...]

    def __post_init__(self) -> None:
        if len(self.class_names) != len(self.members):
            raise DataError(
                f"expected one list of images for each of the {len(self.class_names)} classes of "
                f"'{self.data_set}' {self.name}, got {len(self.members)}"
            )

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of every image."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    def __len__(self) -> int:
        return len(self.class_names)


@dataclass(frozen=True, eq=False)
class DataSet:
    """Splits whose classes are disjoint.

    Raises:
        DataError: A class stands in two splits, or twice in one.
    """

    name: str
    splits: Mapping[str, Split]

    def __post_init__(self) -> None:
        for side, split in self.splits.items():
            if len(set(split.class_names)) != len(split.class_names):
                raise DataError(f"expected every class of '{self.name}' {side} once, got one twice; rename or merge it")
        for (left, first), (right, second) in combinations(self.splits.items(), 2):
            shared = sorted(set(first.class_names) & set(second.class_names))
            if shared:
                raise DataError(
                    f"expected class-disjoint splits of '{self.name}', got {len(shared)} classes in both {left} and "
                    f"{right} ('{shared[0]}' among them); leave each class on one side"
                )

    def split(self, name: str) -> Split:
        """Return the split of this name."""
        if name not in self.splits:
            known = ", ".join(self.splits)
            raise DataError(
                f"data set '{self.name}' has no split '{name}'; it has: {known}.{did_you_mean(name, self.splits)}"
            )
        return self.splits[name]


def split_by_class(
    data_set: str, name: str, images: NDArray[np.uint8], class_of: Sequence[str], keep: Sequence[str] | None = None
) -> Split:
    """Group images by the name of their class.

    Args:
        data_set: The data set's name.
        name: The split's name.
        images: All images, [image channel height width]; not copied.
        class_of: The class name of every image.
        keep: The classes of this split, in order; by default all, in order of appearance.
    """
    members: dict[str, list[int]] = {}
    for index, class_name in enumerate(class_of):
        members.setdefault(class_name, []).append(index)
    names = tuple(members) if keep is None else tuple(keep)
    return Split(data_set, name, images, names, tuple(np.array(members[each], dtype=np.int64) for each in names))
