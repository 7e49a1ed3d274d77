"""What of an inner loop the readings match, and the same inner loop at other rates."""

import pytest
import torch

from innerloop.analysis.adapted_head import matching, rescaled
from worlds import algorithm_of, conv_learner, image_episode

LEARNER, PARAMS = conv_learner()
EPISODE = image_episode()


def learned(axes, **inner):
    """An algorithm with learned things, each moved from where it begins."""
    algorithm = algorithm_of("maml", LEARNER, axes=axes, **inner)
    params = {name: value.double() for name, value in algorithm.initial_params().items()}
    moved = {
        name: value + 0.1 * torch.arange(value.numel()).reshape(value.shape)
        for name, value in params.items()
        if name.startswith("inner_lr")
    }
    return algorithm, {**params, **PARAMS, **moved}


def test_the_reach_is_the_sum_of_the_heads_rates_over_its_steps():
    assert matching(algorithm_of("anil", LEARNER, lr=0.3, steps=4), PARAMS).reach == pytest.approx(1.2)
    assert matching(algorithm_of("maml", LEARNER, lr=-0.3, steps=2), PARAMS).reach == pytest.approx(-0.6)
    assert matching(algorithm_of("maml", LEARNER, steps=0), PARAMS).reach == 0
    own = algorithm_of("maml", LEARNER, lr=0.3, steps=3, lr_of={"head.*": (0.5, 0.1)})
    assert matching(own, PARAMS).reach == pytest.approx(0.7)


def test_learned_rates_count_as_they_were_learned():
    algorithm, params = learned({"learned_rates": "layer_step"}, lr=0.2, steps=2)
    assert matching(algorithm.with_inner(steps=3), params).reach == pytest.approx(0.2 + 0.3 + 0.3)
    algorithm, params = learned({"learned_rates": "weight"}, lr=0.2, steps=2)
    assert matching(algorithm, params).reach == pytest.approx(2 * params["inner_lr/head.weight"].mean().item())
    algorithm, params = learned({"learned_rates": "one"}, lr=0.2, steps=2)
    assert matching(algorithm, params).reach == pytest.approx(0.4)


def test_a_pull_to_the_start_adds_to_the_penalty():
    for lr in (0.3, -0.3):
        found = matching(algorithm_of("anil", LEARNER, axes={"proximal": 0.5}, lr=lr, steps=2), PARAMS)
        assert 1 / found.reach == pytest.approx((1 / 0.6 + 0.5) * (1 if lr > 0 else -1))


@pytest.mark.parametrize("axes", [{"adapts": "body"}, {"rule": "adam"}, {"rule": "momentum"}])
def test_nothing_matches_a_head_that_does_not_move_by_plain_steps(axes):
    assert matching(algorithm_of("maml", LEARNER, axes=axes, lr=0.3), PARAMS).reach == 0


def test_the_bias_counts_where_it_adapts_and_squares_where_they_are_the_loss():
    assert matching(algorithm_of("anil", LEARNER), PARAMS)[1:] == (True, False)
    learner, params = conv_learner(head_bias=False)
    assert matching(algorithm_of("anil", learner, loss="mse"), params)[1:] == (False, True)
    weight_alone = algorithm_of("maml", LEARNER, axes={"adapts": "head.weight"})
    assert not matching(weight_alone, PARAMS).has_bias


def test_rates_times_a_factor_are_those_of_an_algorithm_made_with_them():
    plain = rescaled(algorithm_of("maml", LEARNER, lr=0.2, steps=1), PARAMS, -2.0, 3)
    expected = algorithm_of("maml", LEARNER, lr=-0.4, steps=3).adapt(PARAMS, EPISODE.support).adapted
    torch.testing.assert_close(plain[0].adapt(plain[1], EPISODE.support).adapted, expected)
    named = rescaled(algorithm_of("maml", LEARNER, lr=0.2, lr_of={"head.*": (0.5, 0.1)}), PARAMS, 2.0, 3)
    expected = algorithm_of("maml", LEARNER, lr=0.4, lr_of={"head.*": (1.0, 0.2)}, steps=3)
    torch.testing.assert_close(
        named[0].adapt(named[1], EPISODE.support).adapted, expected.adapt(PARAMS, EPISODE.support).adapted
    )


@pytest.mark.parametrize("kind", ["one", "layer", "layer_step", "weight"])
def test_learned_rates_are_multiplied_too(kind):
    algorithm, params = learned({"learned_rates": kind}, lr=0.2, steps=2)
    changed, there = rescaled(algorithm, params, 3.0, 2)
    assert matching(changed, there).reach == pytest.approx(3 * matching(algorithm, params).reach)
    same = {name for name in params if torch.equal(params[name], there[name])}
    assert same == {name for name in params if not name.startswith("inner_lr")}
