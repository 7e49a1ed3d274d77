"""The explicit contrastive learners against the meta-gradients they stand for. THEORY B1-B3, B7, B10, D2, D3."""

import pytest
import torch

from innerloop.algorithms import Axes
from innerloop.algorithms.contrastive import coefficients
from innerloop.analysis import episode_split
from innerloop.data.episode import Episode, Examples
from innerloop.errors import ConfigError, DataError
from innerloop.params import zeroed
from worlds import algorithm_of, conv_learner, image_episode, unbalanced

EPISODES = {"images": image_episode(), "unbalanced": unbalanced(), "one shot": image_episode(k_shot=1)}
PRESET = {"first": "contrastive_fo", "second": "contrastive_so"}


def flat(params):
    return torch.cat([value.flatten() for value in params.values()])


def gradients(episode, params, learner, order, axes=None, against="anil", loss="cross_entropy", lr=0.4, steps=1):
    """Return the contrastive learner's whole gradient and that of the algorithm it stands for."""
    how = {"lr": lr, "steps": steps, "loss": loss}
    ours = algorithm_of(PRESET[order], learner, axes=axes, **how).meta_gradient(params, episode)
    return ours, algorithm_of(against, learner, order=order, **how).meta_gradient(params, episode)


def apart(ours, truth, learner, part="encoder"):
    """Return how far apart two meta-gradients are at the encoder or the head, relative to the true one."""
    choose = learner.encoder_params if part == "encoder" else learner.head_params
    left, right = (flat(choose(each.gradient)) for each in (ours, truth))
    return ((left - right).norm() / right.norm()).item()


@pytest.mark.parametrize("episode", EPISODES.values(), ids=EPISODES.keys())
@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
@pytest.mark.parametrize("steps", [0, 1, 2, 5])
def test_with_every_term_on_the_first_order_is_anils_for_any_head_and_any_number_of_steps(episode, loss, steps):
    learner, params = conv_learner()
    ours, truth = gradients(episode, params, learner, "first", loss=loss, steps=steps, lr=0.1)
    assert apart(ours, truth, learner) < 1e-10
    assert apart(ours, truth, learner, "head") < 1e-10
    torch.testing.assert_close(ours.loss, truth.loss)
    assert ours.accuracy == truth.accuracy


@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_the_second_order_is_anils_from_a_zeroed_head_at_one_step(loss):
    learner, params = conv_learner()
    ours, truth = gradients(image_episode(), zeroed(params, learner.head_names), learner, "second", loss=loss)
    assert apart(ours, truth, learner) < 1e-10
    assert apart(ours, truth, learner, "head") < 1e-10


@pytest.mark.parametrize(("head", "steps"), [("random", 1), ("zero", 3)])
def test_elsewhere_the_second_order_lacks_the_curvature_and_the_switch_brings_it_back(head, steps):
    learner, params = conv_learner()
    start = params if head == "random" else zeroed(params, learner.head_names)
    ours, truth = gradients(image_episode(), start, learner, "second", steps=steps)
    assert apart(ours, truth, learner) > 0.05
    assert apart(ours, truth, learner, "head") < 1e-10
    whole, truth = gradients(image_episode(), start, learner, "second", {"curvature": True}, steps=steps)
    assert apart(whole, truth, learner) < 1e-10


@pytest.mark.parametrize("normalization", ["batch", "support"])
@pytest.mark.parametrize("order", ["first", "second"])
def test_from_a_zeroed_head_at_one_step_they_are_full_maml_to_the_encoder(order, normalization):
    learner, params = conv_learner(normalization=normalization)
    start = zeroed(params, learner.head_names)
    ours, truth = gradients(image_episode(), start, learner, order, against="maml")
    assert apart(ours, truth, learner) < 1e-10


@pytest.mark.parametrize("order", ["first", "second"])
def test_without_interference_nothing_changes_for_a_zeroed_head_and_much_for_a_random_one(order):
    learner, params = conv_learner()
    episode, axes = image_episode(), {"interference": False}
    for start, same in ((zeroed(params, learner.head_names), True), (params, False)):
        ours, _ = gradients(episode, start, learner, order, axes)
        whole, _ = gradients(episode, start, learner, order)
        assert apart(ours, whole, learner, "head") == 0.0
        assert apart(ours, whole, learner) == 0.0 if same else apart(ours, whole, learner) > 0.1


@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_without_coefficient_noise_nothing_changes_for_a_zeroed_head_at_one_step(loss):
    learner, params = conv_learner()
    episode, axes = image_episode(), {"coefficient_noise": False}
    for start, same in ((zeroed(params, learner.head_names), True), (params, False)):
        ours, _ = gradients(episode, start, learner, "first", axes, loss=loss)
        whole, _ = gradients(episode, start, learner, "first", loss=loss)
        assert apart(ours, whole, learner) < 1e-10 if same else apart(ours, whole, learner) > 0.05


def held(axes, lr=0.3, steps=2, loss="cross_entropy"):
    learner, params = conv_learner()
    algorithm = algorithm_of("contrastive_fo", learner, axes=axes, lr=lr, steps=steps, loss=loss)
    parts = episode_split(algorithm, params, image_episode())
    return parts, coefficients(parts, image_episode(), algorithm.axes, algorithm.inner)


def test_coefficients_without_noise_are_the_querys_probability_of_the_supports_class_less_one_for_its_own():
    parts, found = held({"coefficient_noise": False})
    episode = image_episode()
    p = parts.query_outputs.softmax(1)
    same = episode.query.targets[:, None] == episode.support.targets[None]
    expected = 0.3 * 2 / (6 * 9) * (p[:, episode.support.targets] - same.double())
    torch.testing.assert_close(found, expected)
    assert bool((found[same] < 0).all())
    assert bool((found[~same] > 0).all())


@pytest.mark.parametrize("noise", [True, False])
def test_positives_only_attracts_and_never_repels(noise):
    parts, found = held({"positives_only": True, "coefficient_noise": noise})
    episode = image_episode()
    same = episode.query.targets[:, None] == episode.support.targets[None]
    assert bool((found[same] < 0).all())
    assert not found[~same].any()
    if noise:
        assert torch.equal(found[same], parts.coefficients[same])


def test_the_loss_is_the_real_one_after_adaptation_whatever_is_switched_off():
    learner, params = conv_learner()
    axes = {"interference": False, "coefficient_noise": False, "positives_only": True}
    algorithm = algorithm_of("contrastive_so", learner, axes=axes, lr=0.3, steps=2)
    found = algorithm.meta_gradient(params, image_episode())
    loss, logits = algorithm.query_loss(algorithm.adapt(params, image_episode().support).adapted, image_episode())
    torch.testing.assert_close(found.loss, loss)
    assert found.accuracy == (logits.argmax(1) == image_episode().query.targets).double().mean()


@pytest.mark.parametrize(("model", "axes"), [({"head_bias": False}, {}), ({}, {"head": "shared"})])
def test_a_head_without_bias_and_one_shared_row_are_trained_too(model, axes):
    learner, _ = conv_learner(**model)
    ours, truth = (algorithm_of(name, learner, order="first", axes=axes) for name in ("contrastive_fo", "anil"))
    params = {name: value.double() for name, value in ours.initial_params().items()}
    ours, truth = (each.meta_gradient(params, image_episode()).gradient for each in (ours, truth))
    assert ours.keys() == truth.keys()
    for name, value in truth.items():
        torch.testing.assert_close(ours[name], value, rtol=1e-9, atol=1e-14)


def test_another_order_of_a_learner_with_curvature_is_the_first_without():
    learner, params = conv_learner()
    whole = algorithm_of("contrastive_so", learner, axes={"curvature": True})
    assert whole.with_order("first").axes == Axes(adapts="head", order="first", objective="contrastive")
    ours = whole.with_order("first").meta_gradient(params, image_episode()).gradient
    truth = algorithm_of("contrastive_fo", learner).meta_gradient(params, image_episode()).gradient
    assert all(torch.equal(ours[name], truth[name]) for name in truth)


def test_features_that_are_not_finite_give_a_loss_that_is_not_for_training_to_tell():
    learner, params = conv_learner()
    broken = {**params, "head.weight": params["head.weight"] * float("nan")}
    assert algorithm_of("contrastive_so", learner).meta_gradient(broken, image_episode()).loss.isnan()


@pytest.mark.parametrize(
    ("name", "axes", "inner", "words"),
    [
        ("contrastive_fo", {"adapts": "all"}, {}, "adapts=head with objective=contrastive, got all; its closed form"),
        ("contrastive_fo", {"adapts": "head.weight"}, {}, "all of the head and nothing else to adapt"),
        ("reptile", {"objective": "contrastive"}, {}, "order=first or second with objective=contrastive, got reptile"),
        ("contrastive_so", {"outer_loss": "every_step"}, {}, "outer_loss=last with objective=contrastive"),
        ("contrastive_fo", {"curvature": True}, {}, "order=second beside curvature, got first"),
        ("maml", {"interference": False}, {}, "objective=contrastive beside interference, got query_loss"),
        ("anil", {"positives_only": True, "curvature": True}, {}, "beside positives_only, curvature"),
        ("contrastive_fo", {"learned_rates": "layer"}, {}, "plain gradient descent of the head .* for objective"),
        ("contrastive_so", {"rule": "adam"}, {}, "plain gradient descent of the head"),
        ("contrastive_so", {"head": "prototypes"}, {}, "plain gradient descent of the head"),
        ("contrastive_so", {}, {"lr_of": {"head.*": 0.1}}, "plain gradient descent of the head"),
        ("contrastive_so", {}, {"loss": lambda outputs, _: outputs.sum()}, "got the loss .<lambda>."),
    ],
)
def test_what_has_no_closed_form_is_refused_with_the_reason(name, axes, inner, words):
    learner, _ = conv_learner()
    with pytest.raises(ConfigError, match=words):
        algorithm_of(name, learner, axes=axes, **inner)


def test_real_targets_are_refused():
    learner, params = conv_learner()
    real = Episode(*(Examples(side.inputs, torch.zeros(len(side.targets), 3).double()) for side in image_episode()))
    with pytest.raises(DataError, match="expected classes to contrast, got real targets"):
        algorithm_of("contrastive_fo", learner, loss="mse").meta_gradient(params, real)
