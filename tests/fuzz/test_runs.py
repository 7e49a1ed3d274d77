"""A run folder with any of its files damaged is opened and reported, or refused in one line."""

import json
import os
import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.targets import MOST_LETTERS, watched
from fuzz.test_readers import mutated, replanted
from innerloop.errors import InnerloopError
from innerloop.report import render
from innerloop.runs import open_run
from shells import InProcess

# A recipe that reads well and is not the one of before is said to be changed; no more is asked here.
pytestmark = pytest.mark.filterwarnings("ignore:.*was changed since:innerloop.errors.RunWarning")

# Files of plain values; those of tensors, and the history, are read by others.
KINDS = ("recipe.yaml", "run.json", "evaluation-*.json", "manifest-*.json", "explained/*/result.json")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A small run that was tested and explained by the command."""
    shell = InProcess(tmp_path_factory.mktemp("runs"))
    small = ("--model.name=strided_conv4", "--model.filters=8", "--training.tasks=2", "--training.steps=1")
    shell("train", *small, "--record.validation_episodes=2", "--data.name=typeface", "--out=run")
    shell("evaluate", "run", "--episodes=3")
    shell("explain", "run", "contrast", "responsibility", "inner_steps", "--episodes=3")
    return shell.folder / "run"


def files_of(run):
    return [each for kind in KINDS for each in sorted(run.glob(kind))]


def look(run):
    """Read all that is kept in a run, and tell it, as `innerloop report` does; None where it is refused in one line."""
    said = ""
    with watched() as deeds:
        try:
            opened = open_run(run)
            opened.evaluations()
            opened.explanations()
            page = render([opened])
        except InnerloopError as error:
            page, said = None, str(error)
    assert said.isprintable()
    assert len(said) <= MOST_LETTERS
    assert not [each for each in deeds if str(run) in each], deeds
    return page


def test_the_whole_run_is_told(whole):
    assert look(whole).count("<h2>") > 5


@settings(max_examples=10)
@given(st.data())
def test_a_run_with_a_file_damaged_is_told_or_refused_in_one_line(whole, data):
    place = data.draw(st.sampled_from(files_of(whole)))
    before = place.read_bytes()
    try:
        if place.suffix == ".json" and data.draw(st.booleans()):
            place.write_text(json.dumps(data.draw(replanted(json.loads(before)))))
        else:
            place.write_bytes(data.draw(mutated([before])))
        look(whole)
    finally:
        place.write_bytes(before)


@settings(max_examples=6)
@given(st.data())
def test_a_run_with_odd_values_among_its_results_is_told_or_refused_in_one_line(whole, data):
    place = data.draw(st.sampled_from([each for each in files_of(whole) if each.name == "result.json"]))
    before = place.read_bytes()
    kept = json.loads(before)
    try:
        place.write_text(json.dumps({**kept, "values": data.draw(replanted(kept["values"]))}))
        look(whole)
    finally:
        place.write_bytes(before)


@pytest.mark.parametrize("kind", ["folder", "pipe", "other file", "empty", "device"])
def test_what_is_no_file_of_its_kind_is_refused_and_never_waited_for(whole, kind):
    files = files_of(whole)
    for place in files:
        before = place.read_bytes()
        place.unlink()
        try:
            if kind == "folder":
                place.mkdir()
            elif kind == "pipe":
                os.mkfifo(place)
            elif kind == "device":
                place.symlink_to("/dev/zero")
            else:
                place.write_bytes(b"" if kind == "empty" else files[files.index(place) - 1].read_bytes())
            page = look(whole)
            assert page is None or place.name.startswith("manifest-") or (kind, place.name) in PASSED
        finally:
            shutil.rmtree(place) if place.is_dir() else place.unlink()
            place.write_bytes(before)


# An empty recipe leaves everything to its defaults, run.json may say anything by name, and another analysis's result
# is a whole one.
PASSED = (("empty", "recipe.yaml"), ("other file", "run.json"), ("other file", "result.json"))
