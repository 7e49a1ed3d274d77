import json

import pytest

from innerloop.analysis import EXPERIMENTS
from innerloop.analysis.values import from_values

FEW = (
    "--mixed_regression.worlds=60",
    "--mixed_regression.training_rates=[-1,0,1]",
    "--mixed_regression.adaptation_rates=[0,0.2]",
    "--mixed_regression.under.tasks=20",
)


def test_the_installed_command_experiments_and_keeps_numbers_figures_and_how_they_were_made(installed):
    said = installed("experiment", "mixed_regression", *FEW, "--out=own/place")
    assert "In the over-parameterised world (60 dimensions, 3 tasks, 2 outer and 30 inner points)" in said
    assert "(20 dimensions, 20 tasks," in said
    assert said.endswith("Numbers and figures: own/place\n")
    folder = installed.folder / "own" / "place"
    for name in ("training_rate", "adaptation_rate"):
        for ending, start in (("svg", b"<?xml"), ("pdf", b"%PDF"), ("png", b"\x89PNG")):
            assert (folder / f"{name}.{ending}").read_bytes().startswith(start)
    kept = json.loads((folder / "result.json").read_text())
    assert kept["command"] == f"innerloop experiment mixed_regression {' '.join(FEW)} --out=own/place".replace(
        "[-1,0,1]", "[-1,0,1]'"
    ).replace("--mixed_regression.training", "'--mixed_regression.training").replace(
        "--mixed_regression.adaptation_rates=[0,0.2]", "'--mixed_regression.adaptation_rates=[0,0.2]'"
    )
    assert kept["experiment"] == "mixed_regression"
    assert kept["settings"]["under"]["tasks"] == 20
    assert {"innerloop", "torch", "started"} <= kept.keys()
    result = from_values(EXPERIMENTS["mixed_regression"].result, kept["values"])
    assert result.over.training.rates == (-1, 0, 1)
    assert result.worlds == 60


def test_results_go_to_a_free_folder_of_the_experiments_name(shell):
    for name in ("mixed_regression", "mixed_regression-2"):
        assert f"Numbers and figures: runs/{name}\n" in shell("experiment", "mixed_regression", *FEW)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("mixed_regresion",), "Did you mean 'mixed_regression'?"),
        ((), "required: name"),
        (("mixed_regression", "--mixed_regression.over.tasks=0"), "expected tasks of at least 1, got 0"),
        (("mixed_regression", "--mixed_regression.over.noise=-1"), "expected noise, a number of at least 0, got -1"),
        (("mixed_regression", "--mixed_regression.training_rates=[0,0.0]"), "every rate once in training_rates"),
        (("mixed_regression", "--mixed_regression.training_rates=[]"), "expected rates in training_rates, got none"),
        (("mixed_regression", "--mixed_regression.training_rates=[x]"), "training_rates"),
        (("mixed_regression", "--mixed_regression.over.tasks=40"), "below over.dimensions=60, got 80"),
        (("mixed_regression", "--mixed_regression.worlds=3.5"), "whole number"),
        (("mixed_regression", "--mixed_regression.nothing=3"), "unknown setting 'mixed_regression.nothing'"),
        (("mixed_regression", "--out=full"), "expected a new or empty folder, got 'full' with files in it"),
        (("mixed_regression", "--out=full/file"), "expected a new or empty folder, got 'full/file'"),
        (("mixed_regression", "--out=full/file/below"), "expected"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(shell, arguments, message):
    (shell.folder / "full").mkdir()
    (shell.folder / "full" / "file").write_text("mine")
    assert message in shell.refused("experiment", *arguments)
    assert not (shell.folder / "runs").exists()
