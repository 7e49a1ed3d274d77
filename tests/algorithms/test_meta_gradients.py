import pytest
import torch

from innerloop.algorithms import AlgorithmConfig, Axes
from innerloop.errors import ConfigError
from innerloop.params import zeroed
from reference.plain_maml import meta_gradient as plain
from worlds import algorithm_of, conv_learner, image_episode, smooth_learner, vector_episode

EPISODE = vector_episode()


def flat(params):
    return torch.cat([value.flatten() for value in params.values()])


def assert_close(ours, truth):
    assert list(ours) == list(truth)
    torch.testing.assert_close(flat(ours), flat(truth), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
@pytest.mark.parametrize(("lr", "steps"), [(0.4, 1), (0.2, 3), (-0.3, 2), (0.4, 0)])
@pytest.mark.parametrize("name", ["maml", "anil"])
def test_second_order_gradients_are_finite_differences_of_the_adapted_query_loss(name, lr, steps, loss):
    learner, params = smooth_learner()
    algorithm = algorithm_of(name, learner, lr=lr, steps=steps, loss=loss)

    def adapted_loss(start):
        return algorithm.query_loss(algorithm.adapt(start, EPISODE.support).adapted, EPISODE)[0].item()

    gradient = algorithm.meta_gradient(params, EPISODE).gradient
    step = 1e-5
    for key, value in params.items():
        for index in range(value.numel()):
            moved = [{**params, key: value.clone()} for _ in range(2)]
            moved[0][key].view(-1)[index] += step
            moved[1][key].view(-1)[index] -= step
            slope = (adapted_loss(moved[0]) - adapted_loss(moved[1])) / (2 * step)
            assert gradient[key].view(-1)[index].item() == pytest.approx(slope, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
@pytest.mark.parametrize("name", ["maml", "anil", "boil", "zeroing"])
@pytest.mark.parametrize("order", ["second", "first"])
def test_plain_descent_is_the_plain_autograd_reference_through_conv4(name, order, loss):
    learner, params = conv_learner()
    episode = image_episode()
    algorithm = algorithm_of(name, learner, order=order, lr=0.3, steps=2, loss=loss)
    ours = algorithm.meta_gradient(params, episode)
    truth, value = plain(
        learner._whole,
        params,
        episode,
        lr=0.3,
        steps=2,
        order=order,
        names=algorithm.names,
        loss=loss,
    )
    assert_close(ours.gradient, truth)
    torch.testing.assert_close(ours.loss, value)


def test_fomaml_is_the_gradient_at_the_adapted_parameters():
    learner, params = smooth_learner()
    algorithm = algorithm_of("fomaml", learner, lr=0.3, steps=2)
    adapted = algorithm.adapt(params, EPISODE.support).adapted
    leaves = {name: value.clone().requires_grad_() for name, value in adapted.items()}
    value, _ = algorithm.query_loss(leaves, EPISODE)
    truth = dict(zip(leaves, torch.autograd.grad(value, list(leaves.values())), strict=True))
    assert_close(algorithm.meta_gradient(params, EPISODE).gradient, truth)


def test_first_and_second_order_differ_by_the_hessian_and_meet_at_rate_zero():
    learner, params = smooth_learner()

    def gradients(name, lr):
        return flat(algorithm_of(name, learner, lr=lr).meta_gradient(params, EPISODE).gradient)

    assert (gradients("maml", 0.4) - gradients("fomaml", 0.4)).norm() > 1e-2
    torch.testing.assert_close(gradients("maml", 0.0), gradients("fomaml", 0.0))


@pytest.mark.parametrize("order", ["second", "first"])
@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_with_a_zeroed_head_and_one_step_full_maml_trains_the_encoder_as_head_only_adaptation_does(order, loss):
    # THEORY D2 and D3: the encoder stands still in the inner loop, so nothing is lost by holding it.
    learner, params = conv_learner()
    start, episode = zeroed(params, learner.head_names), image_episode()
    gradients = []
    for name in ("maml", "anil"):
        algorithm = algorithm_of(name, learner, order=order, lr=0.4, loss=loss)
        gradients.append(learner.encoder_params(algorithm.meta_gradient(start, episode).gradient))
    assert_close(*gradients)
    assert flat(gradients[0]).norm() > 1e-6


def test_with_a_random_head_they_are_not_the_same():
    learner, params = conv_learner()
    full, head_only = (
        flat(learner.encoder_params(algorithm_of(name, learner).meta_gradient(params, image_episode()).gradient))
        for name in ("maml", "anil")
    )
    assert (full - head_only).norm() > 0.1 * head_only.norm()


def test_named_axes_can_be_moved_and_unknown_names_are_refused():
    assert AlgorithmConfig("anil", order="first").axes == Axes(adapts="head", order="first")
    with pytest.raises(ConfigError, match=r"unknown algorithm 'mamal'; known: anil, .* Did you mean 'maml'"):
        AlgorithmConfig("mamal")


@pytest.mark.parametrize("axes", [{"head": "body"}, {"order": "third"}])
def test_values_off_the_axes_are_refused(axes):
    with pytest.raises((ConfigError, TypeError)):
        AlgorithmConfig("maml", **axes)
