import torch
import torch.nn.functional as F  # noqa: N812

from innerloop.models import ModelConfig, build
from innerloop.params import count
from worlds import algorithm_of, image_episode


def test_it_has_the_papers_widths_and_size():
    learner = build(ModelConfig("resnet12"), (3, 84, 84), 5, seed=0)
    params = learner.initial_params()
    shapes = [params[f"encoder.block{block}.layers.0.weight"].shape for block in (1, 2, 3, 4)]
    assert [(shape[1], shape[0]) for shape in shapes] == [(3, 64), (64, 160), (160, 320), (320, 640)]
    # lee2019's encoder has 12.4 million parameters.
    assert count(learner.encoder_params(params)) == 12_424_320
    assert params["head.weight"].shape == (5, 640)


def test_a_block_is_three_convolutions_beside_a_shortcut_then_a_leaky_relu_and_a_pool():
    learner = build(ModelConfig("resnet12", filters=4), (1, 16, 16), 3, seed=0)
    params = {name: value.double() for name, value in learner.initial_params().items()}

    def convolution(values, at):
        at, _, number = at.rpartition(".")
        norm = f"{at}.{int(number) + 1}"
        weight = params[f"{at}.{number}.weight"]
        out = F.conv2d(values, weight, padding=weight.shape[-1] // 2)
        return F.batch_norm(out, None, None, params[f"{norm}.weight"], params[f"{norm}.bias"], training=True)

    values = image_episode().support.inputs
    expected = values
    for block in range(1, 5):
        at = f"encoder.block{block}"
        inner = expected
        for number in (0, 3, 6):
            inner = convolution(F.leaky_relu(inner, 0.1) if number else inner, f"{at}.layers.{number}")
        expected = F.max_pool2d(F.leaky_relu(inner + convolution(expected, f"{at}.shortcut.0"), 0.1), 2)
    torch.testing.assert_close(learner.features(params, values), expected.mean((2, 3)))


def test_it_is_meta_trained_like_any_other():
    learner = build(ModelConfig("resnet12", filters=2), (1, 16, 16), 3, seed=0)
    params = learner.initial_params()
    gradient = algorithm_of("maml", learner).meta_gradient(params, image_episode(dtype=torch.float32)).gradient
    assert all(bool(torch.isfinite(value).all()) for value in gradient.values())
    assert gradient["encoder.block1.layers.0.weight"].any()
