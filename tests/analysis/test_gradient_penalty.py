import json
import math

import pytest
import torch
from torch import nn

from innerloop.analysis import Subject
from innerloop.analysis.gradient_penalty import (
    AtRate,
    Explained,
    GradientPenalty,
    GradientPenaltySettings,
    compared,
    explained,
    measure,
)
from innerloop.analysis.taylor import expanded
from innerloop.analysis.values import from_values, to_values
from innerloop.errors import ConfigError, DataError, DivergedError
from innerloop.models import Learner
from innerloop.params import add, dot, norm, zeroed
from innerloop.statistics import mean_interval
from worlds import algorithm_of, conv_learner, image_episode, probes_of, sequential, smooth_learner, vector_episode

EPISODES = [vector_episode(seed=seed) for seed in range(3)]
FEW = GradientPenaltySettings((-0.1, 0.01, 0.3))


def found(name="maml", world=smooth_learner, episodes=EPISODES, settings=FEW, axes=None, **inner):
    learner, params = world()
    algorithm = algorithm_of(name, learner, axes=axes, **{"lr": 0.2, **inner})
    return measure(Subject(algorithm, algorithm, params, probes_of(episodes)), settings)


def flat(params):
    return torch.cat([value.flatten() for value in params.values()])


def rate_of(result, rate) -> AtRate:
    (at,) = (each for each in result.rates if each.rate == rate)
    return at


def test_the_rates_are_those_asked_for_and_the_runs_own_from_the_lowest_on():
    assert [each.rate for each in found().rates] == [-0.1, 0.01, 0.2, 0.3]
    assert [each.rate for each in found(lr=0.3).rates] == [-0.1, 0.01, 0.3]
    assert [each.rate for each in found(lr=0.0).rates] == [-0.1, 0.01, 0.3]
    usual = GradientPenaltySettings().rates
    assert sorted(usual) == list(usual) == sorted(-rate for rate in usual)


@pytest.mark.parametrize(
    ("rates", "words"),
    [
        ((0.1, 0.0), "rates other than 0 in gradient_penalty.rates, got 0; without a step"),
        ((0.1, -0.2, 0.1), "every rate once in gradient_penalty.rates, got 0.1 twice"),
        ((), "got none"),
        ((math.inf,), "got inf"),
        ((math.nan,), "got nan"),
    ],
)
def test_rates_that_are_0_or_twice_there_or_not_finite_are_refused_in_one_line(rates, words):
    with pytest.raises(ConfigError, match=words) as error:
        GradientPenaltySettings(rates)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_terms_are_intervals_over_episodes_and_make_the_true_change(steps):
    result = found(steps=steps)
    learner, params = smooth_learner()
    expansions = [expanded(algorithm_of("maml", learner, lr=0.2, steps=steps), params, each) for each in EPISODES]
    for rate in (-0.1, 0.2):
        at = rate_of(result, rate)
        for count, loss in ((1, at.one_step), (steps, at.as_trained)):
            if count == steps and steps < 2:
                assert at.as_trained is None
                continue
            terms = [each.terms(rate, each.loss_after(rate, count), count) for each in expansions]
            for name in ("change", "penalty", "curvature", "remainder"):
                assert getattr(loss, name) == pytest.approx(mean_interval([getattr(each, name) for each in terms]))
            parts = loss.penalty.mean + loss.curvature.mean + loss.remainder.mean
            assert parts == pytest.approx(loss.change.mean, abs=1e-14)
    assert (result.inner_lr, result.inner_steps) == (0.2, steps)
    assert result.query_loss == pytest.approx(mean_interval([each.loss for each in expansions]))


def test_sizes_and_cosines_are_a_slow_recomputation():
    learner, params = conv_learner()
    algorithm = algorithm_of("maml", learner)
    expansion = expanded(algorithm, params, image_episode())
    for order in ("second", "first"):
        for rate in (0.05, -0.2):
            truth = algorithm_of("maml", learner, order=order, lr=rate).meta_gradient(params, image_episode()).gradient
            penalty = algorithm_of("gradient_penalty", learner, order=order, lr=rate)
            both = flat(penalty.meta_gradient(params, image_episode()).gradient)
            bare = algorithm_of("maml", learner, order=order, lr=0.0).meta_gradient(params, image_episode()).gradient
            true, query = flat(truth), flat(bare)
            slow = Explained(
                size_query=(query.norm() / true.norm()).item(),
                size_penalty=((both - query).norm() / true.norm()).item(),
                size_remainder=((true - both).norm() / true.norm()).item(),
                cosine_query=(query @ true / query.norm() / true.norm()).item(),
                cosine_penalised=(both @ true / both.norm() / true.norm()).item(),
            )
            ours = explained(expansion, rate, expansion.one_step(rate)[1][order], order)
            assert ours == pytest.approx(slow, rel=1e-9)


def test_at_small_rates_of_either_sign_the_terms_explain_all():
    for rate in (1e-4, -1e-4):
        at = rate_of(found(settings=GradientPenaltySettings((rate,))), rate)
        assert abs(at.one_step.remainder.mean) < 1e-6 * abs(at.one_step.change.mean)
        for order in (at.second, at.first):
            assert order.size_remainder.mean < 1e-5
            assert order.cosine_penalised.mean == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(("adapts", "parts"), [("all", "both"), ("head", "head"), ("body", "encoder")])
def test_the_product_of_slopes_splits_into_head_and_encoder_and_the_heads_part_is_the_contrastive_sum(adapts, parts):
    result = found(axes={"adapts": adapts})
    sides = [each.mean for each in (result.product_head, result.product_encoder) if each is not None]
    assert sum(sides) == pytest.approx(result.product.mean, rel=1e-12)
    assert (result.product_head is None, result.product_encoder is None) == (parts == "encoder", parts == "head")
    if parts == "encoder":
        assert result.contrast is result.contrast_error is None
    else:
        assert result.contrast == pytest.approx(result.product_head)
        assert result.contrast_error < 1e-14


def test_slopes_are_compared_by_what_adapts():
    learner, params = smooth_learner()
    expansion = expanded(algorithm_of("anil", learner), params, EPISODES[0])
    ours, query = compared(expansion), learner.head_params(expansion.query_slope)
    assert ours.support_square == pytest.approx(norm(expansion.support_slope).item() ** 2)
    assert ours.query_square == pytest.approx(norm(query).item() ** 2)
    assert ours.product == pytest.approx(dot(expansion.support_slope, query).item())
    assert ours.cosine == pytest.approx(ours.product / math.sqrt(ours.support_square * ours.query_square))


@pytest.mark.parametrize("head", ["zeroing", "first"])
def test_where_the_head_is_put_back_meta_gradients_are_compared_by_the_encoder(head):
    learner, params = conv_learner()
    start = zeroed(params, learner.head_names) if head == "zeroing" else params
    algorithm = algorithm_of("maml", learner, axes={"head": head})
    at = rate_of(measure(Subject(algorithm, algorithm, start, probes_of([image_episode()])), FEW), 0.01)
    true = learner.encoder_params(algorithm_of("maml", learner, lr=0.01).meta_gradient(start, image_episode()).gradient)
    query = learner.encoder_params(algorithm_of("maml", learner, lr=0.0).meta_gradient(start, image_episode()).gradient)
    assert at.second.size_query.mean == pytest.approx((norm(query) / norm(true)).item(), rel=1e-9)
    # A zero head says nothing to the encoder before adaptation: all of the meta-gradient is penalty and remainder.
    assert (at.second.cosine_query is None) == (head == "zeroing")


def test_where_one_row_is_shared_its_gradient_is_the_sum_over_rows():
    learner, _ = conv_learner()
    algorithm = algorithm_of("unicorn", learner, lr=0.01)
    params = {name: value.double() for name, value in algorithm.initial_params().items()}
    result = measure(Subject(algorithm, algorithm, params, probes_of([image_episode()])), FEW)
    true, bare = (algorithm.with_inner(lr=rate).meta_gradient(params, image_episode()).gradient for rate in (0.01, 0.0))
    assert rate_of(result, 0.01).second.size_query.mean == pytest.approx((norm(bare) / norm(true)).item(), rel=1e-9)
    assert norm(add(true, bare, -1.0)) > 0


def test_rates_that_blow_up_are_cells_that_say_so_and_crash_nothing():
    result = found(steps=3, settings=GradientPenaltySettings((0.1, 1e200, -1e300)), loss="mse")
    at = rate_of(result, 0.1)
    assert at.one_step.diverged == at.as_trained.diverged == 0
    for rate in (1e200, -1e300):
        at = rate_of(result, rate)
        assert at.one_step.diverged == at.as_trained.diverged == 3
        assert at.one_step.change is at.one_step.remainder is None
        assert set(vars(at.second).values()) == {None}
    assert from_values(GradientPenalty, json.loads(json.dumps(to_values(result), allow_nan=False))) == result


def test_a_run_that_diverged_is_refused_with_the_episode():
    learner, params = smooth_learner()
    broken = {**params, "head.weight": params["head.weight"] * math.nan}
    algorithm = algorithm_of("maml", learner)
    with pytest.raises(DivergedError, match="expected finite losses and gradients to expand, got others in episode 0"):
        measure(Subject(algorithm, algorithm, broken, probes_of(EPISODES)), FEW)


def test_no_episode_is_refused():
    with pytest.raises(DataError, match="at least one episode to expand on, got none"):
        found(episodes=[])


def test_more_episodes_than_are_expanded_together_come_in_their_order():
    episodes = [vector_episode(seed=seed) for seed in range(23)]
    result = found(episodes=episodes, settings=GradientPenaltySettings((0.1,)))
    learner, params = smooth_learner()
    products = [expanded(algorithm_of("maml", learner), params, each).product for each in episodes]
    assert result.product == mean_interval(products)


def test_dropout_is_off_so_that_the_terms_are_those_of_one_function():
    module = sequential(
        flatten=nn.Flatten, body=lambda: nn.Linear(6, 8), drop=lambda: nn.Dropout(0.5), head=lambda: nn.Linear(8, 3)
    )
    learner = Learner(module.double())
    algorithm = algorithm_of("maml", learner)
    result = measure(
        Subject(algorithm, algorithm, learner.initial_params(), probes_of(EPISODES)), GradientPenaltySettings((1e-4,))
    )
    assert abs(rate_of(result, 1e-4).one_step.remainder.mean) < 1e-9


@pytest.mark.parametrize("name", ["contrastive_so", "gradient_penalty", "boil", "zeroing"])
def test_learners_of_other_objectives_and_bodies_that_adapt_alone_are_expanded_too(name):
    assert math.isfinite(found(name).product.mean)


@pytest.mark.parametrize("name", ["protomaml", "meta_sgd", "reptile", "imaml"])
def test_what_is_not_plain_descent_is_refused(name):
    with pytest.raises(ConfigError, match="expected plain gradient descent at one fixed rate for an expansion"):
        found(name)
