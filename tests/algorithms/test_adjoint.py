"""Second order, one step's graph at a time, against the same through the whole graph."""

import pytest
import torch
from torch import nn

from brought import Transformer, brought, token_episode
from innerloop.algorithms import ALGORITHMS, adjoint, maml
from innerloop.engine.memory import Living
from innerloop.errors import ConfigError
from innerloop.models import Learner, seeded
from innerloop.params import count, select
from innerloop.seeds import generator
from worlds import (
    CROSSINGS,
    algorithm_of,
    conv_learner,
    image_episode,
    normed_learner,
    sequential,
    smooth_learner,
    vector_episode,
)

EPISODE = vector_episode()
PRESETS = [
    name
    for name, preset in ALGORITHMS.items()
    if (preset.axes.order, preset.axes.objective) == ("second", "query_loss")
]
ALL = {
    **CROSSINGS,
    "shared": {"head": "shared"},
    "zeroing": {"head": "zeroing"},
    "proximal from prototypes": {"proximal": 0.7, "head": "prototypes"},
    "head": {"adapts": "head"},
    "all at once": {
        "rule": "adam",
        "learned_rates": "layer_step",
        "outer_loss": "every_step",
        "per_step_norms": True,
        "head": "ridge",
        "proximal": 0.2,
    },
}


def moved(algorithm, seed=0):
    """All meta-parameters in float64, those that begin equal or at one value moved apart."""
    rng = generator(seed, "apart")
    return {
        name: value.double() + 0.3 * (value.abs() + 0.1) * torch.randn(value.shape, generator=rng, dtype=torch.float64)
        for name, value in algorithm.initial_params().items()
    }


def assert_same(algorithm, params, episode, step=4, seed=1):
    found = []
    for rule in (maml, adjoint):
        with seeded(seed):
            found.append(rule.meta_gradient(algorithm, params, episode, step))
    truth, ours = found
    assert list(ours.gradient) == list(truth.gradient)
    for name, value in truth.gradient.items():
        torch.testing.assert_close(ours.gradient[name], value, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(ours.loss, truth.loss, rtol=1e-12, atol=0)
    torch.testing.assert_close(ours.accuracy, truth.accuracy, equal_nan=True)
    assert not any(value.requires_grad for value in (*ours.gradient.values(), ours.loss, ours.accuracy))
    return ours.gradient


@pytest.mark.parametrize("name", PRESETS)
def test_every_second_order_preset_has_the_gradient_of_its_whole_graph(name):
    learner, _ = conv_learner()
    preset = ALGORITHMS[name]
    algorithm = algorithm_of(name, learner, lr=preset.lr, steps=preset.steps)
    assert_same(algorithm, moved(algorithm), image_episode())


@pytest.mark.parametrize("axes", ALL.values(), ids=ALL.keys())
@pytest.mark.parametrize(("lr", "loss"), [(0.2, "cross_entropy"), (-0.1, "mse")])
def test_every_axis_has_the_gradient_of_its_whole_graph(axes, lr, loss):
    learner, _ = normed_learner()
    algorithm = algorithm_of("maml", learner, axes=axes, lr=lr, steps=3, loss=loss)
    gradient = assert_same(algorithm, moved(algorithm), EPISODE)
    told = [value.abs().max() for name, value in gradient.items() if name.startswith(("inner_lr", "step"))]
    assert not told or min(told) > 0


@pytest.mark.parametrize("head", ["learned", "prototypes", "ridge", "attention"])
def test_without_inner_steps_only_the_start_is_left_to_differentiate(head):
    learner, _ = normed_learner()
    algorithm = algorithm_of("maml", learner, axes={"head": head}, steps=0)
    assert_same(algorithm, moved(algorithm), EPISODE)


def test_rates_by_name_and_more_steps_than_were_trained_are_followed():
    learner, _ = normed_learner()
    algorithm = algorithm_of("maml", learner, lr=0.1, steps=4, lr_of={"head.*": (0.5, -0.1), "body.weight": 0.0})
    assert_same(algorithm, moved(algorithm), EPISODE)
    algorithm = algorithm_of("maml_pp", learner, lr=0.1, steps=2)
    assert_same(algorithm.with_inner(steps=5), moved(algorithm), EPISODE)


def test_a_loss_and_real_targets_of_the_users_are_followed():
    learner, _ = smooth_learner()
    episode = vector_episode()
    real = [side._replace(targets=side.inputs[:, :3].cos()) for side in episode]
    algorithm = algorithm_of(
        "maml", learner, lr=0.1, steps=3, loss=lambda outputs, targets: (outputs - targets).abs().mean()
    )
    assert_same(algorithm, moved(algorithm), episode._replace(support=real[0], query=real[1]))


def test_statistics_of_the_support_set_and_frozen_ones_are_followed():
    for normalization in ("support", "frozen"):
        learner, _ = conv_learner(normalization=normalization)
        algorithm = algorithm_of("maml", learner, lr=0.1, steps=2)
        assert_same(algorithm, moved(algorithm), image_episode())


@pytest.mark.parametrize("axes", [{}, {"outer_loss": "every_step"}, {"head": "prototypes"}])
def test_dropout_draws_the_second_time_what_it_drew_the_first(axes):
    learner = Learner(brought(Transformer, dropout=0.5))
    algorithm = algorithm_of("maml", learner, axes=axes, lr=0.1, steps=3)
    params = moved(algorithm)
    one, other = (assert_same(algorithm, params, token_episode(), seed=seed) for seed in (1, 2))
    assert any((one[name] - other[name]).abs().max() > 1e-3 for name in one)


@pytest.mark.parametrize(
    ("axes", "sets"), [({}, 1), ({"adapts": "head"}, 1), ({"rule": "adam"}, 3), ({"outer_loss": "every_step"}, 2)]
)
def test_a_further_inner_step_costs_the_positions_numbers_and_no_graph(axes, sets):
    learner, params = conv_learner()
    grown = []
    for rule in (adjoint, maml):
        peaks = [most_bytes(rule, algorithm_of("maml", learner, axes=axes, lr=0.1, steps=n), params) for n in (2, 8)]
        grown.append((peaks[1] - peaks[0]) / 6)
    names = algorithm_of("maml", learner, axes=axes).names
    a_position = sets * 8 * count(select(params, names)) + 8  # and its support loss
    assert grown[0] <= a_position
    assert grown[1] > 20 * a_position


def most_bytes(rule, algorithm, params):
    """The most that was alive at a time of all that the rule made."""

    class Most(Living):
        most = 0

        def __torch_dispatch__(self, *args, **kwargs):
            found = super().__torch_dispatch__(*args, **kwargs)
            self.most = max(self.most, self.bytes)
            return found

    with Most() as living:
        rule.meta_gradient(algorithm, params, image_episode(), 0)
    return living.most


class Distances(nn.Module):
    """To fixed points, of a kind that torch cannot differentiate twice."""

    def forward(self, inputs):
        return torch.cdist(inputs, torch.eye(inputs.shape[1], dtype=inputs.dtype), p=1.0)


def test_an_operation_without_a_second_derivative_is_refused_as_the_whole_graph_refuses_it():
    module = sequential(body=lambda: nn.Linear(6, 4), distances=Distances, head=lambda: nn.Linear(4, 3)).double()
    algorithm = algorithm_of("maml", Learner(module), steps=2)
    for rule in (maml, adjoint):
        with pytest.raises(ConfigError, match="expected operations with a second derivative, got one without"):
            rule.meta_gradient(algorithm, algorithm.initial_params(), EPISODE, 0)
