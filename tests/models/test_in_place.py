import pytest
import torch
from torch import nn
from torch.func import grad

from brought import Overwriting, brought
from innerloop.errors import ConfigError
from innerloop.models import Learner, refuse_in_place
from worlds import algorithm_of, sequential, vector_episode

EPISODE = vector_episode()


def in_place_layers(inplace=True):
    """What plain autograd refuses with its layers in place: each overwrites what the one before needs."""
    return sequential(
        first=lambda: nn.ReLU(inplace=inplace),
        body=lambda: nn.Linear(6, 4),
        bend=nn.Sigmoid,
        then=lambda: nn.ELU(inplace=inplace),
        head=lambda: nn.Linear(4, 3),
    ).double()


def test_layers_that_work_in_place_by_choice_work_elsewhere_and_leave_the_users_module_and_inputs_alone():
    module = in_place_layers()
    learner, plain = Learner(module), in_place_layers(inplace=False)
    plain.load_state_dict(module.state_dict())
    before = EPISODE.support.inputs.clone()
    ours, truth = (
        algorithm_of("maml", each, steps=2).meta_gradient(learner.initial_params(), EPISODE).gradient
        for each in (learner, Learner(plain))
    )
    for name in truth:
        torch.testing.assert_close(ours[name], truth[name])
    assert torch.equal(EPISODE.support.inputs, before)
    assert module.first.inplace


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("inputs", "leaves its inputs and parameters as they are, got Overwriting"),
        ("parameters", "leaves its inputs and parameters as they are, got Overwriting"),
    ],
)
def test_a_module_that_overwrites_what_it_is_handed_is_refused(what, words):
    learner = Learner(brought(Overwriting, what=what))
    with pytest.raises(ConfigError, match=words):
        learner.logits(learner.initial_params(), EPISODE.support.inputs.clone())


def test_a_write_that_torch_func_refuses_names_the_layer():
    module = sequential(
        scale=lambda: nn.Linear(6, 6),
        inner=lambda: brought(Overwriting, what="attributes"),
        head=lambda: nn.Linear(3, 3),
    ).double()
    learner = Learner(module)
    with pytest.raises(
        ConfigError, match=r"no in-place operation, got one in 'inner' \(Overwriting\); write x = x \+ y"
    ):
        grad(lambda own: learner.logits(own, EPISODE.query.inputs).sum())(learner.initial_params())


def test_an_error_of_the_backward_pass_names_the_operation_whose_result_was_lost():
    learner = Learner(brought(Overwriting, what="activations"))
    params = {name: value.requires_grad_() for name, value in learner.initial_params().items()}
    outputs = learner.logits(params, EPISODE.query.inputs)

    def backward():
        try:
            torch.autograd.grad(outputs.sum(), list(params.values()))
        except RuntimeError as error:
            refuse_in_place(error)
            raise

    with pytest.raises(ConfigError, match="no in-place operation, got one on what Sigmoid returned; write x = x"):
        backward()


def test_a_missing_second_derivative_is_said():
    scores = torch.rand(1, 2, 3, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.FLASH_ATTENTION):
        total = torch.nn.functional.scaled_dot_product_attention(scores, scores, scores).sum()
    (first,) = torch.autograd.grad(total, scores, create_graph=True)

    def backward():
        try:
            torch.autograd.grad(first.sum(), scores)
        except RuntimeError as error:
            refuse_in_place(error)
            raise

    with pytest.raises(ConfigError, match=r"with a second derivative, got one without \(derivative for aten::_scaled"):
        backward()


def test_errors_about_anything_else_pass():
    refuse_in_place(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
