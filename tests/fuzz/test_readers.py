"""Whatever stands in a file, its reader returns something or refuses it in one line, and does nothing else."""

import json
import tracemalloc

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz.targets import TARGETS, harmless

MANY, FEW = 40, 8  # examples; a parser of the command line takes a while to build


def some(name):
    """Return how often a target is tried here; for longer there is atheris_readers.py."""
    return settings(max_examples=FEW if name == "config" else MANY, suppress_health_check=list(HealthCheck))


TREES = ("recipe", "config", "grid", "manifest", "evaluation", "explanation")  # files whose values have a structure
# Bytes that are set aside whatever stands there: a decoder's tables, an image of the most pixels that are taken.
ROOM = {"image": 700_000_000, "gzip": 450_000_000}
USUAL_ROOM, PER_BYTE = 20_000_000, 500

ODD = st.one_of(
    st.sampled_from(
        [
            *(None, True, -1, 0, 2**63, 10**300, -0.0, 1e308, float("nan"), float("inf")),
            *("", "x" * 3000, "../../x", "a/b", "<script>", "\x00", "\u202e", "no", "1e999"),
            *([], {}, [[]], [None], {"": {}}, [[1, [2]], 3], {"class_path": "evil"}),
        ]
    ),
    st.text(max_size=20),
    st.integers(),
    st.floats(),
    st.recursive(st.none() | st.integers(), lambda inner: st.lists(inner, max_size=3), max_leaves=5),
)
SIZES = [b"\xff" * 4, b"\x00" * 8, b"\xff\xff\xff\x7f", b"999999999999", b"-1", b"&a [*a]", b"[" * 200]


@st.composite
def mutated(draw, whole):
    """Return a whole file with some places changed: cut, flipped, written over, taken out, doubled."""
    content = bytearray(draw(st.sampled_from(whole)))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(content)))
        end = min(len(content), place + draw(st.integers(1, 40)))
        kind = draw(st.sampled_from(["cut", "flip", "over", "out", "double", "in"]))
        if kind == "cut":
            del content[place:]
        elif kind == "flip" and place < len(content):
            content[place] ^= 1 << draw(st.integers(0, 7))
        elif kind == "over":
            number = draw(st.sampled_from(SIZES))
            content[place : place + len(number)] = number
        elif kind == "out":
            del content[place:end]
        elif kind == "double":
            content[place:place] = content[place:end] * draw(st.integers(1, 50))
        else:
            content[place:place] = draw(st.binary(max_size=20))
    return bytes(content)


def places_in(value, path=()):
    """Yield the path to every value within."""
    yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, each in inside:
        yield from places_in(each, (*path, name))


@st.composite
def replanted(draw, values):
    """Return values with one to three of them replaced, taken out, or named otherwise."""
    values = json.loads(json.dumps(values))
    for _ in range(draw(st.integers(1, 3))):
        *path, last = draw(st.sampled_from([each for each in places_in(values) if each] or [(None,)]))
        if last is None:
            return draw(ODD)
        inside = values
        for name in path:
            inside = inside[name]
        kind = draw(st.sampled_from(["replace", "replace", "remove", "rename"]))
        if kind == "replace":
            inside[last] = draw(ODD)
        elif kind == "remove":
            del inside[last]
        elif isinstance(inside, dict):
            inside[draw(st.text(max_size=8))] = inside.pop(last)
    return values


def bounded(name, folder, content):
    """Read as the target does, holding the memory that is taken against the file's length."""
    tracemalloc.start()
    try:
        harmless(TARGETS[name], folder, content)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < ROOM.get(name, USUAL_ROOM) + PER_BYTE * len(content), f"{peak:,} bytes for {len(content):,}"


@pytest.mark.parametrize("name", TARGETS)
def test_whole_files_are_read(name, tmp_path):
    found = [harmless(TARGETS[name], tmp_path, content) for content in TARGETS[name].whole()]
    assert any(each is not None for each in found) or name == "mini_table"  # which would need 38,400 photographs


@pytest.mark.parametrize("name", TARGETS)
def test_a_damaged_file_is_read_or_refused_in_one_line(name, tmp_path):
    @some(name)
    @given(mutated(TARGETS[name].whole()))
    def holds(content):
        bounded(name, tmp_path, content)

    holds()


@pytest.mark.parametrize("name", TREES)
def test_odd_values_in_the_place_of_others_are_taken_or_refused_in_one_line(name, tmp_path):
    target = TARGETS[name]
    values = yaml.safe_load(target.whole()[0])
    is_yaml = target.file.endswith("yaml")

    @some(name)
    @given(replanted(values))
    def holds(changed):
        text = yaml.safe_dump(changed, allow_unicode=True) if is_yaml else json.dumps(changed)
        bounded(name, tmp_path, text.encode("utf-8", "surrogatepass"))

    holds()
