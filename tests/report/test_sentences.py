import numpy as np
import pytest

from innerloop.report import sentences
from innerloop.runs import OpenedRun, Recipe, RunDirectory
from innerloop.training import Evaluation
from worlds import SMALL


def run(name, **measured):
    """A run with this history; values are (step, value) pairs of validation accuracy, or of both parts."""
    history = []
    for step, value in measured.get("validation", []):
        history.append({"step": step, "validation": {"accuracy": value, "zeroed": value}})
    for step, (contrast, noise) in measured.get("contrast", []):
        history.append({"step": step, "contrast": {"query_contrast": contrast, "query_interference": noise}})
    for step, (same, different) in measured.get("cosine", []):
        history.append({"step": step, "cosine": {"same_class": same, "different_class": different}})
    return OpenedRun(RunDirectory(name), Recipe(), history, {}, name)


def result(accuracies, zeroed=None):
    column = np.array(accuracies, dtype=np.float64)[:, None]
    other = column if zeroed is None else np.array(zeroed, dtype=np.float64)[:, None]
    return Evaluation("x", "test", SMALL, 0, 0.4, True, column, other)


def test_speed_says_who_reaches_what_when_whoever_that_is():
    quick = [(0, 0.2), (10, 0.61), (20, 0.92)]
    slow = [(0, 0.2), (10, 0.4), (20, 0.64)]
    said = sentences.speed([run("a-run", validation=slow), run("b", validation=quick)])
    assert said == (
        "60% on meta-validation is first reached by the b after 10 outer steps and by the a run after 20. "
        "90% on meta-validation is first reached by the b after 20 outer steps, and not by the a run within 20."
    )
    turned = sentences.speed([run("a-run", validation=quick), run("b", validation=slow)])
    assert "first reached by the a run after 20 outer steps, and not by the b" in turned
    assert sentences.speed([run("a")]) == ""


def test_a_comparison_names_the_highest_with_paired_intervals_and_says_when_it_is_not_significant():
    noise = np.random.default_rng(0).normal(0, 0.01, 40)
    said = sentences.comparison({"low": result(0.5 + noise, 0.7 + noise), "high": result(0.6 + noise, 0.7 - noise)})
    assert "the high has the highest mean: 10.0 ± 0.0 points above the low." in said
    assert "(not significant)" in said
    turned = sentences.comparison({"low": result(0.6 + noise), "high": result(0.5 + noise)})
    assert "the low has the highest mean: 10.0 ± 0.0 points above the high." in turned
    assert sentences.comparison({"alone": result(noise)}) == ""


def test_interference_is_said_beside_the_contrastive_part():
    said = sentences.interference(
        [run("a", contrast=[(0, (0.2, 0.2)), (9, (0.1, 0.3))]), run("b", contrast=[(0, (1.0, 0.0)), (9, (1.0, 0.0))])]
    )
    assert "1.00 times as large before the first step and 3.00 times after the last for the a" in said
    assert "exactly 0 throughout for the b" in said


@pytest.mark.parametrize(
    ("ends", "verb"), [((0.3, 0.1), "grows from 0.10 to 0.20"), ((0.15, 0.1), "shrinks from 0.10 to 0.05")]
)
def test_the_gap_between_cosines_grows_or_shrinks_as_the_data_say(ends, verb):
    assert verb in sentences.separation([run("a", cosine=[(0, (0.2, 0.1)), (9, ends)])])


@pytest.mark.parametrize(("end", "words"), [(0.3, "rises from 0.20 to 0.30"), (0.1, "falls"), (0.2, "stays at 0.20")])
def test_movement_has_the_direction_of_the_data(end, words):
    assert words in sentences.movement([run("a", cosine=[(0, (0.2, 0.1)), (9, (end, 0.1))])], "cosine", "same_class")
