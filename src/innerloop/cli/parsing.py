"""Command line and YAML to a recipe, and what jsonargparse says on the way to one line of ours."""

import json
import re
from argparse import ArgumentError
from collections.abc import Iterable
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, get_type_hints

import dacite
from jsonargparse import (  # type: ignore[attr-defined]
    ActionConfigFile,
    ArgumentParser,
    Namespace,
)

from innerloop.data import DataConfig
from innerloop.errors import ConfigError, InnerloopError, did_you_mean
from innerloop.plain import LARGEST_SETTINGS, parse_yaml, quoted, read_text
from innerloop.runs import Recipe, from_values
from innerloop.runs.recipe import UNFIT

# A tuple is parsed as a list, and a number without a point as a whole one.
AS_GIVEN = dacite.Config(cast=[tuple], type_hooks={float: float})


def new_parser() -> ArgumentParser:
    """Return a parser that raises instead of leaving the program."""
    return ArgumentParser(exit_on_error=False)


class RecipeFile(ActionConfigFile):
    """A recipe's file, read here: jsonargparse would import what a `class_path` in it names, and follow references."""

    @staticmethod
    def apply_config(parser: ArgumentParser, cfg: Namespace, dest: str, value: str) -> None:
        """Take the settings out of a file, known names alone, and let them pass for typed ones."""
        try:
            values = parse_yaml(read_text(Path(value), LARGEST_SETTINGS)) or {}
        except FileNotFoundError as error:
            raise ConfigError(
                f"expected a recipe in '{value}', got no such file; name a YAML file after --config"
            ) from error
        except (OSError, ValueError) as error:
            raise ConfigError(f"expected a recipe in '{value}', got: {error}; correct it") from error
        if not isinstance(values, dict):
            raise ConfigError(f"expected settings by name in '{value}', got {type(values).__name__}; correct it")
        _refuse_unknown(Recipe, values, value)
        ActionConfigFile.apply_config(parser, cfg, dest, json.dumps(values, ensure_ascii=False))
        cfg[dest][-1] = value


def _refuse_unknown(kind: Any, values: dict[str, Any], where: str, before: str = "") -> None:
    """Refuse what is no setting of a recipe, and anything but settings by name where these are expected."""
    kinds = get_type_hints(kind)
    for name, value in values.items():
        if name not in kinds:
            hint = did_you_mean(name, kinds) or " See --help for all settings."
            raise ConfigError(f"unknown setting '{before}{name}' in '{where}'.{hint}")
        if is_dataclass(kinds[name]):
            if not isinstance(value, dict):
                raise ConfigError(
                    f"expected the settings of {name} by name in '{where}', got {quoted(value)}; correct it"
                )
            _refuse_unknown(kinds[name], value, where, f"{before}{name}.")


def add_recipe(parser: ArgumentParser) -> None:
    """Let a parser take every setting of a recipe, from YAML (`--config`) and as dotted options."""
    parser.add_argument("--config", action=RecipeFile, help="Recipe in YAML; options after it win.")
    parser.add_class_arguments(Recipe, nested_key=None, as_group=False)


def options(parser: ArgumentParser) -> list[str]:
    """Return the names of all options a parser takes, without dashes."""
    return [name.lstrip("-") for action in parser._actions for name in action.option_strings]


def add_data(parser: ArgumentParser, named: bool = True) -> None:
    """Let a parser take every setting of a data set, each left out by default."""
    hints = get_type_hints(DataConfig)
    for each in fields(DataConfig):
        if named or each.name != "name":
            parser.add_argument(f"--data.{each.name}", type=hints[each.name] | None, default=None, help="As in train.")


def to_data(parsed: Namespace, before: DataConfig) -> DataConfig:
    """Return the data set that was asked for; another one than `before` starts from its own defaults."""
    changes = {name: value for name, value in parsed.data.as_dict().items() if value is not None}
    if changes.get("name", before.name) != before.name:
        return DataConfig(**changes)
    return replace(before, **changes)


def to_recipe(parsed: Namespace) -> Recipe:
    """Make a recipe of what was parsed, with the recipe's own checks."""
    values = parsed.as_dict()
    known = {each.name for each in fields(Recipe)}
    try:
        return from_values({name: value for name, value in values.items() if name in known})
    except UNFIT as error:
        raise ConfigError(f"expected other values in the recipe, got: {error}; see --help") from error


def one_line(error: ArgumentError, known: Iterable[str]) -> InnerloopError:
    """Say in one line what was expected, what came, and what to do."""
    message = _flat(str(error))
    unknown = re.search(r"[Uu]nrecognized arguments: -*([\w.-]+)", message) or re.search(
        r"Option '([\w.-]+)' is not accepted", message
    )
    grouped = re.search(r"Group '([\w.]+)' does not accept option '([\w.-]+)'", message)
    if unknown or grouped:
        name = f"{grouped[1]}.{grouped[2]}" if grouped else unknown[1]  # type: ignore[index]
        hint = did_you_mean(name, known) or " See --help for all settings."
        return ConfigError(f"unknown setting '{name}'.{hint}")
    typed = re.search(
        r'Parser key "([\w.]+)": (?:Expected an? |Does not validate)(.+?)\.? (?:Got|Given) value: (.+)$', message
    )
    if typed:
        return ConfigError(f"expected {typed[1]} to be {_kind(typed[2])}, got '{typed[3]}'.{_close(typed)}")
    return ConfigError(f"{message.replace('<unicode string>', 'the recipe')}; see --help")


def _close(typed: re.Match[str]) -> str:
    return did_you_mean(typed[3], _choices(typed[2])) or " See --help."


def _choices(kind: str) -> list[str]:
    literal = re.search(r"Literal\[([^\]]*)\]", kind)
    return re.findall(r"'([\w-]+)'", literal[1]) if literal else []


def _kind(kind: str) -> str:
    """Return a type as a reader would say it."""
    if _choices(kind):
        return f"one of {', '.join(_choices(kind))}"
    words = {"float": "a number", "int": "a whole number", "bool": "true or false", "str": "text"}
    names = re.findall(r"(?<![\w.])(float|int|bool|str)(?!\w)", kind)
    return words[names[0]] if names else kind


def _flat(text: str) -> str:
    return " ".join(text.split())


def only_given(**values: Any) -> dict[str, Any]:
    """Return the values that are not None."""
    return {name: value for name, value in values.items() if value is not None}
