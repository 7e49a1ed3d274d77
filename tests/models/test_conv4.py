import pytest
import torch

from innerloop.errors import ConfigError
from innerloop.models import MODELS, ModelConfig, build
from innerloop.params import count


@pytest.mark.parametrize(
    ("config", "shape", "parameters", "features"),
    [
        # The two networks of kao2022, by the counts of its code.
        (ModelConfig("conv4", filters=32, order="relu_norm"), (3, 84, 84), 32_901, 800),
        (ModelConfig("strided_conv4"), (1, 28, 28), 91_781, 64),
        (ModelConfig("strided_conv4", padding=True), (1, 28, 28), None, 256),
        (ModelConfig("conv4"), (1, 28, 28), None, 64),
    ],
)
def test_networks_have_the_papers_sizes(config, shape, parameters, features):
    learner = build(config, shape, 5, seed=0)
    params = learner.initial_params()
    if parameters is not None:
        assert count(params) == parameters
    inputs = torch.rand(7, *shape, generator=torch.Generator().manual_seed(0))
    assert learner.features(params, inputs).shape == (7, features)
    assert learner.logits(params, inputs).shape == (7, 5)


def test_the_heads_scale_is_a_factor_on_kaiming_normal_values():
    heads = [
        build(ModelConfig("conv4", filters=32, head_scale=scale), (3, 84, 84), 50, seed=0).initial_params()
        for scale in (1.0, 0.5, 0.0)
    ]
    assert heads[0]["head.weight"].std().item() == pytest.approx((2 / 800) ** 0.5, rel=0.03)
    torch.testing.assert_close(0.5 * heads[0]["head.weight"], heads[1]["head.weight"])
    assert not heads[2]["head.weight"].any()
    assert not heads[0]["head.bias"].any()


def test_the_seed_decides_the_first_values_and_the_head_may_lack_a_bias():
    first, again, other = (
        build(ModelConfig(head_bias=False), (1, 28, 28), 5, seed=seed).initial_params() for seed in (0, 0, 1)
    )
    assert "head.bias" not in first
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])


def test_images_too_small_and_unknown_networks_are_refused():
    with pytest.raises(ConfigError, match="large enough for 'conv4', got 8x8"):
        build(ModelConfig("conv4"), (1, 8, 8), 5, seed=0)
    with pytest.raises(ConfigError, match=r"unknown model 'conv5'.*Did you mean 'conv4'"):
        ModelConfig("conv5")
    with pytest.raises(ConfigError, match="'norm_relu' or 'relu_norm', got 'x'"):
        build(ModelConfig(order="x"), (1, 28, 28), 5, seed=0)
    with pytest.raises(ConfigError, match=r"expected images for 'conv4', got inputs of shape \(4,\)"):
        build(ModelConfig("conv4"), (4,), 5, seed=0)
    assert set(MODELS) == {"conv4", "strided_conv4", "resnet12", "mlp"}


def test_the_mlp_takes_inputs_of_any_shape():
    learner = build(ModelConfig("mlp", hidden=7), (3, 5), 4, seed=0)
    assert learner.features(learner.initial_params(), torch.ones(2, 3, 5)).shape == (2, 7)
