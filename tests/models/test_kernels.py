import pytest
import torch
from torch import nn
from torch.backends import cuda, cudnn, mha
from torch.func import grad
from torch.nn.attention import SDPBackend, sdpa_kernel

from brought import OwnAttention, Packed, Recurrent, Transformer, brought, token_episode
from innerloop.errors import ConfigError
from innerloop.models import Learner
from innerloop.models.kernels import is_recurrent, plain_kernels
from innerloop.params import add, dot
from innerloop.seeds import generator
from worlds import algorithm_of

EPISODE = token_episode()
MODULES = {
    "a transformer": lambda: brought(Transformer),
    "a transformer in eval mode": lambda: brought(Transformer).eval(),
    "attention of one's own": lambda: brought(OwnAttention),
    "an LSTM": lambda: brought(Recurrent),
    "a GRU": lambda: brought(Recurrent, cell=nn.GRU),
}


def flags():
    return (
        cuda.math_sdp_enabled(),
        cuda.flash_sdp_enabled(),
        cuda.mem_efficient_sdp_enabled(),
        cuda.cudnn_sdp_enabled(),
        mha.get_fastpath_enabled(),
        cudnn.enabled,
    )


@pytest.mark.parametrize("name", sorted(MODULES))
def test_the_second_order_meta_gradient_is_the_slope_of_the_adapted_query_loss_in_any_direction(name):
    learner = Learner(MODULES[name]())
    params = learner.initial_params()
    algorithm = algorithm_of("maml", learner, lr=0.3, steps=2)
    gradient = algorithm.meta_gradient(params, EPISODE).gradient

    def adapted_loss(start):
        return algorithm.query_loss(algorithm.adapt(start, EPISODE.support).adapted, EPISODE)[0].item()

    for number in range(3):
        rng = generator(number, "direction")
        way = {key: torch.randn(value.shape, generator=rng, dtype=torch.float64) for key, value in params.items()}
        slope = (adapted_loss(add(params, way, 1e-5)) - adapted_loss(add(params, way, -1e-5))) / 2e-5
        assert dot(gradient, way).item() == pytest.approx(slope, rel=1e-5, abs=1e-8)
    # All weights of the recurrent layer are the handed ones, both layers and both directions.
    assert all(value.any() for key, value in gradient.items() if key.startswith("body"))


def test_plain_kernels_change_no_attention_and_no_recurrence():
    for name, make in MODULES.items():
        module = make()
        learner = Learner(module)
        ours = learner.logits(learner.initial_params(), EPISODE.query.inputs)
        torch.testing.assert_close(ours, module(EPISODE.query.inputs), rtol=1e-12, atol=1e-12, msg=name)


def test_an_lstm_has_the_same_second_order_gradient_in_single_precision():
    single, double = (Learner(brought(Recurrent).to(dtype)) for dtype in (torch.float32, torch.float64))
    ours, truth = (
        algorithm_of("maml", learner, lr=0.3, steps=2).meta_gradient(learner.initial_params(), EPISODE).gradient
        for learner in (single, double)
    )
    for name in truth:
        torch.testing.assert_close(ours[name].double(), truth[name], rtol=1e-3, atol=1e-5)


def test_kernels_are_plain_inside_whatever_the_user_chose_and_the_users_choice_comes_back():
    with cudnn.flags(enabled=True), sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        before = flags()
        with plain_kernels(recurrent=True):
            assert flags() == (True, False, False, False, False, False)
        assert flags() == before
        with plain_kernels(recurrent=False):
            assert flags() == (True, False, False, False, False, before[-1])
        with pytest.raises(ZeroDivisionError), plain_kernels(recurrent=True):
            1 / 0  # noqa: B018
        assert flags() == before


def test_a_recurrent_layer_is_seen_wherever_it_is():
    assert is_recurrent(brought(Recurrent))
    assert is_recurrent(brought(Packed))
    assert not is_recurrent(brought(Transformer))


def test_packed_sequences_work_in_first_order_and_are_refused_in_one_line_where_torch_func_cannot_follow():
    learner = Learner(brought(Packed))
    params = learner.initial_params()
    gradient = algorithm_of("fomaml", learner, steps=2).meta_gradient(params, EPISODE).gradient
    assert all(value.any() for name, value in gradient.items() if name.startswith("body.weight"))
    with pytest.raises(ConfigError, match=r"in 'body' \(LSTM\), as packed sequences do; hand .* padded ones"):
        grad(lambda own: learner.logits(own, EPISODE.query.inputs).sum())(params)
