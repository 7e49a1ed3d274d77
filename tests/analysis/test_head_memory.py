"""How much of what trains an encoder is a contrast with remembered batches."""

from dataclasses import replace

import pytest
import torch

from innerloop import driver
from innerloop.algorithms import AlgorithmConfig
from innerloop.analysis import ANALYSES, Subject
from innerloop.analysis.cross_batch import cross_batch, looks
from innerloop.analysis.head_memory import HeadMemorySettings, measure, of_loop
from innerloop.analysis.parts import episode_split, part_norms
from innerloop.data import DataConfig, load
from innerloop.data.episode import EpisodeShape, with_slots
from innerloop.errors import ConfigError, DataError
from innerloop.models import ModelConfig
from innerloop.params import zeroed
from innerloop.runs import InnerConfig, Recipe, RecordConfig, open_run
from innerloop.training import TrainingConfig
from worlds import algorithm_of, conv_learner, image_episode, probes_of

NUMBERED = with_slots(image_episode(k_shot=3, n_queries=5), torch.tensor([7, 3, 5]))


def subject_of(algorithm, params, episodes):
    return Subject(algorithm, algorithm, params, probes_of(episodes))


def test_for_a_head_that_adapts_alone_it_is_the_split_of_the_meta_gradient():
    learner, params = conv_learner()
    algorithm = algorithm_of("anil", learner, lr=0.3, steps=3)
    found = of_loop(algorithm, params, image_episode())
    norms = part_norms(episode_split(algorithm, params, image_episode()))
    assert found.contrast == pytest.approx(norms["query_contrast"], rel=1e-9)
    assert found.interference == pytest.approx(norms["query_interference"], rel=1e-9)
    assert found.rest == pytest.approx(0, abs=1e-12)


def test_a_zeroed_head_is_trained_by_contrast_alone_and_one_without_memory_by_none():
    learner, params = conv_learner(n_way=8)
    entropy = algorithm_of("entropy_sgd", learner, axes={"noise": 0.0}, lr=0.3, steps=3)
    zero = measure(subject_of(entropy, zeroed(params, learner.head_names), [NUMBERED] * 2))
    assert zero.share is not None
    assert zero.share.mean == 1.0
    assert zero.interference.mean == 0.0
    assert zero.along is not None
    assert zero.along.mean == pytest.approx(1.0)
    assert zero.by_batch[0] is None  # before the first step a zero head says nothing
    forgetful = algorithm_of("entropy_sgd", learner, axes={"noise": 0.0, "remembers": False}, lr=0.3, steps=3)
    found = measure(subject_of(forgetful, params, [NUMBERED] * 2))
    assert found.share is not None
    assert found.share.mean == 0.0
    assert found.attracting_same is None
    neither = measure(subject_of(forgetful, zeroed(params, learner.head_names), [NUMBERED] * 2))
    assert neither.share is None


def test_shares_are_of_the_norms_of_the_steps_that_train_and_signs_of_their_coefficients():
    learner, params = conv_learner()
    algorithm = algorithm_of("reptile", learner, lr=0.3, steps=3)
    episode = image_episode(k_shot=3, n_queries=6)
    seen = looks(algorithm, params, episode)
    parts = cross_batch(algorithm, seen)
    found = of_loop(algorithm, params, episode)
    contrast = sum(part.contrast.norm().item() for part in parts)
    interference = sum(part.interference.norm().item() for part in parts)
    assert found.share == pytest.approx(contrast / (contrast + interference))
    assert found.by_batch[0] == 0.0
    whole = torch.cat([part.whole.flatten() for part in parts])
    held = torch.cat([part.contrast.flatten() for part in parts])
    assert found.along == pytest.approx((held @ whole / (whole @ whole)).item())
    flags = [
        (coefficients < 0)[look.batch.targets[:, None] != earlier.batch.targets[None]]
        for part, look in zip(parts, seen, strict=True)
        for coefficients, earlier in zip(part.coefficients, seen, strict=False)
    ]
    assert found.attracting_other == pytest.approx(torch.cat(flags).double().mean().item())
    assert found.attracting_same == 1.0


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("entropy") / "run"
    recipe = Recipe(
        data=DataConfig("typeface"),
        episode=EpisodeShape(2, 2, 3),
        model=ModelConfig("strided_conv4", filters=4),
        algorithm=AlgorithmConfig("entropy_sgd"),
        inner=InnerConfig(lr=0.1, steps=3),
        training=TrainingConfig(steps=5, tasks=4, outer_rule="sgd", outer_lr=1.0),
        record=RecordConfig(validation=0),
    )
    for _ in driver.begin(recipe, str(folder), "test"):
        pass
    return open_run(folder)


def test_a_learner_of_all_classes_is_looked_at_on_outer_steps_of_its_own_kind_and_over_training(run):
    data = load(run.recipe.data)
    algorithm, state = run.learned(data.split("test"), "last")

    def none():
        raise AssertionError("episodes of a test have no rows in its head")

    subject = Subject(algorithm, algorithm, state.params, none, run, state, data.split)
    found = measure(subject, HeadMemorySettings(windows=2, tried=1))
    assert found.is_joint
    assert found.contrast.observations == 2
    assert found.batches == 3
    assert [then.step for then in found.over_training] == [0, 1, 2, 5]
    assert all(then.share is not None and 0 < then.share.mean < 1 for then in found.over_training)
    assert measure(subject, HeadMemorySettings(windows=1, tried=0)).over_training == ()
    earlier = replace(subject, state=replace(state, step=2))
    found = measure(earlier, HeadMemorySettings(windows=1, tried=1))
    assert [then.step for then in found.over_training] == [0, 1, 2]


def test_no_episode_and_senseless_settings_are_refused():
    learner, params = conv_learner()
    with pytest.raises(DataError, match="at least one episode"):
        measure(subject_of(algorithm_of("maml", learner), params, []))
    with pytest.raises(ConfigError, match="windows of at least 1, got 0"):
        HeadMemorySettings(windows=0)
    assert ANALYSES["head_memory"].of_training
