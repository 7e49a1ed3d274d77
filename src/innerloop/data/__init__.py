"""Data: real images, grouped into classes and sides, drawn as episodes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from innerloop.data import digits, omniglot
from innerloop.data.split import DataSet
from innerloop.errors import ConfigError, unknown_name


class DataSource(NamedTuple):
    """How a data set is loaded, and what a reader wants to know before doing so.

    `options` are the fields of DataConfig that `load` takes.
    """

    load: Callable[..., DataSet]
    summary: str
    source: str
    options: tuple[str, ...] = ()


def _typeface() -> DataSet:
    from innerloop.data import typeface  # matplotlib is slow to import, and only this data set needs it

    return typeface.load()


DATASETS: Mapping[str, DataSource] = {
    "typeface": DataSource(
        _typeface,
        "letters in up to 16 faces: Latin trains, Armenian and Georgian validate, Greek and Cyrillic test",
        "rendered from the fonts that ship with matplotlib (DejaVu, STIX); no download",
    ),
    "digits": DataSource(
        digits.load,
        "1,797 real handwritten digits, meta-test only",
        "UCI optical recognition of handwritten digits, shipped with scikit-learn; no download",
    ),
    "omniglot": DataSource(
        omniglot.load,
        "1,623 handwritten characters of 50 alphabets, 20 drawers each",
        "Lake et al. 2015, MIT licence; --data.root FOLDER with the two zips, else downloaded",
        ("root", "split", "rotations"),
    ),
}


@dataclass(frozen=True)
class DataConfig:
    """Which data set, and how it is cut.

    Attributes:
        name: A name of `innerloop data list`.
        root: Folder that holds the data set's files, for data sets that have files.
        split: How classes are divided into sides; omniglot knows `alphabets` (its default) and `characters`.
        rotations: omniglot: whether each character turned by 90, 180 and 270 degrees is a class of its own.
    """

    name: str = "typeface"
    root: str | None = None
    split: str | None = None
    rotations: bool | None = None

    def __post_init__(self) -> None:
        if self.name not in DATASETS:
            raise unknown_name("data set", self.name, DATASETS)
        for option in self.chosen:
            if option not in DATASETS[self.name].options:
                takes = ", ".join(DATASETS[self.name].options) or "no options"
                raise ConfigError(
                    f"data set '{self.name}' does not take data.{option}; it takes: {takes}. Leave data.{option} out"
                )

    @property
    def chosen(self) -> dict[str, str | bool]:
        """The options that were given a value."""
        values = {"root": self.root, "split": self.split, "rotations": self.rotations}
        return {option: value for option, value in values.items() if value is not None}


def load(config: DataConfig) -> DataSet:
    """Load a data set by its configuration.

    Raises:
        DataError: Its files are missing or damaged.
    """
    return DATASETS[config.name].load(**config.chosen)
