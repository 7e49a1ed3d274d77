import math

import pytest
import torch

from innerloop.analysis import Subject, episode_split, measures
from innerloop.analysis.parts import PARTS, encoder_stays, measure, pulled_back, recorded, together
from innerloop.params import add, norm, zeroed
from worlds import algorithm_of, conv_learner, image_episode, probes_of, unbalanced

EPISODES = [image_episode(seed=seed) for seed in range(3)]


def relative(ours, truth):
    return (norm(add(ours, truth, -1.0)) / norm(truth)).item()


@pytest.mark.parametrize("order", ["second", "first"])
@pytest.mark.parametrize("normalization", ["batch", "support"])
def test_the_parts_pulled_back_are_the_whole_gradient_where_only_the_head_adapts(order, normalization):
    learner, params = conv_learner(normalization=normalization)
    algorithm = algorithm_of("anil", learner, order=order, lr=0.4, steps=3)
    parts = episode_split(algorithm, params, EPISODES[0])
    pulled = together(pulled_back(algorithm, params, EPISODES[0], parts))
    truth = learner.encoder_params(algorithm.meta_gradient(params, EPISODES[0]).gradient)
    assert relative(pulled, truth) < 1e-10
    found = measures(algorithm, params, EPISODES[0])
    assert found.gap < 1e-10
    assert found.cosine_split == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("order", ["second", "first"])
def test_a_zeroed_head_makes_the_split_exact_for_full_adaptation_at_one_step_and_only_there(order):
    learner, params = conv_learner()
    zero = zeroed(params, learner.head_names)
    one, two = (algorithm_of("maml", learner, order=order, lr=0.4, steps=steps) for steps in (1, 2))
    assert measures(one, zero, EPISODES[0]).gap < 1e-10
    assert encoder_stays(one, zero)
    assert measures(two, zero, EPISODES[0]).gap > 1e-3
    assert not encoder_stays(two, zero)


def test_an_encoder_that_follows_another_loss_than_the_query_loss_is_not_called_exactly_split():
    learner, params = conv_learner()
    for name, exact in (("anil", True), ("contrastive_so", False)):
        algorithm = algorithm_of(name, learner, lr=0.4)
        found = measure(Subject(algorithm, algorithm, params, probes_of(EPISODES)))
        assert found.is_exact is exact
        assert found.gap.mean < 1e-10 if exact else found.gap.mean > 0.05


def test_a_random_head_leaves_a_gap_that_is_measured_against_the_true_gradient():
    learner, params = conv_learner()
    algorithm = algorithm_of("maml", learner, lr=0.4)
    found = measures(algorithm, params, EPISODES[0])
    parts = episode_split(algorithm, params, EPISODES[0])
    leaves = {name: value.clone().requires_grad_() for name, value in learner.encoder_params(params).items()}
    query = learner.features(leaves, EPISODES[0].query.inputs) * (parts.query_contrast + parts.query_interference)
    support = learner.features(leaves, EPISODES[0].support.inputs)
    support = support * (parts.support_contrast + parts.support_curvature)
    surrogate = torch.autograd.grad(query.sum() + support.sum(), list(leaves.values()))
    truth = learner.encoder_params(algorithm.meta_gradient(params, EPISODES[0]).gradient)
    assert found.gap == pytest.approx(relative(dict(zip(leaves, surrogate, strict=True)), truth))
    assert found.gap > 0.05
    assert not encoder_stays(algorithm, params)


def test_a_zeroed_head_attracts_exactly_one_pair_in_n_and_a_random_head_more():
    learner, params = conv_learner(n_way=3)
    algorithm = algorithm_of("fomaml", learner, lr=0.4)
    zero = measures(algorithm, zeroed(params, learner.head_names), EPISODES[1])
    assert zero.negative_share == pytest.approx(1 / 3, abs=1e-15)
    assert zero.wrong_positives == zero.wrong_negatives == zero.interference_share == 0
    large = {**params, "head.weight": 30 * params["head.weight"]}
    noisy = measures(algorithm, large, EPISODES[1])
    assert noisy.negative_share > 1 / 3
    assert noisy.wrong_negatives > 0
    assert noisy.wrong_positives == 0


def test_a_negative_rate_makes_every_same_class_pair_repel():
    learner, params = conv_learner()
    algorithm = algorithm_of("fomaml", learner, lr=-0.4)
    assert measures(algorithm, zeroed(params, learner.head_names), EPISODES[0]).wrong_positives == 1


def test_saturated_float32_features_still_count_every_sign():
    learner, params = conv_learner(dtype=torch.float32)
    algorithm = algorithm_of("fomaml", learner, lr=40.0)
    episode = image_episode(dtype=torch.float32)
    found = measures(algorithm, zeroed(params, learner.head_names), episode)
    assert found.negative_share == pytest.approx(1 / 3, abs=1e-15)


def test_what_is_not_defined_is_nan_for_an_episode_none_over_episodes_and_absent_from_a_history():
    learner, params = conv_learner()
    zero = zeroed(params, learner.head_names)
    algorithm = algorithm_of("maml", learner, lr=0.4)
    assert math.isnan(measures(algorithm, zero, EPISODES[0]).cosine_query_interference)
    result = measure(Subject(algorithm, algorithm, zero, probes_of(EPISODES)))
    assert result.cosine_query_interference is None
    assert result.support_curvature is not None
    assert result.support_curvature.mean == 0
    line = recorded(algorithm, zero, EPISODES)
    assert "cosine_query_interference" not in line
    assert line["query_interference"] == 0


def test_results_and_records_are_means_of_the_measures_over_episodes():
    learner, params = conv_learner()
    algorithm = algorithm_of("maml", learner, lr=0.4, steps=2)
    each = [measures(algorithm, params, episode) for episode in EPISODES]
    result = measure(Subject(algorithm, algorithm, params, probes_of(EPISODES)))
    line = recorded(algorithm, params, EPISODES)
    for name in each[0]._fields:
        mean = sum(getattr(one, name) for one in each) / 3
        assert getattr(result, name).mean == pytest.approx(mean)
        assert line[name] == pytest.approx(mean)
    assert (result.order, result.loss, result.inner_lr, result.inner_steps) == ("second", "cross_entropy", 0.4, 2)
    assert not result.is_exact


@pytest.mark.parametrize("lr", [0.4, -0.4])
def test_the_pure_share_is_what_a_zeroed_head_has_at_one_step_whatever_the_shots(lr):
    learner, params = conv_learner()
    algorithm = algorithm_of("fomaml", learner, lr=lr)
    zero = zeroed(params, learner.head_names)
    result = measure(Subject(algorithm, algorithm, zero, probes_of([*EPISODES, unbalanced()])))
    assert result.negative_share.mean == pytest.approx(result.pure_share, abs=1e-15)
    assert (result.pure_share < 0.5) == (lr > 0)
    even = measure(Subject(algorithm, algorithm, zero, probes_of(EPISODES)))
    assert even.pure_share == pytest.approx(1 / 3 if lr > 0 else 2 / 3, abs=1e-15)
    assert result.pure_share != pytest.approx(even.pure_share)


@pytest.mark.parametrize("inner", [{"loss": "mse"}, {"steps": 0}, {"lr": 0.0}])
def test_squared_error_and_no_inner_loop_have_no_pure_share(inner):
    learner, params = conv_learner()
    algorithm = algorithm_of("fomaml", learner, **inner)
    assert measure(Subject(algorithm, algorithm, params, probes_of(EPISODES))).pure_share is None


def test_norms_are_those_of_the_split():
    learner, params = conv_learner()
    algorithm = algorithm_of("maml", learner, lr=0.4, steps=2)
    parts, found = episode_split(algorithm, params, EPISODES[0]), measures(algorithm, params, EPISODES[0])
    for name in PARTS:
        assert getattr(found, name) == pytest.approx(getattr(parts, name).norm().item())
    assert found.curvature_ratio == pytest.approx(found.support_curvature / found.support_contrast)
    whole = found.query_interference + found.query_contrast
    assert found.interference_share == pytest.approx(found.query_interference / whole)


def test_another_order_can_be_asked_for():
    learner, params = conv_learner()
    algorithm = algorithm_of("maml", learner, lr=0.4)
    first = episode_split(algorithm, params, EPISODES[0], order="first")
    assert not first.support_contrast.any()
    assert algorithm.order == "second"
