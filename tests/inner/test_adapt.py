import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from innerloop.errors import ConfigError
from innerloop.inner import LOSSES, InnerLoop, accuracy
from innerloop.params import zeroed
from worlds import algorithm_of, conv_learner, image_episode, smooth_learner, vector_episode

EPISODE = vector_episode()


@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
@pytest.mark.parametrize("lr", [0.3, -0.3])
def test_every_inner_step_is_a_gradient_step_on_the_support_loss(loss, lr):
    learner, params = smooth_learner()
    path = algorithm_of("maml", learner, lr=lr, steps=3, loss=loss).adapt(params, EPISODE.support)
    assert len(path.params) == 4
    for here, there, support_loss in zip(path.params[:-1], path.params[1:], path.support_losses, strict=True):
        leaves = {name: value.clone().requires_grad_() for name, value in here.items()}
        value = LOSSES[loss](learner.logits(leaves, EPISODE.support.inputs), EPISODE.support.targets)
        torch.testing.assert_close(value.detach(), support_loss)
        for name, gradient in zip(leaves, torch.autograd.grad(value, list(leaves.values())), strict=True):
            torch.testing.assert_close(there[name], here[name] - lr * gradient)


def test_no_steps_leave_the_parameters_as_they_are():
    learner, params = smooth_learner()
    assert algorithm_of("maml", learner, steps=0).adapt(params, EPISODE.support).adapted is params


def test_anil_moves_only_the_head():
    learner, params = smooth_learner()
    adapted = algorithm_of("anil", learner, steps=3).adapt(params, EPISODE.support).adapted
    for name in params:
        assert torch.equal(adapted[name], params[name]) == (name not in learner.head_names)


@pytest.mark.parametrize("name", ["maml", "anil"])
def test_a_trajectory_is_the_same_whether_or_not_it_can_be_differentiated(name):
    learner, params = conv_learner()
    algorithm, support = algorithm_of(name, learner, steps=2), image_episode().support
    left, right = (algorithm.adapt(params, support, differentiable).adapted for differentiable in (True, False))
    for key in params:
        torch.testing.assert_close(left[key], right[key])


def test_a_zeroed_head_makes_the_first_inner_step_leave_the_encoder_where_it_is():
    # THEORY D1, through convolutions and BatchNorm: the gradient reaches the encoder through the head's weight alone.
    learner, params = conv_learner()
    start = zeroed(params, learner.head_names)
    adapted = algorithm_of("maml", learner, lr=0.4).adapt(start, image_episode().support).adapted
    for name, value in learner.encoder_params(adapted).items():
        assert torch.equal(value, params[name])
    assert adapted["head.weight"].abs().max() > 0


def test_a_zeroed_head_predicts_the_nearest_inner_product_centroid_for_every_positive_rate():
    # THEORY E1: a rate is but a temperature, and a negative one turns the prediction round.
    learner, params = conv_learner()
    start, episode = zeroed(params, learner.head_names), image_episode(k_shot=2)
    features = [learner.features(params, part.inputs) for part in episode]
    centroids = torch.stack([features[0][episode.support.targets == slot].mean(0) for slot in range(3)])
    scores = features[1] @ centroids.T
    for lr in (1e-3, 0.4, 30.0, -0.4):
        algorithm = algorithm_of("maml", learner, lr=lr)
        logits = algorithm.query_loss(algorithm.adapt(start, episode.support).adapted, episode)[1]
        expected = scores.argmax(1) if lr > 0 else scores.argmin(1)
        assert torch.equal(logits.argmax(1), expected)


def test_losses_and_accuracy_take_slots_and_mse_takes_real_targets_too():
    outputs, slots = torch.tensor([[2.0, 0.0], [0.5, 1.0], [3.0, 1.0]]), torch.tensor([0, 1, 1])
    assert LOSSES["mse"](outputs, slots).item() == pytest.approx(F.mse_loss(outputs, F.one_hot(slots).float()).item())
    assert LOSSES["mse"](outputs, outputs).item() == 0
    assert accuracy(outputs, slots).item() == pytest.approx(2 / 3)
    assert accuracy(outputs, outputs).isnan()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"loss": "cross_entropi"}, "Did you mean 'cross_entropy'"),
        ({"steps": -1}, "at least 0, got -1"),
        ({"lr": float("nan")}, "expected a finite inner learning rate"),
    ],
)
def test_bad_settings_are_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        InnerLoop(**settings)
