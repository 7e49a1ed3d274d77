"""A recipe: everything that decides what a run is, from the rooms' own configurations, and how it is built.

The recipe is written into the run as YAML, so a run can be read back, tested, continued and repeated from its folder.
"""

import math
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from typing import Any, Literal, NamedTuple, get_args

import dacite
import torch
import yaml

from innerloop.algorithms import ALGORITHMS, Algorithm, AlgorithmConfig
from innerloop.algorithms import build as build_algorithm
from innerloop.algorithms.axes import LOCAL
from innerloop.data import DataConfig, load
from innerloop.data.augment import Augmentation, check_fits
from innerloop.data.episode import Batch, Episode, EpisodeShape, stacked, united, with_slots
from innerloop.data.family import Family
from innerloop.data.sampler import check, draw, draw_batch
from innerloop.data.split import TRAIN, VALIDATION, DataSet, Split, with_classes
from innerloop.data.storage import Watch, unwatched
from innerloop.engine import EngineConfig
from innerloop.errors import ConfigError, one_of
from innerloop.inner import InnerLoop, Start
from innerloop.models import ModelConfig
from innerloop.models import build as build_learner
from innerloop.plain import parse_yaml
from innerloop.seeds import derived_seed, generator
from innerloop.training import EvaluationConfig, State, TrainingConfig, initial_state

Probes = Literal["validation", "training"]
# All that values of other types than a setting's end in, out of dacite or the checks of the configurations.
UNFIT = (dacite.DaciteError, ValueError, TypeError, AttributeError, ArithmeticError, LookupError)


@dataclass(frozen=True)
class InnerConfig:
    """The inner loop of training; the axes it has in common with others of the family stand under `algorithm`.

    Attributes:
        lr: Learning rate of the inner steps, of any sign; by default what the named algorithm is usually given. Where
            rates are learned, the value they begin with.
        steps: How many inner steps, 0 or more; by default likewise.
        loss: `cross_entropy` or `mse`; the outer loop minimises the same.
        lr_of: Rates of their own for parameters whose name fits a pattern, one rate or one a step:
            `{"head.*": 0.4, "encoder.*": [0.1, 0.01]}`.
        momentum: algorithm.rule=momentum: how much of the last direction is kept.
        betas: algorithm.rule=adam: how much of the mean and of the mean square is kept.
    """

    lr: float | None = None
    steps: int | None = None
    loss: str = "cross_entropy"
    lr_of: dict[str, float | list[float]] = field(default_factory=dict)
    momentum: float = 0.9
    betas: tuple[float, float] = (0.9, 0.999)

    def __post_init__(self) -> None:
        self.loop(0.0, 0)

    def loop(self, lr: float, steps: int) -> InnerLoop:
        """Return the inner loop, with this rate and number of steps where none are given."""
        return InnerLoop(
            lr=lr if self.lr is None else self.lr,
            steps=steps if self.steps is None else self.steps,
            loss=self.loss,
            lr_of={name: tuple(own) if isinstance(own, list) else own for name, own in self.lr_of.items()},
            momentum=self.momentum,
            betas=self.betas,
        )


@dataclass(frozen=True)
class RecordConfig:
    """What is measured and saved while training, each every so many outer steps; 0 is never.

    Attributes:
        validation: Accuracy on fixed meta-validation episodes, which also decides what the best checkpoint is.
        validation_episodes: How many of them.
        contrast: Norms of the contrastive and the interference part of the query gradient on probe episodes.
        cosine: Same-class and different-class cosine between query and support features on probe episodes.
        rates: Signs and sizes of the inner rates that are learned, by layer and inner step, where any are.
        probe_episodes: How many probe episodes.
        probes: `validation`: drawn from meta-validation. `training`: the first that training itself sees.
        checkpoint: The state, to continue from; also written at the start, at the end and on interruption.
        checkpoint_minutes: The state also once so many minutes have passed since it was written last; 0 is never.
        keep: How many of these stay, the newest; of two, the one before is there if the newest is ever damaged.
        snapshots: The meta-parameters as they are then, for what looks back along training (`explain RUN landscape`);
            by default after 1, 2, 5, 10, 20, 50, ... outer steps, and also at the start and the end.
        heads: Whether the head is kept as it is before every outer step, so that interference can be traced to the
            outer steps it came from (`explain RUN interference`).
    """

    validation: int = 50
    validation_episodes: int = 100
    contrast: int = 0
    cosine: int = 0
    rates: int = 10
    probe_episodes: int = 8
    probes: Probes = "validation"
    checkpoint: int = 50
    checkpoint_minutes: float = 10.0
    keep: int = 2
    snapshots: int | None = None
    heads: bool = False

    def __post_init__(self) -> None:
        one_of("record.probes", self.probes, get_args(Probes))
        for name in ("validation", "contrast", "cosine", "rates", "checkpoint", "snapshots"):
            if (getattr(self, name) or 0) < 0:
                raise ConfigError(f"expected record.{name} of at least 0, got {getattr(self, name)}; 0 is never")
        if not 0 <= self.checkpoint_minutes < math.inf:
            raise ConfigError(
                f"expected record.checkpoint_minutes of at least 0, got {self.checkpoint_minutes}; 0 is never"
            )
        for name in ("validation_episodes", "probe_episodes", "keep"):
            if getattr(self, name) < 1:
                raise ConfigError(f"expected record.{name} of at least 1, got {getattr(self, name)}; ask for more")


@dataclass(frozen=True)
class Recipe:
    """One training run.

    Attributes:
        data: Which data set, and how it is cut.
        episode: Ways, shots, queries.
        augmentation: What is done to training images.
        model: The network and its head.
        algorithm: Which member of the family.
        inner: The inner loop of training.
        training: The outer loop.
        evaluation: How the result is tested.
        record: What is measured and saved on the way.
        engine: How the work is done on this machine.
        seed: Decides initial values, episodes and probes.
    """

    data: DataConfig = field(default_factory=DataConfig)
    episode: EpisodeShape = field(default_factory=EpisodeShape)
    augmentation: Augmentation = field(default_factory=Augmentation)
    model: ModelConfig = field(default_factory=ModelConfig)
    algorithm: AlgorithmConfig = field(default_factory=AlgorithmConfig)
    inner: InnerConfig = field(default_factory=InnerConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    record: RecordConfig = field(default_factory=RecordConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    seed: int = 0

    @property
    def inner_loop(self) -> InnerLoop:
        """The inner loop of training, with the named algorithm's own rate and steps where none are given."""
        preset = ALGORITHMS[self.algorithm.name]
        return self.inner.loop(preset.lr, preset.steps)

    @property
    def test_loop(self) -> tuple[float, int]:
        """The inner rate and number of steps that the recipe itself is tested with."""
        inner = self.inner_loop
        return self.evaluation.loop(inner.lr, inner.steps)

    @property
    def test_head(self) -> Start:
        """What stands in the place of the head when the recipe itself is tested."""
        return self.evaluation.head or self.algorithm.axes.start

    def settled(self) -> "Recipe":
        """Return the same recipe with the inner rate and steps written out, so that no later default changes it."""
        inner = self.inner_loop
        return replace(self, inner=replace(self.inner, lr=inner.lr, steps=inner.steps))


class Workshop(NamedTuple):
    """What a recipe builds: the data, the algorithm, and where training starts."""

    data: DataSet
    algorithm: Algorithm
    start: State


def build(recipe: Recipe, watch: Watch = unwatched) -> Workshop:
    """Build what the recipe describes, and refuse data that cannot fill its episodes.

    Raises:
        InnerloopError: Anything in the recipe that does not fit the data.
    """
    data = load(recipe.data, watch)
    train = data.split(TRAIN)
    check(train, recipe.episode)
    check_fits(recipe.augmentation, train)
    probed = recipe.record.probes == "validation" and (recipe.record.contrast or recipe.record.cosine)
    if recipe.record.validation or probed:
        check(data.split(VALIDATION), recipe.episode)
    _refuse_mismatch(recipe, train)
    algorithm = untrained(recipe, train, len(with_classes(train)) if recipe.algorithm.axes.is_joint else None)
    if 0 < recipe.training.steps <= recipe.algorithm.axes.second_from:
        raise ConfigError(
            f"expected algorithm.second_from below training.steps={recipe.training.steps}, got "
            f"{recipe.algorithm.axes.second_from}; ask for order=first if second order is never to begin"
        )
    recipe.evaluation.applied_to(algorithm)  # refuses what does not fit before anything is written
    if recipe.record.contrast:
        algorithm.require_plain("record.contrast")
    start = initial_state(algorithm, algorithm.initial_params())
    return Workshop(data, algorithm, start)


def _refuse_mismatch(recipe: Recipe, split: Split | Family) -> None:
    if not isinstance(split, Family) or split.outputs is None:
        return
    if recipe.algorithm.axes.needs_classes or recipe.evaluation.head not in (None, "zero", "ridge"):
        which = recipe.algorithm.name if recipe.algorithm.axes.needs_classes else f"head '{recipe.evaluation.head}'"
        raise ConfigError(
            f"expected data with classes for {which}, got the real targets of '{split.data_set}'; choose another of "
            "the two"
        )
    if recipe.inner.loss != "mse":
        raise ConfigError(
            f"expected --inner.loss=mse for the real targets of '{split.data_set}', got {recipe.inner.loss}"
        )
    if recipe.record.contrast or recipe.record.cosine:
        raise ConfigError(
            f"expected classes to measure record.contrast and record.cosine, got real targets in '{split.data_set}'; "
            "set both to 0"
        )


def untrained(recipe: Recipe, split: Split | Family, rows: int | None = None) -> Algorithm:
    """Build the recipe's algorithm, with a head for the episodes' classes or real outputs, or of so many rows."""
    outputs = rows or (split.outputs if isinstance(split, Family) else None) or recipe.episode.ways
    learner = build_learner(recipe.model, split.input_shape, outputs, recipe.seed)
    return build_algorithm(recipe.algorithm, learner, recipe.inner_loop)


def training_batch(recipe: Recipe, data: DataSet, step: int) -> Batch:
    """Return the episodes of the outer step after `step` steps; a pure function of its arguments."""
    tasks, pool = recipe.training.tasks, recipe.training.pool
    split, seed = data.split(TRAIN), derived_seed(recipe.seed, "training")
    indices = range(step * tasks, (step + 1) * tasks)
    numbered = recipe.algorithm.axes.is_joint
    if recipe.algorithm.axes.order == "entropy":
        # One task, all examples of the batch: minibatches of an inner loop are as mixed as those of plain training.
        numbers = [index % pool for index in indices] if pool else indices
        return stacked(
            [united([draw(split, recipe.episode, seed, each, recipe.augmentation, True) for each in numbers])]
        )
    if not pool:
        return draw_batch(split, recipe.episode, seed, indices, recipe.augmentation, numbered=numbered)
    again = [draw(split, recipe.episode, seed, index % pool, recipe.augmentation, numbered) for index in indices]
    if recipe.episode.labels == "shuffled" and not numbered:
        again = [_dealt(episode, seed, index) for episode, index in zip(again, indices, strict=True)]
    return stacked(again)


def _dealt(episode: Episode, seed: int, index: int) -> Episode:
    """Return the episode with its slots dealt anew for its `index`-th use."""
    count = len(set(episode.support.targets.tolist()))
    return with_slots(episode, torch.randperm(count, generator=generator(seed, "slots", index)))


def probe_episodes(recipe: Recipe, data: DataSet) -> list[Episode]:
    """Return the fixed episodes that the parts and the cosines are recorded on."""
    wanted = range(recipe.record.probe_episodes)
    if recipe.record.probes == "training":
        distinct = wanted[: recipe.training.pool or len(wanted)]
        seed = derived_seed(recipe.seed, "training")
        return [draw(data.split(TRAIN), recipe.episode, seed, index) for index in distinct]
    seed = derived_seed(recipe.seed, "probe")
    return [draw(data.split(VALIDATION), recipe.episode, seed, index) for index in wanted]


def to_yaml(recipe: Recipe) -> str:
    """Return the recipe as YAML."""
    return _written(asdict(recipe))


def _written(values: dict[str, Any]) -> str:
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def fingerprint(recipe: Recipe, with_root: bool = False) -> str:
    """Return a digest of all that decides the run, so neither its length nor the engine: both may change on the way.

    Args:
        recipe: The run's.
        with_root: Whether where the data lie counts as well, as it did before their content was kept.
    """
    # Where the outer rate falls towards the end, the end decides every step before it.
    steps = 0 if recipe.training.outer_schedule == "constant" else recipe.training.steps
    endless = replace(
        recipe,
        data=recipe.data if with_root else replace(recipe.data, root=None),
        training=replace(recipe.training, steps=steps),
        engine=EngineConfig(precision=recipe.engine.precision),
    )
    values = asdict(endless)
    # They change no other file, and runs from before they were there go on.
    for name in ("rates", "snapshots", "checkpoint_minutes", "keep"):
        values["record"].pop(name)
    for name in LOCAL:  # nor does a setting that a run does not use
        if values["algorithm"][name] is None:
            values["algorithm"].pop(name)
    values["training"].pop("nonfinite")  # a run that diverged may go on with another policy
    if values["training"]["clip"] is None:
        values["training"].pop("clip")
    return sha256(_written(values).encode()).hexdigest()


def from_yaml(text: str, where: str) -> Recipe:
    """Read a recipe back; `where` names the file in errors.

    Raises:
        ConfigError: It is no YAML, has unknown keys, or values that are not what they should be.
    """
    try:
        values = parse_yaml(text) or {}
        if not isinstance(values, dict):
            raise ConfigError(f"expected settings by name in '{where}', got {type(values).__name__}; correct it")
        return from_values(values)
    except UNFIT as error:
        raise ConfigError(f"expected a recipe in '{where}', got: {error}; correct it") from error


def from_values(values: dict[str, Any]) -> Recipe:
    """Make a recipe of nested plain values; what is missing takes its default."""
    return dacite.from_dict(Recipe, values, dacite.Config(strict=True, type_hooks={float: float}, cast=[tuple]))
