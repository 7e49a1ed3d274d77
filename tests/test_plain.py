import os
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from innerloop.errors import LONGEST, DataError
from innerloop.plain import DEEPEST, made, parse_json, parse_yaml, quoted, read_bytes, read_json, read_text

LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))
MERGED = "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 40))


def refused(parse, text, words):
    with pytest.raises(ValueError, match=words) as caught:
        parse(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    said = []

    def read():
        with pytest.raises(ValueError, match="a pipe or a device") as caught:
            read_bytes(tmp_path / "pipe", 9)
        said.append(str(caught.value))

    asked = threading.Thread(target=read, daemon=True)
    asked.start()
    asked.join(timeout=20)
    assert said
    with pytest.raises(ValueError, match="a pipe or a device"):
        read_text(Path("/dev/zero"), 9)
    with pytest.raises(OSError, match="directory"):
        read_text(tmp_path, 9)


def test_a_file_is_measured_before_it_is_read(tmp_path):
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(ValueError, match="1,099,511,627,776 bytes where at most 10 are read"):
        read_json(tmp_path / "sparse", 10)
    with pytest.raises(ValueError, match="grows while it is read"):
        read_bytes(Path("/proc/self/status"), 10**6)


def test_yaml_makes_nothing_but_plain_values():
    for text in ("!!python/object/apply:os.system [ls]", "!!python/name:os.system", "!x 3"):
        refused(parse_yaml, f"a: {text}", "could not determine a constructor")
    refused(parse_yaml, "a: !!binary aGk=", "of the kind 'bytes'")
    refused(parse_yaml, "a: !!set {x, y}", "of the kind 'set'")
    refused(parse_yaml, "a: !!timestamp 2001-01-01", "of the kind 'date'")
    refused(parse_yaml, "3: a", "3 where a name is expected")
    refused(parse_yaml, 'a: !!int ""', "cannot be made")
    assert parse_yaml("when: 2001-01-01") == {"when": "2001-01-01"}


@pytest.mark.parametrize("text", [LAUGHS, MERGED])
def test_references_that_grow_without_end_are_not_followed(text):
    refused(parse_yaml, text, "unfold to more than 10 times|nested more than")
    refused(parse_yaml, "a: &a [1, *a]", "holds itself")
    assert parse_yaml("a: &a {x: 1}\nb: {<<: *a, y: 2}\nc: {<<: *a, x: 3}")["b"] == {"x": 1, "y": 2}


@pytest.mark.parametrize("depth", [DEEPEST + 1, 100_000])
def test_values_nested_too_deeply_are_refused(depth):
    refused(parse_yaml, "[" * depth + "]" * depth, "nested more than 64 deep")
    refused(parse_json, "[" * depth + "]" * depth, "nested more than 64 deep")
    refused(parse_json, '{"a":' * depth + "1" + "}" * depth, "nested more than 64 deep")
    chain = "".join(f"a{n}: &a{n} [{f'*a{n - 1}' if n else 1}]\n" for n in range(DEEPEST + 1))
    refused(parse_yaml, chain, "nested more than 64 deep")


def test_numbers_that_nothing_can_use_are_refused():
    for parse in (parse_yaml, parse_json):
        refused(parse, "9" * 5000, "limit")
        refused(parse, "9" * 50, "whole number of 167 bits")
    refused(parse_yaml, "0x" + "f" * 20_000, "whole number of 80,000 bits")
    refused(parse_yaml, ".nan", "the number nan")
    for text in ("NaN", "[1, -Infinity]", "1e999"):
        refused(parse_json, text, "the number")
        parse_json(text, finite=False)


def test_a_name_that_stands_twice_is_refused():
    refused(parse_json, '{"a": 1, "a": 2}', "'a' twice")
    refused(parse_yaml, "a: 1\na: 2", "'a' stands there twice")


def test_half_a_letter_is_refused():
    refused(parse_json, r'["\ud800"]', "surrogates not allowed")
    refused(parse_json, r'{"\ud800": 1}', "surrogates not allowed")


@dataclass(frozen=True)
class Kept:
    name: str
    share: float
    count: int = 1


@pytest.mark.parametrize(
    "values",
    [
        *({}, [], None, {"name": 3, "share": 1}, {"name": "a", "share": "1"}, {"name": "a", "share": True}),
        *({"name": "a", "share": 1, "count": each} for each in (1.5, True, "1", None)),
        {"name": "a", "other": 1},
    ],
)
def test_values_of_other_types_make_nothing(values):
    with pytest.raises(ValueError):  # noqa: PT011
        made(Kept, values)
    assert made(Kept, {"name": "a", "share": 1}) == Kept("a", 1.0)


def test_an_error_is_one_line_that_no_terminal_obeys_and_not_long():
    said = str(DataError(f"expected a name, got '\x1b[2J\u202e\ud800\n{'x' * 10**6}'; rename it"))
    assert said.isprintable()
    assert len(said) <= LONGEST + 40
    assert said.startswith(r"expected a name, got '\x1b[2J\u202e\ud800 xxx")
    assert said.endswith("; rename it")
    assert len(quoted(["x" * 10**6])) <= 200


def test_the_depth_python_allows_is_not_needed():
    before = sys.getrecursionlimit()
    assert parse_json("[" * DEEPEST + "]" * DEEPEST)
    assert sys.getrecursionlimit() == before
