import copy

import pytest
import torch
from torch import nn

from brought import Tied, Writing, brought, token_episode
from innerloop.errors import ConfigError
from innerloop.models import Learner
from innerloop.models.pure import parameter_places
from reference.plain_maml import meta_gradient as plain
from worlds import algorithm_of, sequential, vector_episode

EPISODE = vector_episode()


@pytest.mark.parametrize("order", ["second", "first"])
@pytest.mark.parametrize("how", ["in place", "without gradient", "by assignment"])
def test_what_a_forward_pass_writes_into_buffers_is_dropped_and_the_gradient_is_that_of_one_call(how, order):
    learner = Learner(brought(Writing, how=how))
    params = learner.initial_params()
    first = learner.logits(params, EPISODE.query.inputs)
    ours = algorithm_of("maml", learner, order=order, lr=0.3, steps=2).meta_gradient(params, EPISODE).gradient
    truth = slow_meta_gradient(learner, params, order)
    for name in truth:
        torch.testing.assert_close(ours[name], truth[name], rtol=1e-9, atol=1e-12)
    assert torch.equal(learner.logits(params, EPISODE.query.inputs), first)
    assert all(not value.any() for value in learner._whole.buffers())


def slow_meta_gradient(learner, params, order):
    """MAML by plain autograd, every call on a module made anew."""

    def loss(values, examples):
        buffers = {name: value.clone() for name, value in learner._whole.named_buffers()}
        outputs = torch.func.functional_call(learner._whole, {**values, **buffers}, (examples.inputs,))
        return nn.functional.cross_entropy(outputs, examples.targets)

    def gradients(value, at, **how):
        return torch.autograd.grad(value, list(at.values()), allow_unused=True, materialize_grads=True, **how)

    start = {name: value.clone().requires_grad_() for name, value in params.items()}
    here = dict(start)
    for _ in range(2):
        found = gradients(loss(here, EPISODE.support), here, create_graph=order == "second")
        here = {name: value - 0.3 * each for (name, value), each in zip(here.items(), found, strict=True)}
        if order == "first":
            here = {name: value.detach().requires_grad_() for name, value in here.items()}
    at = start if order == "second" else here
    return dict(zip(at, gradients(loss(here, EPISODE.query), at), strict=True))


def test_parameters_that_no_output_depends_on_stand_still_and_get_a_zero_gradient():
    learner = Learner(brought(Writing))
    params = learner.initial_params()
    algorithm = algorithm_of("maml", learner, steps=2)
    assert not algorithm.meta_gradient(params, EPISODE).gradient["unused.weight"].any()
    adapted = algorithm.adapt(params, EPISODE.support).adapted
    assert torch.equal(adapted["unused.weight"], params["unused.weight"])
    assert not torch.equal(adapted["body.weight"], params["body.weight"])


def test_frozen_parameters_and_buffers_follow_parameters_of_another_type():
    module = brought(Writing).float()
    module.body.requires_grad_(False)
    learner = Learner(module)
    params = {name: value.double() for name, value in learner.initial_params().items()}
    outputs = learner.logits(params, EPISODE.query.inputs)
    assert outputs.dtype == torch.float64
    double = Learner(module.double())
    torch.testing.assert_close(outputs, double.logits(params, EPISODE.query.inputs))


def test_an_encoder_that_is_all_frozen_follows_the_heads_type():
    module = sequential(body=lambda: nn.Linear(6, 4), head=lambda: nn.Linear(4, 3))
    module.body.requires_grad_(False)
    learner = Learner(module)
    params = {name: value.double() for name, value in learner.initial_params().items()}
    assert learner.features(params, EPISODE.query.inputs).dtype == torch.float64
    assert learner.features({}, EPISODE.query.inputs).dtype == torch.float32


def test_real_inputs_follow_the_parameters_type_and_whole_numbers_are_left():
    module = sequential(body=lambda: nn.Linear(6, 4), head=lambda: nn.Linear(4, 3)).double()
    learner = Learner(module)
    single = EPISODE.query.inputs.float()
    assert torch.equal(learner.logits(learner.initial_params(), single), module(single.double()))
    assert learner.features(learner.initial_params(), single).dtype == torch.float64
    tokens = Learner(brought(Tied))
    assert tokens.logits(tokens.initial_params(), token_episode().query.inputs).dtype == torch.float64


@pytest.mark.parametrize("head_first", [False, True])
@pytest.mark.parametrize("head_tied", [False, True])
@pytest.mark.parametrize("order", ["second", "first"])
def test_tied_parameters_are_one_parameter_in_every_gradient_and_in_the_features(order, head_tied, head_first):
    module = brought(Tied, head_tied=head_tied, head_first=head_first)
    learner, episode = Learner(module), token_episode()
    params = learner.initial_params()
    assert ("right.weight" in params, "head.weight" in params) == (False, not head_tied)
    ours = algorithm_of("maml", learner, order=order, lr=0.3, steps=2).meta_gradient(params, episode).gradient
    truth, _ = plain(module, params, episode, lr=0.3, steps=2, order=order)
    for name in params:
        torch.testing.assert_close(ours[name], truth[name], rtol=1e-9, atol=1e-12)
    # The features are made with the handed values too, also where the embedding is the head's weight.
    moved = {name: value + 0.5 for name, value in params.items()}
    weight = moved["embed.weight" if head_tied else "head.weight"]
    features = learner.features(moved, episode.query.inputs)
    expected = features @ weight.T + moved["head.bias"]
    torch.testing.assert_close(learner.logits(moved, episode.query.inputs), expected)


def test_a_layer_used_twice_is_one_place_and_its_constants_stay_what_they_are():
    layer = sequential(body=lambda: nn.Linear(6, 6), bend=nn.Tanh).double()
    module = sequential(first=lambda: layer, again=lambda: layer, head=lambda: nn.Linear(6, 3)).double()
    learner = Learner(module)
    assert set(parameter_places(module)) == learner.names
    ours = algorithm_of("maml", learner, lr=0.3, steps=2).meta_gradient(learner.initial_params(), EPISODE).gradient
    # torch's own functional_call leaves a layer of two names with the values it was handed: give it a copy.
    own = copy.deepcopy(module)
    truth, _ = plain(own, learner.initial_params(), EPISODE, lr=0.3, steps=2, order="second")
    for name in learner.names:
        torch.testing.assert_close(ours[name], truth[name], rtol=1e-9, atol=1e-12)
    layer.requires_grad_(False)
    frozen = Learner(module)
    params = frozen.initial_params()
    before = frozen.logits(params, EPISODE.query.inputs)
    frozen.logits({name: value.float() for name, value in params.items()}, EPISODE.query.inputs)
    assert torch.equal(frozen.logits(params, EPISODE.query.inputs), before)


def test_a_missing_value_and_a_module_that_returns_no_tensor_are_refused():
    module = sequential(body=lambda: nn.Linear(6, 4), head=lambda: nn.Linear(4, 3))
    learner = Learner(module)
    with pytest.raises(ConfigError, match=r"a value for every parameter, got none for 'head\.bias'"):
        learner.logits({n: v for n, v in learner.initial_params().items() if n != "head.bias"}, torch.zeros(2, 6))
    learner = Learner(sequential(head=lambda: nn.LSTM(3, 3)))
    with pytest.raises(ConfigError, match="one tensor from Sequential, got tuple; wrap the module"):
        learner.logits(learner.initial_params(), torch.zeros(2, 1, 3))


def test_values_of_inference_mode_can_be_used():
    learner = Learner(sequential(body=lambda: nn.Linear(6, 4), head=lambda: nn.Linear(4, 3)))
    with torch.inference_mode():
        params = learner.initial_params()
        assert learner.logits(params, torch.zeros(2, 6)).shape == (2, 3)
