"""Outer steps that are not finite: found by task and parameter, stopped at, skipped, or halved at; and clipped ones."""

import itertools
import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from innerloop.data.episode import Episode, Examples, stacked
from innerloop.engine import Loop
from innerloop.engine.vmapped import Vmapped
from innerloop.engine.workers import Workers
from innerloop.errors import ConfigError, DivergedError
from innerloop.models import Learner
from innerloop.params import norm, scaled
from innerloop.runs import Best, read_checkpoint, write_checkpoint
from innerloop.training import TrainingConfig, initial_state, train
from innerloop.training.divergence import PATIENCE
from innerloop.training.schedule import factor
from worlds import algorithm_of, sequential, vector_episode

TASKS = 3
LOSS, GRADIENT = float("nan"), 0.0  # a query of which makes the loss, or only the root's slope, not finite
ENGINES = {"loop": Loop, "vmap": Vmapped, "workers": lambda algorithm: Workers(algorithm, 2)}


class Root(nn.Module):
    """A layer that is finite everywhere and has no slope at 0."""

    def forward(self, values):
        return values.abs().sqrt()


def rooted(head="learned", **axes):
    """A learner in float64 that adapts its head, so that the root's slope is in the meta-gradient alone."""
    module = sequential(
        flatten=nn.Flatten, body=lambda: nn.Linear(6, 5, bias=False), root=Root, head=lambda: nn.Linear(5, 3)
    ).double()
    with torch.no_grad():
        for seed, parameter in enumerate(module.parameters()):
            rng = torch.Generator().manual_seed(seed)
            parameter.copy_(torch.randn(parameter.shape, generator=rng, dtype=torch.float64) * 0.6)
    return algorithm_of("anil", Learner(module), order="first", axes={"head": head, **axes}, lr=0.1, steps=2)


def with_query(episode, value):
    inputs = episode.query.inputs.clone()
    inputs[0] = value
    return Episode(episode.support, Examples(inputs, episode.query.targets))


def batches_with(spoilt):
    """Return batches whose task is spoilt by a value where `spoilt[step, task]` has one."""

    def batches(step):
        drawn = [vector_episode(seed=10 * step + task) for task in range(TASKS)]
        return stacked(
            [
                with_query(each, spoilt[step, task]) if (step, task) in spoilt else each
                for task, each in enumerate(drawn)
            ]
        )

    return batches


def run_of(spoilt, nonfinite="skip", steps=5, start=None, algorithm=None, engine=Loop, **settings):
    algorithm = algorithm or rooted()
    config = TrainingConfig(steps, TASKS, nonfinite=nonfinite, **{"outer_lr": 0.01, **settings})
    start = start or initial_state(algorithm, algorithm.initial_params())
    return train(algorithm, start, batches_with(spoilt), config, engine=engine(algorithm))


def states(*arguments, **settings):
    return list(run_of(*arguments, **settings))


def written_out(spoilt, steps=5, halve=False, schedule="constant", rule=torch.optim.Adam):
    """The parameters after every step of a loop that leaves out spoilt steps, and where asked for halves its rate."""
    algorithm = rooted()
    leaves = {name: value.clone() for name, value in algorithm.initial_params().items()}
    optimizer = rule(list(leaves.values()))
    rate, path = 0.01, []
    for step in range(steps):
        if any(own == step for own, _ in spoilt):
            rate = rate / 2 if halve else rate
        else:
            found = [algorithm.meta_gradient(leaves, vector_episode(seed=10 * step + task)) for task in range(TASKS)]
            for name, leaf in leaves.items():
                leaf.grad = sum(each.gradient[name] for each in found) / TASKS
            optimizer.param_groups[0]["lr"] = rate * factor(schedule, step, steps)
            optimizer.step()
        path.append({name: value.clone() for name, value in leaves.items()})
    return path


def close(left, right):
    torch.testing.assert_close(left, right, rtol=1e-11, atol=1e-13)


def same(left, right):
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def is_finite(state):
    return all(bool(value.isfinite().all()) for value in [*state.params.values(), *state.optimizer.values()])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("spoilt", "words"),
    [
        ({(2, 1): GRADIENT}, "finite meta-gradient, got NaN or infinity at outer step 3 in task 1, parameter 'body"),
        ({(2, 1): LOSS}, "finite query loss, got nan at outer step 3 in task 1, parameter 'body.weight'"),
        # The gradient of an earlier task spoils as much as the loss of a later one.
        ({(2, 2): LOSS, (2, 1): GRADIENT}, "finite meta-gradient, .* at outer step 3 in task 1, parameter 'body"),
    ],
)
def test_the_error_names_the_first_task_and_parameter_whatever_the_engine(engine, spoilt, words):
    with pytest.raises(DivergedError, match=words) as raised:
        states(spoilt, "stop", engine=ENGINES[engine])
    assert "nonfinite: skip (or halve)" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_sum_that_overflows_though_no_task_does_is_said_to_be_one():
    class Huge(Loop):
        def gradient(self, params, batch, *rest):
            found = super().gradient(params, batch, *rest)
            worst = math.inf if len(found.losses) > 1 else 1e308
            return found._replace(
                gradient={**found.gradient, "head.bias": torch.full((3,), worst, dtype=torch.float64)}
            )

    with pytest.raises(DivergedError, match=r"at outer step 1 in the sum over tasks, parameter 'head\.bias'; try"):
        states({}, "stop", engine=Huge)


def test_tasks_are_worked_out_one_by_one_with_the_noise_they_had_in_their_batch():
    calls = []

    class Listened(Loop):
        def gradient(self, params, batch, step=0, seed=0, first=0):
            found = super().gradient(params, batch, step, seed, first)
            calls.append(found.losses.tolist())
            return found

    module = sequential(flatten=nn.Flatten, drop=lambda: nn.Dropout(0.5), head=lambda: nn.Linear(6, 3)).double()
    algorithm = algorithm_of("fomaml", Learner(module), lr=0.1, steps=1)
    config = TrainingConfig(2, TASKS, nonfinite="skip")
    start = initial_state(algorithm, algorithm.initial_params())
    list(train(algorithm, start, batches_with({(1, 2): LOSS}), config, seed=5, engine=Listened(algorithm)))
    _, together, *alone = calls
    assert [each for (each,) in alone[:2]] == together[:2]
    assert len(alone) == TASKS


@pytest.mark.parametrize("kind", [LOSS, GRADIENT])
@pytest.mark.parametrize("at", [(0, 0), (2, 1), (4, 2)])
def test_a_skipped_step_is_the_run_without_that_update(kind, at):
    run = states({at: kind})
    for state, expected in zip(run[1:], written_out({at: kind}), strict=True):
        close(state.params, expected)
    assert [state.step for state in run] == [0, 1, 2, 3, 4, 5]
    skipped = run[at[0] + 1]
    assert skipped.skipped == f"task {at[1]}, parameter 'body.weight'"
    assert math.isnan(skipped.loss)
    assert math.isnan(skipped.accuracy)
    assert [bool(state.skipped) for state in run].count(True) == 1
    assert same(skipped.optimizer, run[at[0]].optimizer)
    assert all(map(is_finite, run))


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_halving_is_skipping_with_half_the_rate_from_then_on(schedule):
    spoilt = {(1, 0): LOSS, (3, 2): GRADIENT}
    run = states(spoilt, "halve", steps=7, outer_schedule=schedule)
    for state, expected in zip(run[1:], written_out(spoilt, 7, halve=True, schedule=schedule), strict=True):
        close(state.params, expected)
    assert [state.rate for state in run] == [1, 1, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25]
    kept = states(spoilt, "skip", steps=7, outer_schedule=schedule)
    assert {state.rate for state in kept} == {1}
    assert not same(kept[-1].params, run[-1].params)


@pytest.mark.parametrize("nonfinite", ["stop", "skip", "halve"])
def test_a_run_without_a_fault_is_the_same_under_every_policy(nonfinite):
    left, right = states({}, nonfinite)[-1], states({}, "stop")[-1]
    assert same(left.params, right.params)
    assert same(left.optimizer, right.optimizer)


@pytest.mark.parametrize("nonfinite", ["skip", "halve"])
@pytest.mark.parametrize("rule", ["adam", "sgd"])
def test_a_run_continued_amid_skipped_steps_is_the_uninterrupted_run_bit_for_bit(tmp_path, nonfinite, rule):
    spoilt = {(0, 1): LOSS, (2, 0): GRADIENT, (3, 1): LOSS, (4, 2): LOSS}
    settings = {"steps": 7, "outer_rule": rule, "clip": 0.5}
    whole = states(spoilt, nonfinite, **settings)
    for middle in whole[:-1]:
        write_checkpoint(tmp_path / "kept", middle, Best())
        rest = states(spoilt, nonfinite, start=read_checkpoint(tmp_path / "kept")[0], **settings)
        assert len(rest) == len(whole) - middle.step
        for left, right in zip(rest, whole[middle.step :], strict=True):
            assert same(left.params, right.params)
            assert same(left.optimizer, right.optimizer)
            for name in ("step", "skipped", "in_a_row", "rate", "loss", "gradient_norm"):
                assert repr(getattr(left, name)) == repr(getattr(right, name)), name


def test_what_becomes_of_the_head_between_steps_happens_after_a_skipped_one_too():
    run = states({(1, 0): LOSS}, algorithm=rooted("zeroing", head_every=2))
    assert run[1].params["head.weight"].any()
    assert not run[2].params["head.weight"].any()
    assert torch.equal(run[2].params["body.weight"], run[1].params["body.weight"])


def test_ten_skipped_steps_in_a_row_end_training_and_fewer_do_not():
    without_end = {(step, 1): LOSS for step in range(3, 40)}
    reached = []
    words = "finite query loss once in 10 outer steps, got none in steps 4 to 13, at last nan in task 1, parameter"
    with pytest.raises(DivergedError, match=words):
        reached.extend(run_of(without_end, steps=40))
    assert [state.in_a_row for state in reached[3:]] == list(range(PATIENCE))
    nine = {(step, 1): LOSS for step in range(40) if step % PATIENCE}
    assert states(nine, steps=40)[-1].in_a_row == 9


def test_the_count_of_skipped_steps_in_a_row_goes_on_in_a_continued_run():
    spoilt = {(step, 0): LOSS for step in range(40)}
    middle = states(spoilt, steps=6)[-1]
    with pytest.raises(DivergedError, match="in steps 1 to 10"):
        states(spoilt, steps=40, start=middle)


def loud_at(when):
    """Make an engine whose meta-gradient of one outer step is far too large, if finite."""

    class Loud(Loop):
        def gradient(self, params, batch, step=0, seed=0, first=0):
            found = super().gradient(params, batch, step, seed, first)
            return found._replace(gradient=scaled(found.gradient, 1e290)) if step == when else found

    return Loud


@pytest.mark.parametrize(
    ("settings", "said", "where"),
    [
        ({"outer_rule": "sgd", "outer_lr": 1e30}, "finite parameters", "the outer update, parameter 'body.weight'"),
        # Finite parameters, under an optimizer that would never move them again.
        ({}, "finite moments", "the outer update, moment 'body.weight/exp_avg_sq'"),
        ({"clip": 1.0}, "a meta-gradient of finite norm", "the sum over tasks"),
    ],
)
def test_an_update_that_overflows_is_an_error_or_is_taken_back(settings, said, where):
    with pytest.raises(DivergedError, match=f"expected {said}, got .* at outer step 2 in {where}; try"):
        states({}, "stop", engine=loud_at(1), **settings)
    run = states({}, "skip", steps=2, engine=loud_at(1), **settings)
    assert run[-1].skipped == where
    assert same(run[-1].params, run[-2].params)
    assert same(run[-1].optimizer, run[-2].optimizer)
    assert all(map(is_finite, run))


@pytest.mark.parametrize("when", [0, 1])
def test_training_goes_on_from_an_update_taken_back_as_if_it_had_never_been(when):
    run = states({}, engine=loud_at(when))
    for state, expected in zip(run[1:], written_out({(when, 0): LOSS}), strict=True):
        close(state.params, expected)


def test_a_clipped_step_follows_the_gradient_scaled_down_to_the_longest_norm():
    algorithm = rooted()
    free = states({}, "stop", steps=4, algorithm=algorithm, outer_rule="sgd", outer_lr=0.1, clip=1e9)
    longest = sorted(state.gradient_norm for state in free[1:])[1]  # some are longer, and one is not
    run = states({}, "stop", steps=4, algorithm=algorithm, outer_rule="sgd", outer_lr=0.1, clip=longest)
    kept = []
    for step, (before, after) in enumerate(itertools.pairwise(run)):
        gradient = Loop(algorithm).gradient(before.params, batches_with({})(step)).gradient
        length = norm(gradient).item()
        assert after.gradient_norm == pytest.approx(length, rel=1e-12)
        share = min(1.0, longest / length)
        close(after.params, {name: value - 0.1 * share * gradient[name] for name, value in before.params.items()})
        kept.append(share == 1)
    assert True in kept
    assert False in kept
    plain = states({}, "stop", steps=4, algorithm=algorithm, outer_rule="sgd", outer_lr=0.1)
    assert same(plain[-1].params, free[-1].params)
    assert math.isnan(plain[-1].gradient_norm)


def test_the_norm_of_a_float32_gradient_is_measured_where_its_square_overflows():
    class Steep(Loop):
        def gradient(self, params, batch, *rest):
            found = super().gradient(params, batch, *rest)
            return found._replace(gradient={name: value.float() * 1e25 for name, value in found.gradient.items()})

    algorithm = rooted()
    start = initial_state(algorithm, {name: value.float() for name, value in algorithm.initial_params().items()})
    config = TrainingConfig(1, TASKS, outer_rule="sgd", outer_lr=1.0, clip=2.0)

    def batches(step):
        support, query = batches_with({})(step)
        return Episode(*(each._replace(inputs=each.inputs.float()) for each in (support, query)))

    before, after = train(algorithm, start, batches, config, engine=Steep(algorithm))
    moved = {name: value - before.params[name] for name, value in after.params.items()}
    assert norm(moved).item() == pytest.approx(2.0, rel=1e-5)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"clip": 0.0}, "positive, finite training.clip, got 0.0"),
        ({"clip": -1.0}, "positive, finite training.clip"),
        ({"clip": math.nan}, "positive, finite training.clip"),
        ({"clip": math.inf}, "positive, finite training.clip"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        TrainingConfig(**settings)


def test_a_state_of_a_later_policy_goes_on_under_it():
    stopped = states({(2, 0): LOSS}, "skip", steps=2)[-1]
    with pytest.raises(DivergedError, match="outer step 3"):
        states({(2, 0): LOSS}, "stop", start=stopped)
    rest = states({(2, 0): LOSS}, "halve", start=replace(stopped))
    assert same(rest[-1].params, states({(2, 0): LOSS}, "halve")[-1].params)
