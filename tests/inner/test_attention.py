"""Attention instead of a head, against the sum it says it is."""

import math
import operator

import pytest
import torch

from innerloop.data.episode import Episode, Examples
from innerloop.errors import ConfigError, DataError
from innerloop.inner import attended
from worlds import algorithm_of, conv_learner, image_episode, unbalanced


@pytest.mark.parametrize("episode", [image_episode(), image_episode(k_shot=1), unbalanced()])
def test_a_querys_logit_is_the_log_of_what_it_attends_to_of_that_class(episode):
    learner, params = conv_learner()
    algorithm = algorithm_of("matchingnet", learner, steps=0)
    loss, logits = algorithm.query_loss(algorithm.adapt(params, episode.support).adapted, episode)
    support, query = (learner.features(params, side.inputs).tolist() for side in episode)
    for row, own in zip(logits.tolist(), query, strict=True):
        cosines = [sum(map(operator.mul, own, each)) / (math.hypot(*own) * math.hypot(*each)) for each in support]
        total = sum(map(math.exp, cosines))
        for slot in range(3):
            sides = zip(cosines, episode.support.targets.tolist(), strict=True)
            mass = sum(math.exp(cosine) for cosine, target in sides if target == slot) / total
            assert row[slot] == pytest.approx(math.log(mass))
    probabilities = logits.exp()[torch.arange(len(query)), episode.query.targets]
    torch.testing.assert_close(loss, -probabilities.log().mean())


def test_the_head_stands_unused():
    learner, params = conv_learner()
    gradient = algorithm_of("matchingnet", learner, steps=0).meta_gradient(params, image_episode()).gradient
    assert not any(value.any() for value in learner.head_params(gradient).values())
    assert gradient["encoder.block1.0.weight"].any()


def test_a_class_without_examples_has_a_finite_logit_below_all_others():
    support, targets = torch.eye(3).double(), torch.tensor([0, 1, 1])
    logits = attended(support, targets, torch.randn(4, 3, generator=torch.Generator().manual_seed(0)).double(), 4)
    assert logits.isfinite().all()
    assert (logits[:, 2:] < logits[:, :2].min() - 10).all()


def test_inner_steps_squared_error_and_real_targets_are_refused():
    learner, params = conv_learner()
    with pytest.raises(ConfigError, match=r"expected 0 inner steps with attention .* evaluation.inner_steps\) to 0"):
        algorithm_of("matchingnet", learner, steps=0).with_inner(steps=3)
    with pytest.raises(ConfigError, match=r"expected inner.loss=cross_entropy with attention"):
        algorithm_of("matchingnet", learner, steps=0, loss="mse")
    real = Episode(*(Examples(side.inputs, side.targets.double()[:, None]) for side in image_episode()))
    with pytest.raises(DataError, match="expected classes to attend to, got real targets"):
        algorithm_of("matchingnet", learner, steps=0).meta_gradient(params, real)
