import copy

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from innerloop.errors import ConfigError
from innerloop.models import Learner, ModelConfig, build
from worlds import algorithm_of, image_episode, sequential

EPISODE = image_episode()
MODES = ("batch", "support", "frozen")


def trained_norms():
    """Return a small network whose running statistics are those of some batch."""
    module = sequential(
        body=lambda: nn.Conv2d(1, 4, 3),
        norm=lambda: nn.BatchNorm2d(4),
        other=lambda: nn.GroupNorm(2, 4),
        mean=lambda: nn.AdaptiveAvgPool2d(1),
        flat=nn.Flatten,
        head=lambda: nn.Linear(4, 3),
    ).double()
    module(3 * EPISODE.support.inputs + 1)
    return module


def test_frozen_statistics_are_the_modules_own_in_eval_mode_and_never_change():
    module = trained_norms()
    learner = Learner(module, normalization="frozen")
    params = learner.initial_params()
    expected = module.eval()(EPISODE.query.inputs)
    for each in (learner, learner.tested(), learner):
        torch.testing.assert_close(each.logits(params, EPISODE.query.inputs), expected)
    one_by_one = torch.cat([learner.logits(params, query) for query in EPISODE.query.inputs.split(1)])
    torch.testing.assert_close(one_by_one, expected)


def test_frozen_statistics_follow_parameters_of_another_type():
    module = trained_norms()
    learner = Learner(copy.deepcopy(module).float(), normalization="frozen")
    params = {name: value.double() for name, value in learner.initial_params().items()}
    ours = learner.logits(params, EPISODE.query.inputs)
    torch.testing.assert_close(ours, module.eval()(EPISODE.query.inputs), rtol=1e-4, atol=1e-5)


def test_scale_and_shift_are_trained_and_adapted_in_every_mode():
    for mode in MODES:
        learner = Learner(trained_norms(), normalization=mode)
        assert learner.norm_names == {"norm.weight", "norm.bias"}
        assert {"other.weight", "other.bias"} < learner.names
        params = learner.initial_params()
        algorithm = algorithm_of("maml", learner)
        assert algorithm.meta_gradient(params, EPISODE).gradient["norm.weight"].any()
        assert not torch.equal(algorithm.adapt(params, EPISODE.support).adapted["norm.bias"], params["norm.bias"])


@pytest.mark.parametrize("mode", MODES)
def test_a_mode_says_so_when_predictions_lean_on_one_another(mode):
    learner = Learner(trained_norms(), normalization=mode)
    params, queries = learner.initial_params(), EPISODE.query.inputs
    together, some = (learner.logits(params, each, EPISODE.support.inputs) for each in (queries, queries[:2]))
    leans = (together[:2] - some).abs().max().item() > 1e-6
    assert learner.transductive == leans == (mode == "batch")


@pytest.mark.parametrize("mode", MODES)
def test_a_tested_learner_keeps_to_its_normalization(mode):
    learner = Learner(trained_norms(), normalization=mode)
    params, queries, support = learner.initial_params(), EPISODE.query.inputs, EPISODE.support.inputs
    assert torch.equal(learner.logits(params, queries, support), learner.tested().logits(params, queries, support))
    assert learner.tested().transductive == learner.transductive


def test_instance_norm_stays_what_it_is_in_training():
    module = sequential(
        norm=lambda: nn.InstanceNorm2d(1, affine=True, track_running_stats=True),
        flat=nn.Flatten,
        head=lambda: nn.Linear(256, 3),
    ).double()
    learner = Learner(module)
    params, queries = learner.initial_params(), EPISODE.query.inputs
    expected = module.head(F.instance_norm(queries).flatten(1))
    for each in (learner, learner.tested()):
        torch.testing.assert_close(each.logits(params, queries), expected)
    assert learner.norm_names == frozenset()


def test_a_network_that_was_built_starts_with_untouched_statistics():
    learner = build(ModelConfig("conv4", filters=2, normalization="frozen"), (1, 16, 16), 3, seed=0)
    for name, value in learner._whole.named_buffers():
        assert (value == (0 if name.endswith("mean") else 1)).all(), name


def test_frozen_without_running_statistics_is_refused():
    module = sequential(norm=lambda: nn.BatchNorm1d(3, track_running_stats=False), head=lambda: nn.Linear(3, 2))
    with pytest.raises(ConfigError, match="running statistics in 'norm' to freeze, got a layer that tracks none"):
        Learner(module, normalization="frozen")


def test_a_norm_without_scale_and_shift_works_in_every_mode():
    module = sequential(norm=lambda: nn.BatchNorm1d(3, affine=False), head=lambda: nn.Linear(3, 2))
    for mode in MODES:
        learner = Learner(module, normalization=mode)
        inputs = torch.arange(12.0).view(4, 3)
        assert learner.logits(learner.initial_params(), inputs, inputs).shape == (4, 2)
        assert not learner.norm_names
