"""Command line and YAML to a recipe, and what jsonargparse says on the way to one line of ours."""

import re
from argparse import SUPPRESS, ArgumentError
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints

import dacite
from jsonargparse import ArgumentParser, Namespace

from innerloop.errors import ConfigError, InnerloopError, did_you_mean
from innerloop.runs import Recipe, from_values


def new_parser(description: str) -> ArgumentParser:
    """Return a parser that raises instead of leaving the program."""
    return ArgumentParser(description=description, exit_on_error=False)


def add_recipe(parser: ArgumentParser) -> None:
    """Let a parser take every setting of a recipe, from YAML (`--config`) and as dotted options."""
    parser.add_argument("--config", action="config", help="Recipe in YAML; options after it win.")
    parser.add_class_arguments(Recipe, nested_key=None, as_group=False)


def settings(kind: Any = Recipe, prefix: str = "") -> list[str]:
    """Return the dotted names of all settings."""
    names: list[str] = []
    hints = get_type_hints(kind)
    for each in fields(kind):
        inner = hints[each.name]
        names += settings(inner, f"{prefix}{each.name}.") if is_dataclass(inner) else [f"{prefix}{each.name}"]
    return names


def to_recipe(parsed: Namespace) -> Recipe:
    """Make a recipe of what was parsed, with the recipe's own checks."""
    values = parsed.as_dict()
    known = {each.name for each in fields(Recipe)}
    try:
        return from_values({name: value for name, value in values.items() if name in known})
    except dacite.DaciteError as error:
        raise ConfigError(f"expected other values in the recipe, got: {_flat(str(error))}; see --help") from error


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
    typed = re.search(r'Parser key "([\w.]+)": Expected an? (.+?)\. Got value: (.+)$', message)
    if typed:
        kind = re.sub(r"<class '(\w+)'>", r"\1", typed[2]).replace("typing.", "")
        return ConfigError(f"expected {typed[1]} to be {kind}, got '{typed[3]}'; see --help")
    return ConfigError(f"{message}; see --help")


def _flat(text: str) -> str:
    return " ".join(text.split())


def only_given(**values: Any) -> dict[str, Any]:
    """Return the values that are not None."""
    return {name: value for name, value in values.items() if value is not None}


__all__ = ["SUPPRESS", "add_recipe", "new_parser", "one_line", "only_given", "settings", "to_recipe"]
