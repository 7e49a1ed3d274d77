import itertools

import pytest
import torch

from innerloop.data.episode import stacked
from innerloop.data.sampler import draw_batch
from innerloop.errors import ConfigError, DivergedError
from innerloop.training import TrainingConfig, initial_state, train
from worlds import SMALL, algorithm_of, conv_learner, image_episode, made_up_data

SPLIT = made_up_data().split("train")


def batches(step):
    return draw_batch(SPLIT, SMALL, 0, range(2 * step, 2 * step + 2))


def states(head="learned", steps=4, start=None, lr=0.4, schedule="constant", **axes):
    learner, params = conv_learner(dtype=torch.float32)
    algorithm = algorithm_of("fomaml", learner, axes={"head": head, **axes}, lr=lr)
    config = TrainingConfig(steps, 2, outer_schedule=schedule)
    params = {**params, **algorithm.initial_params()}
    return list(train(algorithm, start or initial_state(algorithm, params), batches, config))


def same(left, right):
    return all(torch.equal(left[name], right[name]) for name in left) and left.keys() == right.keys()


def test_the_same_seed_gives_the_same_run_bit_for_bit():
    for left, right in zip(states(), states(), strict=True):
        assert same(left.params, right.params)
        assert same(left.optimizer, right.optimizer)


@pytest.mark.parametrize("head", ["learned", "zeroing", "first", "shared", "prototypes"])
def test_a_run_continued_from_any_state_is_the_uninterrupted_run_bit_for_bit(head):
    whole = states(head)
    for middle in whole[:-1]:
        rest = states(head, start=middle)
        assert [each.step for each in rest] == list(range(middle.step, 5))
        assert same(rest[-1].params, whole[-1].params)
        assert same(rest[-1].optimizer, whole[-1].optimizer)
        assert rest[-1].loss == whole[-1].loss


def test_states_are_values_that_later_steps_do_not_touch():
    learner, params = conv_learner(dtype=torch.float32)
    algorithm = algorithm_of("fomaml", learner)
    config = TrainingConfig(3, 2)
    run = train(algorithm, initial_state(algorithm, params), batches, config)
    first, second = itertools.islice(run, 2)
    kept = {name: value.clone() for name, value in second.params.items()}
    list(run)
    assert same(first.params, params)
    assert same(second.params, kept)


def test_the_outer_step_is_adam_on_the_mean_meta_gradient():
    first, second = states(steps=1)
    # Adam's first step moves every entry by the learning rate, against the gradient's sign.
    for name, value in second.params.items():
        moved = value - first.params[name]
        assert moved.abs().max() <= 1.001e-3
    assert (second.params["head.weight"] - first.params["head.weight"]).abs().median() > 0.9e-3


def test_the_zeroing_trick_zeroes_the_head_at_the_start_and_after_every_outer_step():
    for state in states("zeroing"):
        assert not state.params["head.weight"].any()
        assert not state.params["head.bias"].any()
    assert not same(states("zeroing")[0].params, states("zeroing")[-1].params)


@pytest.mark.parametrize("head", ["zeroing", "first"])
def test_a_head_dealt_with_every_second_step_moves_in_between(head):
    run = states(head, head_every=2)
    moved = [not torch.equal(state.params["head.weight"], run[0].params["head.weight"]) for state in run]
    assert moved == [False, True, False, True, False]


def test_a_head_put_back_keeps_its_first_value_while_the_encoder_learns():
    run = states("first")
    assert run[0].params["head.weight"].any()
    for state in run:
        assert torch.equal(state.params["head.weight"], run[0].params["head.weight"])
    assert not torch.equal(run[0].params["encoder.block1.0.weight"], run[-1].params["encoder.block1.0.weight"])


def test_a_head_at_zero_once_leaves_zero():
    run = states("zero")
    assert not run[0].params["head.weight"].any()
    assert run[-1].params["head.weight"].any()


def test_a_loss_that_is_not_finite_is_refused_with_step_and_task_and_how_far_the_inner_loop_went():
    where = r"outer step 1 in task 0, parameter .[\w.]+. \(after each inner step .* by (inf|[\d.]+e\+\d+) times"
    with pytest.raises(DivergedError, match=f"finite query loss, got (nan|inf) at {where}"):
        states(lr=1e30)


@pytest.mark.parametrize(
    ("schedule", "expected"), [("cosine", [1, 0.853553, 0.5, 0.146447]), ("linear", [1, 0.75, 0.5, 0.25])]
)
def test_the_outer_rate_falls_as_its_schedule_says(schedule, expected):
    learner, params = conv_learner()
    algorithm = algorithm_of("fomaml", learner, lr=0.3)
    config = TrainingConfig(4, 1, outer_rule="sgd", outer_lr=0.1, outer_schedule=schedule)
    batch = stacked([image_episode()])
    run = list(train(algorithm, initial_state(algorithm, params), lambda _: batch, config))
    for before, after, share in zip(run[:-1], run[1:], expected, strict=True):
        gradient = algorithm.meta_gradient(before.params, image_episode()).gradient
        for name, value in after.params.items():
            assert torch.allclose(value, before.params[name] - 0.1 * share * gradient[name], atol=1e-7)


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
def test_a_run_with_a_falling_rate_continues_bit_for_bit(schedule):
    whole = states(schedule=schedule)
    rest = states(schedule=schedule, start=whole[2])
    assert same(whole[-1].params, rest[-1].params)


@pytest.mark.parametrize("settings", [{"steps": -1}, {"tasks": 0}, {"outer_lr": 0.0}, {"outer_lr": float("nan")}])
def test_bad_settings_are_refused(settings):
    with pytest.raises(ConfigError, match="training"):
        TrainingConfig(**settings)


def test_plain_sgd_follows_the_gradient():
    learner, params = conv_learner()
    algorithm = algorithm_of("fomaml", learner, lr=0.3)
    config = TrainingConfig(steps=1, tasks=1, outer_rule="sgd", outer_lr=0.1)
    batch = stacked([image_episode()])
    before, after = train(algorithm, initial_state(algorithm, params), lambda _: batch, config)
    gradient = algorithm.meta_gradient(params, image_episode()).gradient
    for name, value in after.params.items():
        assert torch.allclose(value, before.params[name] - 0.1 * gradient[name], atol=1e-14)


def test_a_state_moves_whole_to_a_device_but_for_the_counts_that_are_read_on_the_cpu():
    state = states(steps=1, learned_rates="one")[-1]
    moved = state.on(torch.device("meta"))
    assert {value.device.type for value in [*moved.params.values(), *moved.first_head.values()]} == {"meta"}
    kept = {name.rsplit("/")[-1] for name, value in moved.optimizer.items() if value.device.type == "cpu"}
    assert kept == {"step"}
    assert moved.optimizer["inner_lr/exp_avg"].dim() == 0
