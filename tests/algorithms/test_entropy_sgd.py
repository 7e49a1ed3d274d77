"""Entropy-SGD: its inner loop against one written out, its limit plain SGD, and the valley's middle on a quadratic."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from innerloop.algorithms.entropy_sgd import pull, walk
from innerloop.algorithms.reptile import minibatches
from innerloop.data.episode import Episode, Examples, stacked, united, with_slots
from innerloop.engine import Chosen, EngineConfig
from innerloop.errors import ConfigError
from innerloop.models import Learner, seeded
from innerloop.params import norm
from innerloop.training import TrainingConfig, initial_state, train
from worlds import algorithm_of, conv_learner, image_episode, sequential

NUMBERED = with_slots(image_episode(k_shot=3, n_queries=5), torch.tensor([7, 3, 5]))
SGD = {"averaging": 1.0, "proximal": 0.0, "noise": 0.0}


def learner_of(rows=8):
    return conv_learner(n_way=rows)


def written_out(learner, params, batches, lr, pulled, averaging, remembers):
    """The same loop by a module, torch's own backward and plain arithmetic."""
    here = {name: value.clone() for name, value in params.items()}
    mean = {name: value.clone() for name, value in params.items()}
    for batch in batches:
        looked = {
            name: (params if not remembers and name in learner.head_names else here)[name].clone().requires_grad_()
            for name in here
        }
        F.cross_entropy(torch.func.functional_call(learner._whole, looked, (batch.inputs,)), batch.targets).backward()
        for name, value in here.items():
            here[name] = value - lr * looked[name].grad - lr * pulled * (value - params[name])
            mean[name] = (1 - averaging) * mean[name] + averaging * here[name]
    return {name: params[name] - mean[name] for name in params}


@pytest.mark.parametrize("remembers", [True, False])
@pytest.mark.parametrize("averaging", [0.25, 1.0])
def test_its_meta_gradient_is_the_way_to_the_mean_of_the_loop_written_out(averaging, remembers):
    learner, params = learner_of()
    axes = {"averaging": averaging, "noise": 0.0, "proximal": 0.3, "scoping": 0.1, "remembers": remembers}
    algorithm = algorithm_of("entropy_sgd", learner, axes=axes, lr=0.2, steps=4)
    found = algorithm.meta_gradient(params, NUMBERED, step=2).gradient
    expected = written_out(learner, params, minibatches(NUMBERED, 4), 0.2, 0.3 * 1.1**2, averaging, remembers)
    for name in params:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-9, atol=1e-12)


def test_with_no_pull_no_mean_and_no_noise_training_is_plain_sgd_a_minibatch_at_a_time():
    learner, params = learner_of()
    algorithm = algorithm_of("entropy_sgd", learner, axes=SGD, lr=0.2, steps=4)
    config = TrainingConfig(steps=3, tasks=1, outer_rule="sgd", outer_lr=1.0)
    episodes = [
        with_slots(image_episode(k_shot=3, n_queries=5, seed=seed), torch.tensor([7, 3, 5])) for seed in range(3)
    ]
    *_, end = train(algorithm, initial_state(algorithm, params), lambda step: stacked([episodes[step]]), config)
    leaves = {name: value.clone().requires_grad_() for name, value in params.items()}
    plain = torch.optim.SGD(list(leaves.values()), lr=0.2)
    for episode in episodes:
        for batch in minibatches(episode, 4):
            plain.zero_grad()
            logits = torch.func.functional_call(learner._whole, leaves, (batch.inputs,))
            F.cross_entropy(logits, batch.targets).backward()
            plain.step()
    for name, value in leaves.items():
        torch.testing.assert_close(end.params[name], value.detach(), rtol=1e-8, atol=1e-11)


def test_on_a_quadratic_the_loop_settles_where_loss_and_pull_balance():
    # loss (w - target)^2 with a pull g to the start w0: 2 (w - target) + g (w - w0) = 0
    learner = Learner(sequential(encoder=nn.Identity, head=lambda: nn.Linear(1, 1, bias=False)).double())
    start = {"head.weight": torch.tensor([[1.0]], dtype=torch.float64)}
    batch = Examples(torch.ones(2, 1, dtype=torch.float64), torch.tensor([[4.0], [4.0]], dtype=torch.float64))
    axes = {"noise": 0.0, "proximal": 0.5, "averaging": 0.25}
    algorithm = algorithm_of("entropy_sgd", learner, axes=axes, lr=0.1, steps=1, loss="mse")
    *_, end = walk(algorithm, start, [batch] * 300, 0)
    expected = (2 * 4.0 + 0.5 * 1.0) / 2.5
    assert end.params["head.weight"].item() == pytest.approx(expected, abs=1e-9)
    assert end.mean["head.weight"].item() == pytest.approx(expected, abs=1e-9)


def test_noise_has_the_variance_of_langevin_dynamics_and_repeats_with_its_seed():
    learner, params = learner_of()
    quiet, noisy = (
        algorithm_of("entropy_sgd", learner, axes={**SGD, "noise": noise}, lr=0.2, steps=1) for noise in (0.0, 0.03)
    )
    batches = minibatches(NUMBERED, 1)
    *_, plain = walk(quiet, params, batches, 0)
    ends = []
    for seed in (1, 1, 2):
        with seeded(seed):
            *_, end = walk(noisy, params, batches, 0)
        ends.append(end.params)
    name = max(params, key=lambda each: params[each].numel())
    apart = ends[0][name] - plain.params[name]
    assert apart.std().item() == pytest.approx(0.03 * (2 * 0.2) ** 0.5, rel=0.1)
    assert torch.equal(ends[0][name], ends[1][name])
    assert not torch.equal(ends[0][name], ends[2][name])
    found = [noisy.meta_gradient(params, NUMBERED, seed=seed).gradient[name] for seed in (1, 1, 2)]
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_noise_is_left_to_the_loop_which_can_repeat_it():
    learner, params = learner_of()
    noisy = algorithm_of("entropy_sgd", learner, lr=0.2, steps=2)
    engine = Chosen(EngineConfig(), noisy)
    engine.gradient(params, stacked([NUMBERED]))
    assert engine.name == "loop"
    with pytest.raises(ConfigError, match=r"expected algorithm.noise=0 for engine vmap"):
        Chosen(EngineConfig("vmap"), noisy).gradient(params, stacked([NUMBERED]))


def test_the_pull_grows_with_outer_steps():
    learner, _ = learner_of()
    algorithm = algorithm_of("entropy_sgd", learner, axes={"proximal": 0.2, "scoping": 0.5}, steps=1)
    assert [pull(algorithm, step) for step in range(3)] == pytest.approx([0.2, 0.3, 0.45])


@pytest.mark.parametrize("steps", [0, 2])
def test_a_test_begins_from_a_zero_head_of_the_tasks_own_rows(steps):
    learner, params = learner_of()
    algorithm = algorithm_of("entropy_sgd", learner, steps=4).with_inner(steps=steps, proximal=0.0)
    adapted = algorithm.adapt(params, image_episode().support).adapted
    assert adapted["head.weight"].shape[0] == 3
    assert bool(norm(learner.head_params(adapted)) > 0) == bool(steps)


def test_minibatches_of_less_than_two_examples_are_refused():
    learner, params = learner_of()
    algorithm = algorithm_of("entropy_sgd", learner, steps=13)
    with pytest.raises(ConfigError, match=r"at least 26 examples for the 13 minibatches.*got 24"):
        algorithm.meta_gradient(params, NUMBERED)


def test_a_test_without_inner_steps_cuts_nothing():
    (whole,) = minibatches(NUMBERED, 0)
    assert len(whole.targets) == len(NUMBERED.support.targets) + len(NUMBERED.query.targets)


def test_episodes_united_have_all_examples_of_all():
    whole = united([image_episode(seed=0), NUMBERED])
    assert len(whole.support.targets) == 6 + 9
    assert torch.equal(whole.query.inputs[9:], NUMBERED.query.inputs)
    assert isinstance(whole, Episode)


@pytest.mark.parametrize(
    ("name", "axes", "inner", "expected"),
    [
        ("entropy_sgd", {"adapts": "head"}, {}, "adapts=all.*order=entropy, got adapts=head"),
        ("entropy_sgd", {"rule": "adam"}, {}, "order=entropy, got adapts=all, rule=adam"),
        ("entropy_sgd", {"head": "shared"}, {}, "order=entropy.*head=shared"),
        ("entropy_sgd", {"head": "prototypes"}, {}, "another head for order=entropy, got prototypes"),
        ("entropy_sgd", {"averaging": 0.0}, {}, "averaging above 0 and up to 1, got 0"),
        ("entropy_sgd", {"noise": -1.0}, {}, "noise of at least 0, got -1"),
        ("entropy_sgd", {}, {"steps": 0}, "inner.steps of at least 1 for order=entropy"),
        ("entropy_sgd", {}, {"steps": 1, "lr_of": {"head.*": 0.1}}, "one inner.lr for order=entropy"),
        ("maml", {"noise": 0.1}, {}, "order=entropy beside noise, got second"),
        ("reptile", {"remembers": False}, {"steps": 2}, "order=entropy beside remembers, got reptile"),
    ],
)
def test_what_means_nothing_is_refused(name, axes, inner, expected):
    learner, _ = learner_of()
    with pytest.raises(ConfigError, match=expected):
        algorithm_of(name, learner, axes=axes, **inner)
