"""Data: real examples, grouped into classes and sides, drawn as episodes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from innerloop.data import digits, omniglot
from innerloop.data.split import DataSet, with_rotations
from innerloop.data.storage import Watch, unwatched
from innerloop.errors import ConfigError, unknown_name


class DataSource(NamedTuple):
    """How a data set is loaded, and what a reader wants to know before doing so.

    Attributes:
        load: Takes the options as keywords and returns the data set.
        summary: What is in it.
        source: Where it comes from, under which licence, and how to get it.
        options: The fields of DataConfig that `load` takes.
        is_prepared: Whether the first use writes it into the cache, which `watch` can show.
    """

    load: Callable[..., DataSet]
    summary: str
    source: str
    options: tuple[str, ...] = ()
    is_prepared: bool = False


def _typeface(watch: Watch = unwatched) -> DataSet:
    from innerloop.data import typeface  # matplotlib is slow to import, and only this data set needs it

    return typeface.load(watch)


DATASETS: Mapping[str, DataSource] = {
    "typeface": DataSource(
        _typeface,
        "letters in up to 16 faces: Latin trains, Armenian and Georgian validate, Greek and Cyrillic test",
        "rendered from the fonts that ship with matplotlib (DejaVu, STIX); no download",
        is_prepared=True,
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
        ("root", "split", "skip_corrupt"),
        is_prepared=True,
    ),
}


@dataclass(frozen=True)
class DataConfig:
    """Which data set, and how it is cut.

    Attributes:
        name: A name of `innerloop data list`.
        root: Folder that holds the data set's files, for data sets that have files.
        split: How classes are divided into sides; omniglot knows `alphabets` (its default) and `characters`.
        rotations: Whether each class of square images turned by 90, 180 and 270 degrees is a class of its own.
        skip_corrupt: Whether images that cannot be read are counted and left out, or are an error.
        size: folder: height and width that images are brought to.
        channels: folder: 1 for grey, 3 for colour.
        crop: folder: `centre` cuts a centred square, `stretch` keeps all and changes the proportions.
    """

    name: str = "typeface"
    root: str | None = None
    split: str | None = None
    rotations: bool | None = None
    skip_corrupt: bool | None = None
    size: int | None = None
    channels: int | None = None
    crop: str | None = None

    def __post_init__(self) -> None:
        if self.name not in DATASETS:
            raise unknown_name("data set", self.name, DATASETS)
        takes = (*DATASETS[self.name].options, "rotations")
        for option in self.chosen:
            if option not in takes:
                raise ConfigError(
                    f"data set '{self.name}' does not take data.{option}; it takes: {', '.join(takes)}. "
                    f"Leave data.{option} out"
                )

    @property
    def chosen(self) -> dict[str, Any]:
        """The options that were given a value."""
        values = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "name"}
        return {option: value for option, value in values.items() if value is not None}


def load(config: DataConfig, watch: Watch = unwatched) -> DataSet:
    """Load a data set by its configuration.

    Args:
        config: Which, and how.
        watch: Shows how far the preparation has come, where there is one.

    Raises:
        DataError: Its files are missing or damaged.
    """
    source = DATASETS[config.name]
    options = {name: value for name, value in config.chosen.items() if name != "rotations"}
    data = source.load(**options, **({"watch": watch} if source.is_prepared else {}))
    return with_rotations(data) if config.rotations else data
