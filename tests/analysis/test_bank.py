"""A bank of tasks: the same however it was made, searched as by hand, kept with what made it, and refused elsewhere."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from innerloop import driver
from innerloop.algorithms import AlgorithmConfig
from innerloop.analysis import Subject
from innerloop.analysis.bank import Bank, bank, described, embedder, member
from innerloop.analysis.embedding import embed
from innerloop.data import DataConfig, load
from innerloop.data.episode import EpisodeShape
from innerloop.errors import ConfigError, DivergedError, RunError
from innerloop.models import ModelConfig
from innerloop.runs import InnerConfig, Recipe, RecordConfig, open_run
from innerloop.training import TrainingConfig
from worlds import algorithm_of, conv_learner, image_episode, made_up_data, probes_of

DATA = made_up_data(n_classes=18)
SHAPE = EpisodeShape(3, 2, 3)


def subject_of(name="maml", seed=0, **changes):
    learner, params = conv_learner(seed=seed)
    algorithm = algorithm_of(name, learner, lr=0.3)
    return replace(
        Subject(algorithm, algorithm, params, probes_of([image_episode()]), home=DATA.split, shape=SHAPE), **changes
    )


@pytest.fixture
def run(tmp_path):
    """A run of two steps, to keep banks in."""
    recipe = Recipe(
        data=DataConfig("gaussians"),
        episode=EpisodeShape(3, 2, 4),
        model=ModelConfig("mlp"),
        algorithm=AlgorithmConfig("fomaml"),
        inner=InnerConfig(lr=0.1),
        training=TrainingConfig(steps=2, tasks=2),
        record=RecordConfig(validation=0),
    )
    for _ in driver.begin(recipe, str(tmp_path / "run"), "test"):
        pass
    return open_run(tmp_path / "run")


def of_run(run, step=None):
    split = load(run.recipe.data).split("test")
    algorithm, state = run.learned(split, "last")
    params = state.params if step is None else run.snapshot(step)
    return Subject(
        algorithm,
        algorithm,
        params,
        probes_of([]),
        run,
        state,
        load(run.recipe.data).split,
        split,
        run.recipe.episode,
    )


def test_a_banks_tasks_are_the_embeddings_of_the_episodes_that_are_drawn_again_for_them():
    subject = subject_of()
    made = embedder(subject, "direction", 4096)
    held = bank(subject, made, 23)
    assert held.vectors.shape == (23, made.parameters)
    for number in (0, 22):
        again = member(subject, number)
        expected = embed("direction", None, subject.tested, subject.params, again.episode)
        np.testing.assert_allclose(held.vectors[number], expected.numpy(), atol=1e-6)
        assert again.classes == member(subject, number).classes
    assert set(member(subject, 0).classes) <= set(DATA.split("train").class_names)


def test_a_long_vector_is_projected_and_a_short_one_is_not():
    subject = subject_of()
    assert embedder(subject, "gradient", 64).dimensions == 64
    assert bank(subject, embedder(subject, "gradient", 64), 2).vectors.shape == (2, 64)
    whole = embedder(subject, "gradient", 10_000)
    assert whole.dimensions == whole.parameters < 10_000


def test_the_nearest_are_those_of_the_largest_cosine():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(200, 12)).astype(np.float32)
    held = Bank(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    targets = 5 * rng.normal(size=(3, 12))
    found = held.nearest(targets, 7)
    for row, target in zip(found, targets, strict=True):
        assert row.tolist() == np.argsort(-held.vectors @ target, kind="stable")[:7].tolist()


def test_a_bank_is_kept_in_its_run_read_back_and_lengthened_without_doing_anything_twice(run):
    subject = of_run(run)
    made = embedder(subject, "direction", 32)
    drawn = []

    def watch(label, work):
        drawn.append((label, len(work)))
        return work

    counted = replace(subject, watch=watch)
    first, again, more = (bank(counted, made, count).vectors for count in (5, 5, 9))
    assert drawn == [("bank of tasks", 5), ("bank of tasks", 4)]
    assert np.array_equal(first, again)
    assert np.array_equal(more[:5], first)
    assert len(list(run.directory.banks.iterdir())) == 1
    fresh = bank(replace(subject, run=None), made, 9)
    np.testing.assert_allclose(fresh.vectors, more, atol=1e-6)
    assert np.array_equal(bank(counted, made, 3).vectors, first[:3])


def test_a_bank_of_another_model_or_other_settings_is_refused_in_one_line(run):
    subject = of_run(run)
    made = embedder(subject, "direction", 32)
    bank(subject, made, 5)
    (place,) = run.directory.banks.iterdir()
    assert len(bank(subject, made, 4, str(place)).vectors) == 4
    with pytest.raises(RunError, match="expected a bank of at least 6 tasks, got 5"):
        bank(subject, made, 6, str(place))
    earlier = of_run(run, step=0)
    with pytest.raises(RunError, match=r"expected a bank whose model is \w{12}, got one whose model is \w{12} at"):
        bank(earlier, embedder(earlier, "direction", 32), 4, str(place))
    with pytest.raises(RunError, match="whose embedding is gradient, got one whose embedding is direction"):
        bank(subject, embedder(subject, "gradient", 32), 4, str(place))
    with pytest.raises(RunError, match="whose episodes is 3-way 1-shot, got one whose episodes is 3-way 2-shot"):
        bank(replace(subject, shape=EpisodeShape(3, 1, 4)), made, 4, str(place))
    bank(earlier, embedder(earlier, "direction", 32), 5)
    assert len(list(run.directory.banks.iterdir())) == 2


def test_what_made_a_bank_is_told_by_parameters_and_not_by_their_order_or_the_head():
    subject = subject_of()
    about = described(subject, embedder(subject, "direction", 32))
    turned = replace(subject, params=dict(reversed(subject.params.items())))
    assert described(turned, embedder(turned, "direction", 32)) == about
    other = replace(subject, tested=subject.tested.with_inner(lr=0.2))
    assert described(other, embedder(other, "direction", 32))["adaptation"] != about["adaptation"]


def test_tasks_that_ask_nothing_diverge_or_come_from_nowhere_are_refused():
    still = subject_of()
    still = replace(still, tested=still.tested.with_inner(lr=0.0))
    with pytest.raises(ConfigError, match="expected tasks that ask something of the encoder"):
        bank(still, embedder(still, "gradient", 32), 2)
    wild = subject_of()
    wild = replace(wild, params={name: torch.full_like(value, torch.inf) for name, value in wild.params.items()})
    with pytest.raises(DivergedError, match="expected finite gradients to embed tasks by"):
        bank(wild, embedder(wild, "gradient", 32), 2)
    for lacking in ("home", "shape"):
        alone = subject_of(**{lacking: None})
        with pytest.raises(ConfigError, match=f"give the Subject a {lacking}"):
            bank(alone, embedder(alone, "gradient", 32), 2)
