"""docs/algorithms: every algorithm has a page, and what pages and tables say is there, is so, and runs."""

import re
import shlex
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from innerloop.algorithms import ALGORITHMS, Axes
from innerloop.cli import evaluate, train
from innerloop.cli.parsing import to_recipe
from innerloop.runs import Recipe, build
from innerloop.runs.recipe import from_yaml

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "algorithms"
README = (FOLDER / "README.md").read_text()
ROOMS = {each.name: each.type for each in fields(Recipe) if is_dataclass(each.type)}


def names_of(page):
    """The algorithms that a page's first line names."""
    titled = re.match(r"# ((?:`\w+`(?:, )?)+): ", page.read_text())
    assert titled, page
    return re.findall(r"`(\w+)`", titled[1])


PAGES = sorted(page for page in FOLDER.glob("*.md") if page.name != "README.md")
NAMES = {page: names_of(page) for page in PAGES}


def fenced(text, language=""):
    return re.findall(rf"```{language}\n(.*?)```", text, re.S)


def rows_of(text, columns):
    """The cells of every table row of so many columns."""
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return [row for row in found if len(row) == columns]


def recipe_of(options):
    return to_recipe(train.parser().parse_args(options))


def in_words(value):
    """A default as a page writes it."""
    if value is None or value == {}:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def default_of(name, room, option):
    preset = ALGORITHMS[name]
    if room == "algorithm":
        return name if option == "name" else getattr(preset.axes, option)
    if room == "inner" and option in ("lr", "steps"):
        return getattr(preset, option)
    held = {each.name: each for each in fields(ROOMS[room])}[option]
    return held.default_factory() if held.default is MISSING else held.default


def test_every_algorithm_has_one_page_and_no_page_is_of_another():
    named = [name for names in NAMES.values() for name in names]
    assert len(named) == len(set(named))
    assert set(named) == ALGORITHMS.keys()


@pytest.fixture(scope="module")
def beginning():
    """What the block that all pages begin with defines."""
    (block,) = fenced(README, "python")
    names = {}
    exec(compile(block, "README.md", "exec"), names)
    return names


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_python_of_every_page_runs_as_it_stands(page, beginning):
    (block,) = fenced(page.read_text(), "python")
    assert all(f'"{name}"' in block for name in NAMES[page][:1])
    exec(compile(block, page.name, "exec"), dict(beginning))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_commands_of_every_page_are_understood_and_build_what_they_name(page):
    lines = [shlex.split(line) for line in fenced(page.read_text())[0].splitlines()]
    built = {}
    for _, verb, *options in lines:
        if verb == "train":
            recipe = recipe_of(options)
            built[next(each.removeprefix("--out=") for each in options if each.startswith("--out="))] = recipe
            build(recipe)
        else:
            parsed = evaluate.parser().parse_args(options)
            assert (verb, parsed.run in built) == ("evaluate", True)
    assert set(NAMES[page]) <= {recipe.algorithm.name for recipe in built.values()}


@pytest.mark.parametrize("page", [FOLDER / "README.md", *PAGES], ids=lambda page: page.stem)
def test_every_option_named_is_one(page):
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
    named = {each for code in re.findall(r"`([^`]+)`", text) for each in re.findall(r"\b([a-z]+\.[a-z]\w+)", code)}
    named = {each for each in named if each.partition(".")[0] in ROOMS and each != "data.split"}
    known = {f"{room}.{each.name}" for room, kind in ROOMS.items() for each in fields(kind)}
    assert len(named) > 1
    assert named <= known


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_defaults_on_every_page_are_those_of_its_algorithm(page):
    checked = 0
    for option, default, _ in rows_of(page.read_text(), 3)[2:]:
        one = re.fullmatch(r"`(\w+)\.(\w+)`", option)
        if one and "," not in default and len(NAMES[page]) == 1:
            written = default.strip("`")
            expected = in_words(default_of(NAMES[page][0], *one.groups()))
            assert (f"{float(written):g}" if re.fullmatch(r"[\d.]+", written) else written) == expected, option
            checked += 1
    assert checked > 1 or len(NAMES[page]) > 1


def test_the_table_of_presets_is_the_registry():
    rows = {re.search(r"`(\w+)`", row[0])[1]: row for row in rows_of(README, 5) if row[0].startswith("[`")}
    assert rows.keys() == ALGORITHMS.keys()
    assert list(rows) == list(ALGORITHMS)
    for name, preset in ALGORITHMS.items():
        shown, axes, lr, steps, source = rows[name]
        (link,) = re.findall(r"\]\((.*?)\)", shown)
        assert name in NAMES[FOLDER / link]
        assert (float(lr), int(steps), source) == (preset.lr, preset.steps, preset.source)
        moved = {each.name for each in fields(Axes) if getattr(preset.axes, each.name) != each.default}
        written = dict(re.findall(r"`(\w+)=([\w.]+)`", axes))
        assert written == {axis: in_words(getattr(preset.axes, axis)) for axis in moved}


def axes_table():
    """The values that the table of axes gives each setting, in order."""
    given, setting = {}, ""
    for _, named, values, _ in rows_of(README[README.index("## The axes") : README.index("## Crossing")], 4)[2:]:
        several, setting = re.findall(r"`([\w.]+)`", named), named.strip("`") or setting
        found = [value.strip("`") for value in values.split(", ")]
        if len(several) > 1:
            given |= {each: [value] for each, value in zip(several, found, strict=False)}
        else:
            given.setdefault(setting, []).extend(found)
    return given


@pytest.mark.parametrize(
    ("room", "kind"), [("algorithm", Axes), *((each, ROOMS[each]) for each in ("model", "training"))]
)
def test_the_table_of_axes_has_every_axis_and_value_the_default_first(room, kind):
    given, hints = axes_table(), get_type_hints(kind)
    if room == "algorithm":
        assert {f"algorithm.{each.name}" for each in fields(Axes)} <= given.keys()
    for each in fields(kind):
        values = given.get(f"{room}.{each.name}")
        if values:
            assert values[0] == in_words(each.default), each.name
            assert {str(value) for value in get_args(hints[each.name])} <= set(values), each.name


def crossings():
    table = README[README.index("## Crossing") : README.index("## What is refused")]
    return rows_of(table, 3)[2:]


@pytest.mark.parametrize(("recipe", "options"), [row[1:] for row in crossings()], ids=[row[0] for row in crossings()])
def test_a_crossing_is_the_same_as_a_recipe_and_as_options_and_can_be_built(recipe, options):
    read = from_yaml(recipe.strip("`"), "README.md")
    assert read == recipe_of(shlex.split(options.strip("`")))
    build(read)
