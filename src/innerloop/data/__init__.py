"""Data: real examples, grouped into classes and sides, drawn as episodes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from innerloop.data import arrays, cifar_fs, digits, families, fc100, folder, mini_imagenet, omniglot, tiny_imagenet
from innerloop.data.split import DataSet, data_set, rooted, with_rotations
from innerloop.data.storage import Watch, prepared, unwatched
from innerloop.errors import ConfigError, unknown_name


class DataSource(NamedTuple):
    """How a data set is loaded, and what a reader wants to know before doing so.

    Attributes:
        load: Takes the options as keywords and returns the data set.
        summary: What is in it.
        source: Where it comes from, under which licence, and how to get it.
        options: The fields of DataConfig that it takes; `rotations` is done after loading.
        is_prepared: Whether the first use writes it into the cache, which `watch` can show.
        is_yours: Whether what it holds is the user's: two of this name need have nothing in common.
        has_classes: Whether targets are classes, not real values.
    """

    load: Callable[..., DataSet]
    summary: str
    source: str
    options: tuple[str, ...] = ()
    is_prepared: bool = False
    is_yours: bool = False
    has_classes: bool = True


def _typeface(watch: Watch = unwatched) -> DataSet:
    from innerloop.data import typeface  # matplotlib is slow to import, and only this data set needs it

    return typeface.load(watch)


def _images(name: str, room: Any) -> Callable[..., DataSet]:
    """Return the loader of a data set whose file lists its images: `items`, `sides`, `fingerprint` and `SHAPE`."""

    def load(root: str | None = None, skip_corrupt: bool = False, watch: Watch = unwatched) -> DataSet:
        place = rooted(name, root)
        images = prepared(
            name,
            room.fingerprint(place),
            room.SHAPE,
            lambda: room.items(place),
            skip_corrupt=skip_corrupt,
            watch=watch,
        )
        return data_set(name, images, room.sides(list(images.class_names)))

    return load


DATASETS: Mapping[str, DataSource] = {
    "typeface": DataSource(
        _typeface,
        "letters in up to 16 faces: Latin trains, Armenian and Georgian validate, Greek and Cyrillic test",
        "rendered from the fonts that ship with matplotlib (DejaVu, STIX); no download",
        ("rotations",),
        is_prepared=True,
    ),
    "digits": DataSource(
        digits.load,
        "1,797 real handwritten digits, meta-test only",
        "UCI optical recognition of handwritten digits, shipped with scikit-learn; no download",
        ("rotations",),
    ),
    "omniglot": DataSource(
        omniglot.load,
        "1,623 handwritten characters of 50 alphabets, 20 drawers each",
        "Lake et al. 2015, MIT licence; --data.root FOLDER with the two zips, else downloaded",
        ("root", "split", "skip_corrupt", "rotations"),
        is_prepared=True,
    ),
    "mini_imagenet": DataSource(
        _images("mini_imagenet", mini_imagenet),
        "100 ImageNet classes of 600 images, 84x84, in the split of Ravi and Larochelle",
        "--data.root FOLDER with train.csv, val.csv, test.csv and images/, or the three mini-imagenet-cache-*.pkl; "
        "ImageNet's terms",
        ("root", "skip_corrupt", "rotations"),
        is_prepared=True,
    ),
    "tiny_imagenet": DataSource(
        _images("tiny_imagenet", tiny_imagenet),
        "100 classes of Tiny-ImageNet, 64x64, in a fixed 64/16/20 split",
        "--data.root FOLDER with tiny-imagenet-200.zip (Stanford CS231n) or its unpacked folder; ImageNet's terms",
        ("root", "skip_corrupt", "rotations"),
        is_prepared=True,
    ),
    "cifar_fs": DataSource(
        _images("cifar_fs", cifar_fs),
        "CIFAR-100's classes, 32x32, in the 64/16/20 split of Bertinetto et al.",
        "--data.root FOLDER with cifar-100-python.tar.gz or its unpacked folder",
        ("root", "skip_corrupt", "rotations"),
        is_prepared=True,
    ),
    "fc100": DataSource(
        _images("fc100", fc100),
        "CIFAR-100's classes, 32x32, divided by superclass 60/20/20 as Oreshkin et al. did",
        "--data.root FOLDER with cifar-100-python.tar.gz or its unpacked folder",
        ("root", "skip_corrupt", "rotations"),
        is_prepared=True,
    ),
    "folder": DataSource(
        folder.load,
        "your own images: train/validation/test folders of class folders, or one folder and a CSV",
        "--data.root FOLDER; PNG or JPEG, any size, grey or colour",
        ("root", "size", "channels", "crop", "skip_corrupt", "rotations"),
        is_prepared=True,
        is_yours=True,
    ),
    "arrays": DataSource(
        arrays.load,
        "your own examples of any shape (images, signals, tables) as NumPy arrays",
        "--data.root FILE.npz with inputs and labels, or a folder with inputs.npy and labels.npy",
        ("root", "rotations"),
        is_yours=True,
    ),
    "sinusoid": DataSource(
        families.sinusoid,
        "regression: a sine wave of its own for each task",
        "Finn et al. 2017, section 5.1; drawn",
        has_classes=False,
    ),
    "linear_regression": DataSource(
        families.linear_regression,
        "regression: a linear function of 60 inputs of its own for each task, with noise",
        "the mixed linear regression of Bernacchia 2021; drawn",
        has_classes=False,
    ),
    "gaussians": DataSource(
        families.gaussians, "classes that are Gaussian clouds in 16 dimensions", "drawn, for tests"
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
        takes = DATASETS[self.name].options
        for option in self.chosen:
            if option not in takes:
                raise ConfigError(
                    f"data set '{self.name}' does not take data.{option}; it takes: {', '.join(takes) or 'nothing'}. "
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
