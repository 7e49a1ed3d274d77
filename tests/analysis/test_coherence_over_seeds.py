from itertools import permutations

import numpy as np
import pytest
from scipy.stats import spearmanr

from innerloop.analysis.coherence import AtStep, Coherence
from innerloop.analysis.coherence_over_seeds import arms, correlations, smallest_p
from innerloop.statistics import Interval

STEPS = (0, 10, 20)


def at(step, accuracy, distance=None, trajectory=None):
    def one(value):
        return Interval(float(value), 0.1, 10)

    return AtStep(
        step,
        one(accuracy),
        one(1.0),  # the same for all: no ranks
        one(0.5 if distance is None else distance),
        None,
        None,
        None if trajectory is None else one(trajectory),
        None,
        None,
        None,
        None,
    )


def run(arm, seed, points):
    return Coherence(arm, seed, True, 10, 2, tuple(points), None, None, None, None, None)


def made(arm, accuracy, distance, steps=STEPS):
    """Runs of one arm from tables [seed step]."""
    return {
        f"{arm}/seed {seed}": run(arm, seed, [at(*each) for each in zip(steps, *rows, strict=True)])
        for seed, rows in enumerate(zip(accuracy, distance, strict=True))
    }


def random_tables(seeds, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(2, seeds, len(STEPS)))


def test_the_correlation_is_the_mean_over_steps_and_arms_of_spearmans_across_seeds():
    first, second = random_tables(4), random_tables(5, 1)
    found = correlations({**made("a", *first), **made("b", *second)})
    expected = {
        step: [spearmanr(*(table[:, number] for table in tables)).statistic for tables in (first, second)]
        for number, step in enumerate(STEPS)
    }
    assert found["distance"].mean == pytest.approx(np.mean(list(expected.values())))
    assert found["distance"].by_step == {step: pytest.approx(np.mean(each)) for step, each in expected.items()}


def test_p_counts_exchanges_of_whole_runs_at_least_as_far_from_zero():
    tables = random_tables(4, 2)
    true = correlations(made("a", *tables))["distance"]
    accuracy, distance = tables
    others = [
        np.mean([spearmanr(accuracy[list(order), step], distance[:, step]).statistic for step in range(len(STEPS))])
        for order in permutations(range(4))
    ]
    assert true.p == pytest.approx(np.mean(np.abs(others) >= abs(true.mean) - 1e-9))


def test_steps_of_one_run_count_as_one_and_few_seeds_allow_no_small_p():
    # Three seeds whose order is the same at every step: a correlation of 1, but only 6 exchanges.
    accuracy = np.array([[0.1, 0.2, 0.3], [0.2, 0.3, 0.4], [0.3, 0.4, 0.5]])
    found = correlations(made("a", accuracy, 10 * accuracy))["distance"]
    assert found.mean == pytest.approx(1.0)
    assert found.p == pytest.approx(2 / 6)  # the true order and its reverse
    assert smallest_p(made("a", accuracy, accuracy)) <= found.p
    several = {**made("a", accuracy, accuracy), **made("b", accuracy, accuracy)}
    assert correlations(several)["distance"].p == pytest.approx(2 / 36)


def test_neither_the_course_of_training_nor_an_arms_level_makes_a_correlation():
    rng = np.random.default_rng(0)
    course, noise = np.array([0.0, 5.0, 10.0]), rng.normal(size=(2, 2, 6, 3)) * 0.01
    results = {}
    for arm, level in enumerate((0.0, 100.0)):
        accuracy, distance = (course + level + noise[arm, side] for side in range(2))
        results |= made(f"arm {arm}", accuracy, distance)
    assert abs(correlations(results)["distance"].mean) < 0.4
    assert correlations(results)["distance"].p > 0.05


def test_a_measure_that_is_the_same_for_all_or_lacks_a_run_is_left_out():
    tables = random_tables(3)
    results = made("a", *tables)
    assert list(correlations(results)) == ["distance"]
    points = [[at(0, seed, seed, seed)] for seed in range(3)]
    whole = {f"run {seed}": run("a", seed, each) for seed, each in enumerate(points)}
    assert set(correlations(whole)) == {"distance", "trajectory"}
    whole["run 1"] = run("a", 1, [at(0, 1, 1, None)])
    assert set(correlations(whole)) == {"distance"}


def test_only_steps_that_all_seeds_have_are_matched():
    tables = random_tables(3)
    results = made("a", *tables)
    results["a/seed 2"] = run("a", 2, results["a/seed 2"].path[1:])
    assert set(correlations(results)["distance"].by_step) == {10, 20}
    results["a/seed 2"] = run("a", 2, [at(99, 0.5, 0.7)])
    assert correlations(results) == {}


def test_two_seeds_or_one_seed_thrice_tell_nothing():
    tables = random_tables(2)
    assert correlations(made("a", *tables)) == {}
    twin = made("a", *random_tables(1))["a/seed 0"]
    assert correlations({"x": twin, "y": twin, "z": twin}) == {}


def test_arms_are_named_by_what_their_labels_share_and_else_by_their_recipe():
    tables = random_tables(2)
    assert arms({**made("FOMAML", *tables), **made("zeroing", *tables)}) == {
        "FOMAML": ["FOMAML/seed 0", "FOMAML/seed 1"],
        "zeroing": ["zeroing/seed 0", "zeroing/seed 1"],
    }
    one, other = made("maml 12ab", *tables).values()
    assert list(arms({"zeroing, seed 0": one, "zeroing, seed 1": other})) == ["zeroing"]  # as a sweep titles them
    assert arms({"first": one, "second": other}) == {"maml 12ab": ["first", "second"]}
    assert arms({"only 1": one}) == {"only 1": ["only 1"]}
    free = Coherence("", None, False, 10, 2, one.path, None, None, None, None, None)
    assert arms({"a": free, "b": free}) == {"a": ["a"], "b": ["b"]}


def test_many_seeds_are_exchanged_by_draws_that_repeat():
    tables = random_tables(9)
    first, again = (correlations(made("a", *tables))["distance"] for _ in range(2))
    assert first == again
    assert 0 < first.p <= 1
