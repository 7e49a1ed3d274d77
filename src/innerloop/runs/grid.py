"""A grid: which settings of a recipe are crossed, for which seeds, and the recipe of every crossing.

recipe: base.yaml            where every cell starts, relative to the grid's file; left out: the defaults
set: {training.steps: 300}   settings of all cells
axes:                        crossed; every value of an axis is a name and the settings it changes
  head:
    random: {}
    zeroing: {algorithm.head: zeroing}
seeds: [0, 1, 2]
evaluate: true               whether every finished run is tested as its recipe says
explain: [contrast]          analyses of every finished run
analyses: {}                 settings of theirs: {inner_steps.most: 5}
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import combinations, product
from pathlib import Path
from typing import Any

import dacite
import yaml
from yaml.constructor import ConstructorError

from innerloop.errors import ConfigError, InnerloopError, did_you_mean, unknown_name
from innerloop.plain import LARGEST_SETTINGS, YamlLoader, parse_yaml, quoted, read_text
from innerloop.runs.files import name_of
from innerloop.runs.recipe import UNFIT, Recipe, from_values, from_yaml

Settings = dict[str, Any]
NAME = re.compile(r"[\w+-][\w.+-]{0,39}")
TAKEN = ("grid.yaml", "sweep.json", "sweep.html")  # what else lies in a sweep's folder


@dataclass(frozen=True)
class Grid:
    """What stands in a grid's file.

    Attributes:
        recipe: File of the recipe every cell starts from; None for the defaults.
        set: Dotted settings of all cells, over the recipe's.
        axes: For each axis its values' names, and the dotted settings each changes, over those of `set`.
        seeds: Every cell is trained once for each.
        evaluate: Whether finished runs are tested as their recipe says.
        explain: Analyses of the finished runs.
        analyses: Dotted settings of those, over their defaults.
    """

    recipe: str | None = None
    set: Settings = field(default_factory=dict)
    axes: dict[str, dict[str, Settings]] = field(default_factory=dict)
    seeds: tuple[int, ...] = (0,)
    evaluate: bool = True
    explain: tuple[str, ...] = ()
    analyses: Settings = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.seeds:
            raise ConfigError("expected seeds of at least one number, got none; [0] is one run a cell")
        for what, listed in (("seeds", self.seeds), ("explain", self.explain)):
            twice = [each for each in listed if listed.count(each) > 1]
            if twice:
                raise ConfigError(f"expected {what} to name each once, got {twice[0]} twice; leave one out")
        for axis, values in self.axes.items():
            if not values:
                raise ConfigError(f"expected axis '{axis}' to have values, got none; name one or leave the axis out")
            for name in values:
                if not NAME.fullmatch(name):
                    raise ConfigError(
                        f"expected values named by at most 40 letters, digits and '_ . + -' (they become folders), "
                        f"got '{name}' in axis '{axis}'; rename it"
                    )
        self._refuse_seeds_and_clashes()

    def _refuse_seeds_and_clashes(self) -> None:
        changed = {axis: {name for value in values.values() for name in value} for axis, values in self.axes.items()}
        if "seed" in self.set or any("seed" in names for names in changed.values()):
            raise ConfigError("expected seeds in the grid's list `seeds`, got the setting 'seed'; move it there")
        for left, right in combinations(changed, 2):
            both = sorted(changed[left] & changed[right])
            if both:
                raise ConfigError(
                    f"expected every setting to be changed by one axis, got '{both[0]}' in '{left}' and '{right}'; "
                    "join the two axes into one"
                )


@dataclass(frozen=True)
class Cell:
    """One crossing of a grid.

    Attributes:
        name: Its values' names, joined; the name of its folder.
        values: For each axis the name of its value.
        settings: What it changes in the grid's recipe, dotted.
        recipe: What its runs are, but for the seed.
    """

    name: str
    values: dict[str, str]
    settings: Settings
    recipe: Recipe

    @property
    def label(self) -> str:
        """The cell's name in figures and sentences."""
        return " ".join(self.values.values() or [self.name]).replace("_", " ")

    def seeded(self, seed: int) -> Recipe:
        """Return the recipe of the cell's run with this seed."""
        return replace(self.recipe, seed=seed)


def read(place: Path) -> tuple[Grid, Recipe]:
    """Read a grid's file and the recipe it starts from.

    Raises:
        ConfigError: One of both is missing or is not what it should be.
    """
    grid = from_text(text_of(place, "grid"), str(place))
    if grid.recipe is None:
        return grid, Recipe()
    base = place.parent / grid.recipe
    return grid, from_yaml(text_of(base, f"recipe (named in '{place}', relative to it)"), str(base))


def from_text(text: str, where: str) -> Grid:
    """Read a grid; `where` names the file in errors.

    Raises:
        ConfigError: It is no YAML, has unknown keys, or values that are not what they should be.
    """
    try:
        values = parse_yaml(text, _Names)
        if not isinstance(values, dict):
            raise ConfigError(f"expected a grid by name in '{where}', got {_kind(values)}; begin with `axes:`")
        known = [each.name for each in fields(Grid)]
        for key in values:
            if key not in known:
                raise unknown_name(f"key in the grid '{where}':", key, known)
        present = {key: value for key, value in values.items() if value is not None}
        if "axes" in present:
            present["axes"] = _axes(present["axes"], where)
        for key, kind, usual in (("seeds", int, "[0, 1, 2]"), ("explain", str, "[contrast]")):
            if key in present:
                present[key] = _listed(present[key], key, kind, usual)
        return dacite.from_dict(Grid, present, dacite.Config(strict=True))
    except UNFIT as error:
        raise ConfigError(f"expected a grid in '{where}', got: {error}; correct it") from error


def _axes(axes: Any, where: str) -> Any:
    """Return the axes with `{}` for a value that changes nothing and was left empty."""
    if not isinstance(axes, dict) or not all(isinstance(values, dict) for values in axes.values()):
        raise ConfigError(
            f"expected axes in '{where}' as axis: {{value: {{setting: ...}}}}, got another form; correct it"
        )
    return {
        axis: {name: {} if settings is None else settings for name, settings in values.items()}
        for axis, values in axes.items()
    }


def _listed(values: Any, key: str, kind: type, usual: str) -> tuple[Any, ...]:
    if not isinstance(values, list) or any(type(each) is not kind for each in values):
        what = "whole numbers" if kind is int else "names"
        raise ConfigError(f"expected {key} as a list of {what}, got {quoted(values)}; {usual} is one")
    return tuple(values)


def cells(grid: Grid, base: Recipe, name: str = "recipe") -> list[Cell]:
    """Cross the axes, the last one running fastest.

    Args:
        grid: What to cross.
        base: The recipe every cell starts from.
        name: What the only cell of a grid without axes is called.

    Raises:
        ConfigError: A cell's settings are unknown or refused, or two cells are alike.
    """
    crossed = []
    for chosen in product(*(values.items() for values in grid.axes.values())):
        values = dict(zip(grid.axes, (each for each, _ in chosen), strict=True))
        settings = dict(grid.set)
        for _, changes in chosen:
            settings |= changes
        folder = name_of("-".join(values.values()) or name)
        crossed.append(Cell(folder, values, settings, _changed(base, settings, folder)))
    _refuse_alike(crossed)
    return crossed


def settings_of(recipe: Recipe) -> Settings:
    """Return all settings of a recipe by their dotted names."""
    return _flat(asdict(recipe))


def _flat(values: Mapping[str, Any], before: str = "") -> Settings:
    found: Settings = {}
    for name, value in values.items():
        dotted = f"{before}{name}"
        found |= _flat(value, f"{dotted}.") if isinstance(value, dict) else {dotted: value}
    return found


def _changed(base: Recipe, settings: Settings, cell: str) -> Recipe:
    """Return the recipe with dotted settings changed; errors name the cell."""
    values, known = asdict(base), settings_of(base)
    for dotted, value in settings.items():
        if dotted not in known:
            hint = did_you_mean(dotted, known) or " `innerloop train --help` lists all."
            raise ConfigError(f"unknown setting '{dotted}' in cell '{cell}'.{hint}")
        *rooms, name = dotted.split(".")
        room = values
        for each in rooms:
            room = room[each]
        room[name] = value
    try:
        return from_values(values)
    except InnerloopError as error:
        raise ConfigError(f"cell '{cell}': {error}") from error
    except UNFIT as error:
        raise ConfigError(f"expected other values in cell '{cell}', got: {error}; correct its settings") from error


def _refuse_alike(crossed: list[Cell]) -> None:
    for left, right in combinations(crossed, 2):
        # Some disks take upper and lower case for one.
        if left.name.lower() == right.name.lower() or left.label.lower() == right.label.lower():
            raise ConfigError(f"expected cells of different names, got '{left.name}' and '{right.name}'; rename one")
        if left.recipe.settled() == right.recipe.settled():
            raise ConfigError(
                f"expected cells that differ, got the same settings in '{left.name}' and '{right.name}'; leave one out"
            )
    for cell in crossed:
        if cell.name.lower() in TAKEN:
            raise ConfigError(f"expected another name than '{cell.name}', which a sweep's folder has; rename the value")


class _Names(YamlLoader):
    """YAML whose names are read as they are written (`no` and `0.10` are names here, not values), each once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: ARG002
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise ConstructorError(None, None, "expected a name before the colon, got more", key.start_mark)
            if key.value in seen:
                raise ConstructorError(None, None, f"'{key.value}' stands there twice", key.start_mark)
            seen.add(key.value)
        self.flatten_mapping(node)
        return {key.value: self.construct_object(value, deep=True) for key, value in node.value}


def text_of(place: Path, what: str) -> str:
    """Return the text in a file that people write; `what` it should be is said in errors.

    Raises:
        ConfigError: There is none.
    """
    try:
        return read_text(place, LARGEST_SETTINGS)
    except FileNotFoundError as error:
        raise ConfigError(f"expected a {what} in '{place}', got no such file; name a YAML file") from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"expected a {what} in '{place}', got: {error}; name a YAML file") from error


def _kind(values: object) -> str:
    return "nothing" if values is None else type(values).__name__
