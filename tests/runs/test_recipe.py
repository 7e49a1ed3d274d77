from dataclasses import replace

import pytest
import torch

from innerloop.algorithms import AlgorithmConfig
from innerloop.data.episode import tasks
from innerloop.engine import EngineConfig
from innerloop.errors import ConfigError
from innerloop.runs import Recipe, RecordConfig, fingerprint, probe_episodes, training_batch
from innerloop.training import TrainingConfig
from worlds import SMALL, made_up_data


def test_a_pool_of_one_is_one_task_whose_slots_are_dealt_anew():
    data = made_up_data()
    recipe = Recipe(episode=SMALL, training=TrainingConfig(tasks=2, pool=1))
    seen = set()
    for step in range(6):
        for episode in tasks(training_batch(recipe, data, step)):
            images = {}
            for side in episode:
                for image, slot in zip(side.inputs, side.targets.tolist(), strict=True):
                    images[image.numpy().tobytes()] = slot
            order = tuple(slot for _, slot in sorted(images.items()))
            seen.add((tuple(sorted(images)), order))
    assert len({names for names, _ in seen}) == 1
    assert len({order for _, order in seen}) > 3


def test_a_pool_repeats_after_its_size_and_fixed_slots_stay():
    data = made_up_data()
    recipe = Recipe(episode=replace(SMALL, labels="fixed"), training=TrainingConfig(tasks=3, pool=3))
    first, again = training_batch(recipe, data, 0), training_batch(recipe, data, 1)
    assert torch.equal(first.query.inputs, again.query.inputs)
    assert torch.equal(first.query.targets, again.query.targets)
    endless = training_batch(replace(recipe, training=TrainingConfig(tasks=3)), data, 1)
    assert not torch.equal(first.query.inputs, endless.query.inputs)


@pytest.mark.parametrize("pool", [0, 4])
def test_a_joint_classifier_trains_on_class_numbers_that_stand_for_the_same_class_at_every_step(pool):
    data = made_up_data()
    recipe = Recipe(episode=SMALL, training=TrainingConfig(tasks=2, pool=pool), algorithm=AlgorithmConfig("pretrained"))
    split, number_of = data.split("train"), {}
    for number, members in enumerate(split.members):
        number_of |= {split.inputs[member].tobytes(): number for member in members}
    for step in range(4):
        for episode in tasks(training_batch(recipe, data, step)):
            for side in episode:
                pictures = (side.inputs * 255).round().to(torch.uint8).numpy()
                assert side.targets.tolist() == [number_of[each.tobytes()] for each in pictures]


def test_probes_of_training_are_what_training_sees():
    data = made_up_data()
    recipe = Recipe(
        episode=SMALL,
        training=TrainingConfig(tasks=2, pool=1),
        record=RecordConfig(probes="training", probe_episodes=3),
    )
    (probe,) = probe_episodes(recipe, data)
    inputs = training_batch(recipe, data, 4).support.inputs
    assert torch.equal(probe.support.inputs, inputs[0])
    held_out = probe_episodes(replace(recipe, record=RecordConfig(probe_episodes=3)), data)
    assert len(held_out) == 3
    assert not torch.equal(held_out[0].support.inputs, inputs[0])


def test_the_engine_is_not_part_of_what_a_run_is_but_its_precision_is():
    own = fingerprint(Recipe())
    for engine in (EngineConfig(name="vmap", chunk=4), EngineConfig(memory="constant"), EngineConfig(device="cuda")):
        assert fingerprint(Recipe(engine=engine)) == own
    assert fingerprint(Recipe(engine=EngineConfig(precision="bf16"))) != own


def test_how_often_rates_are_recorded_is_not_part_of_what_a_run_is_so_that_runs_from_before_go_on():
    assert fingerprint(Recipe(record=RecordConfig(rates=0))) == fingerprint(Recipe())
    assert fingerprint(Recipe(record=RecordConfig(cosine=5))) != fingerprint(Recipe())


def test_rates_are_recorded_every_so_many_steps_or_never():
    with pytest.raises(ConfigError, match=r"expected record\.rates of at least 0, got -1; 0 is never"):
        RecordConfig(rates=-1)


def test_what_becomes_of_steps_that_are_not_finite_is_not_part_of_what_a_run_is_but_clipping_is_where_it_is_asked_for():
    # That of every recipe of defaults from before there were either, so that its run goes on.
    own = "2418d1b003071692f834019f1f94ca9bd1b73f97d348ac908d9fbcd793e91be2"
    for policy in ("stop", "skip", "halve"):
        assert fingerprint(Recipe(training=TrainingConfig(nonfinite=policy))) == own
    assert fingerprint(Recipe(training=TrainingConfig(clip=10.0))) != own
