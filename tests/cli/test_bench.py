import json

import pytest

RECIPE = """
episode: {n_way: 3, k_shot: 1, n_queries: 2}
model: {name: strided_conv4, filters: 4}
algorithm: {name: NAME}
training: {tasks: 3}
"""


@pytest.fixture
def recipe(installed):
    def written(name):
        (installed.folder / "small.yaml").write_text(RECIPE.replace("NAME", name))
        return "--recipe=small.yaml"

    return written


def numbers(folder):
    kept = json.loads((folder / "bench.json").read_text())
    return kept, {row["contender"]: row for row in kept["rows"]}


def test_engines_are_measured_side_by_side_on_a_recipes_own_batch(installed, recipe):
    engines = "--engines=auto,workers+workers=2,closed_form"
    said = installed("bench", recipe("maml"), engines, "--rounds=2", "--json=bench.json")
    kept, rows = numbers(installed.folder)
    assert list(rows) == ["plain autograd loop", "auto", "workers+workers=2", "closed_form", "matrix product, float32"]
    assert f"auto ({rows['auto']['how']})" in said
    assert kept["machine"] in said.replace("\n", " ")
    assert kept["command"].startswith("innerloop bench --recipe=small.yaml")
    # No MAML has a closed form: the engine says so, and the others go on.
    assert "closed_form: fails: expected an algorithm whose encoder stands still" in said
    for name in ("auto", "workers+workers=2"):
        assert len(rows[name]["rounds"]) == 2
        assert rows[name]["apart"] < 1e-4
        assert rows[name]["share_of_product"] > 0


def test_where_a_recipe_is_no_plain_maml_only_engines_are_measured(installed, recipe):
    said = installed("bench", recipe("protonet"), "--engines=loop", "--rounds=1", "--json=bench.json")
    assert "No plain loop beside the engines: it has no head=prototypes." in said
    assert list(numbers(installed.folder)[1]) == ["loop", "matrix product, float32"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--engines=lop",), "expected engine.name to be one of auto, loop"),
        (("--engines=loop+bf",), "Did you mean 'bf16'?"),
        (("--settings=omn",), "expected --settings to be one of omni, mini, got 'omn'"),
        (("--orders=third",), "expected --orders to be one of second, first"),
        (("--rounds=0",), "expected --rounds of at least 1, got 0"),
        (("--engines=,",), "expected an engine or more"),
        (("--data.root=here",), "expected a recipe beside --data.root, got none"),
        (("--recipe=nowhere.yaml",), "nowhere.yaml"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(shell, words, message):
    assert message in shell.refused("bench", *words)
