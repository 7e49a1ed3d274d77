"""Plain values out of files that may come from anyone: bytes, text, JSON and YAML, read without trusting them.

A file is looked at before it is read: it must be a regular one (a pipe would never end) of at most so many bytes. Its
values are text, numbers, truth, nothing, and lists and names of these: nothing that calls, no kind of its own, nothing
that is small to write and large to hold. Whatever else is found is a ValueError or an OSError of one line; who asked
for the file says what was expected there.
"""

import json
import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import field, fields, make_dataclass
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar, cast, get_type_hints

import dacite
import yaml
from yaml.constructor import ConstructorError

from innerloop.errors import InnerloopError, on_one_line

LARGEST_SETTINGS = 200_000  # bytes of a file that people write: a recipe, a grid
LARGEST_RESULTS = 200_000_000  # bytes of a file that holds numbers by episode
DEEPEST = 64  # lists and names within one another
MOST_BITS = 64  # of a whole number
EXPANSION, ROOM = 10, 10_000  # how much longer a YAML may be without its references: so many times, and letters more
QUOTED = 200  # letters of what stands in a file, in an error

Kind = TypeVar("Kind")


def read_bytes(place: Path, largest: int) -> bytes:
    """Return what stands in a regular file.

    Raises:
        ValueError: It is no regular file, or has more than `largest` bytes.
        OSError: It cannot be read.
    """
    # Without O_NONBLOCK, opening a pipe waits for somebody to write into it.
    with open(place, "rb", opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NONBLOCK", 0))) as file:
        state = os.fstat(file.fileno())
        if not stat.S_ISREG(state.st_mode):
            raise ValueError("something else than a file (a pipe or a device)")
        if state.st_size > largest:
            raise ValueError(f"{state.st_size:,} bytes where at most {largest:,} are read")
        content = file.read(state.st_size + 1)
    if len(content) > state.st_size:
        raise ValueError("a file that grows while it is read")
    return content


def read_text(place: Path, largest: int) -> str:
    """Return the text in a regular file, in UTF-8.

    Raises:
        ValueError: It is no text, or `read_bytes` refuses it.
        OSError: It cannot be read.
    """
    return read_bytes(place, largest).decode("utf-8")


def read_json(place: Path, largest: int) -> Any:
    """Return the values in a file of JSON.

    Raises:
        ValueError: `read_text` or `parse_json` refuses it.
        OSError: It cannot be read.
    """
    return parse_json(read_text(place, largest))


def parse_json(text: str, finite: bool = True) -> Any:
    """Return the values that a text has in JSON.

    Args:
        text: The JSON.
        finite: Whether numbers must be finite; Python writes others into JSON, too.

    Raises:
        ValueError: It is no JSON, has a name twice, is nested too deeply, or has values that nothing here has.
    """
    try:
        values = json.loads(text, object_pairs_hook=_named)
    except RecursionError as error:
        raise ValueError(_too_deep()) from error
    _refuse_odd(values, finite)
    return values


def parse_yaml(text: str, loader: "type[YamlLoader] | None" = None) -> Any:
    """Return the values that a text has in YAML.

    Args:
        text: The YAML.
        loader: How names and values are made of what stands there, if not as usual.

    Raises:
        ValueError: It is no YAML, has a name twice, makes a kind of its own, is nested too deeply, grows when its
            references are followed, or has values that nothing here has.
    """
    try:
        values = yaml.load(text, loader or YamlLoader)
    except yaml.YAMLError as error:
        raise ValueError(on_one_line(str(error), 3 * QUOTED, QUOTED)) from error
    except (RecursionError, OverflowError, TypeError, AttributeError, LookupError) as error:
        # PyYAML lets through what Python raises for values that are none: `!!int ""`, `!!bool 7`.
        raise ValueError(f"values that cannot be made ({type(error).__name__})") from error
    _refuse_odd(values, finite=True)
    return values


class YamlLoader(yaml.SafeLoader):
    """YAML of plain values, each name once; dates are text."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._most = EXPANSION * len(text) + ROOM
        self._depth = 0
        self._lengths: dict[int, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Take in one node, and hold its depth and its length with all references followed against what may be."""
        is_reference = self.check_event(yaml.AliasEvent)
        self._depth += 1
        if self._depth > DEEPEST:
            raise ValueError(_too_deep())
        node = super().compose_node(parent, index)
        self._depth -= 1
        if node is None or id(node) in self._lengths:
            return node
        if is_reference:
            raise ValueError("a value that holds itself")
        length = self._length(node)
        if length > self._most:
            raise ValueError(f"references (&, *) that unfold to more than {EXPANSION} times the file's length")
        self._lengths[id(node)] = length
        return node

    def _length(self, node: yaml.Node) -> int:
        """Return a node's length with all references followed; those of what it holds are known."""
        if isinstance(node, yaml.ScalarNode):
            return 1 + len(node.value)
        if isinstance(node, yaml.MappingNode):
            _refuse_twice(node)
        held = [each for pair in node.value for each in pair] if isinstance(node, yaml.MappingNode) else node.value
        return 1 + sum(self._lengths[id(each)] for each in held)


YamlLoader.yaml_implicit_resolvers = {
    letter: [(tag, words) for tag, words in known if tag != "tag:yaml.org,2002:timestamp"]
    for letter, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _refuse_twice(node: yaml.MappingNode) -> None:
    seen = set()
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode) and (key.tag, key.value) in seen:
            raise ConstructorError(None, None, f"'{key.value}' stands there twice", key.start_mark)
        seen.add((key.tag, str(key.value)))


def made(
    kind: type[Kind],
    values: Any,
    hooks: Mapping[Any, Callable[[Any], Any]] | None = None,
    ready: Mapping[str, Any] | None = None,
) -> Kind:
    """Make a dataclass of values that were read, each of the type it should be; lists become tuples.

    Args:
        kind: The dataclass.
        values: Its fields by name, nested.
        hooks: For types that are no plain ones, what makes them.
        ready: Fields that are made already.

    Raises:
        ValueError: The values are those of something else.
    """
    config = dacite.Config(strict=True, type_hooks={float: number, int: whole, **(hooks or {})})
    ready = ready or {}
    left = {name: each for name, each in values.items() if name not in ready} if isinstance(values, dict) else values
    try:
        if not ready:
            return dacite.from_dict(kind, tupled(left), config)
        types = get_type_hints(kind)
        rest = make_dataclass(
            kind.__name__,
            [
                (each.name, types[each.name], field(default=each.default, default_factory=each.default_factory))
                for each in fields(cast("Any", kind))
                if each.name not in ready
            ],
            kw_only=True,
        )
        return kind(**vars(dacite.from_dict(rest, tupled(left), config)), **ready)
    except InnerloopError:
        raise
    except Exception as error:  # dacite, and what a dataclass does with its values, let through all sorts of things
        said = re.sub(r"^'(\w+)'$", r"no '\1'", str(error)) or type(error).__name__
        raise ValueError(on_one_line(said, 2 * QUOTED, QUOTED // 2)) from error


def tupled(value: Any) -> Any:
    """Return nested values with tuples for lists."""
    if isinstance(value, dict):
        return {name: tupled(each) for name, each in value.items()}
    return tuple(tupled(each) for each in value) if isinstance(value, list | tuple) else value


def number(value: Any) -> float:
    """Return a finite number that was read; TypeError for anything else, a truth value among them."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise TypeError(f"expected a finite number, got {quoted(value)}")
    return float(value)


def whole(value: Any) -> int:
    """Return a whole number that was read; TypeError for anything else, a truth value among them."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"expected a whole number, got {quoted(value)}")
    return value


def quoted(value: Any) -> str:
    """Return a value that was read as an error shows it."""
    return on_one_line(repr(value), QUOTED, QUOTED // 4)


def _named(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        often = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"{quoted(often[0][0])} twice")
    return values


def _refuse_odd(values: Any, finite: bool) -> None:
    """Refuse what would not be plain values, or would be harmless here and not where they are used or shown."""
    left = [(values, 1)]
    while left:
        value, depth = left.pop()
        if isinstance(value, dict | list):
            if depth > DEEPEST:
                raise ValueError(_too_deep())
            left += [(each, depth + 1) for each in (value.values() if isinstance(value, dict) else value)]
            for name in value if isinstance(value, dict) else ():
                if not isinstance(name, str):
                    raise ValueError(f"{quoted(name)} where a name is expected")
                name.encode()
        elif isinstance(value, str):
            value.encode()  # half a pair of JSON's \ud800 can be written nowhere
        elif isinstance(value, int):
            if value.bit_length() > MOST_BITS:
                raise ValueError(f"a whole number of {value.bit_length():,} bits")
        elif isinstance(value, float):
            if finite and not isfinite(value):
                raise ValueError(f"the number {value}")
        elif value is not None:
            raise ValueError(f"a value of the kind '{type(value).__name__}'")


def _too_deep() -> str:
    return f"values nested more than {DEEPEST} deep"
