"""The ridge head against the regression it says it solves, written out slowly."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from sklearn.linear_model import Ridge

from innerloop.data.episode import Episode, Examples
from innerloop.errors import ConfigError
from innerloop.inner.ridge import regression
from innerloop.seeds import generator
from worlds import algorithm_of, conv_learner, image_episode, smooth_learner, vector_episode


@pytest.mark.parametrize(("examples", "width"), [(3, 8), (8, 8), (20, 8)])
@pytest.mark.parametrize("penalty", [1e-3, 1.0, 50.0])
def test_with_few_examples_or_many_it_solves_the_normal_equations(examples, width, penalty):
    rng = generator(0, "ridge")
    inputs, targets = (torch.randn(examples, size, generator=rng, dtype=torch.float64) for size in (width, 3))
    slow = np.linalg.solve(
        inputs.numpy().T @ inputs.numpy() + penalty * np.eye(width), inputs.numpy().T @ targets.numpy()
    )
    found = regression(inputs, targets, torch.tensor(penalty, dtype=torch.float64))
    torch.testing.assert_close(found, torch.from_numpy(slow), rtol=1e-8, atol=1e-10)


def ridge_world(filters):
    learner, params = conv_learner(filters=filters)
    algorithm = algorithm_of("r2d2", learner, steps=0)
    learned = {"ridge/log_penalty": -0.7, "ridge/scale": 3.0, "ridge/shift": 0.4}
    assert set(learned) == algorithm.initial_params().keys() - params.keys()
    return (
        learner,
        algorithm,
        {**params, **{name: torch.tensor(value, dtype=torch.float64) for name, value in learned.items()}},
    )


@pytest.mark.parametrize("filters", [4, 20])
def test_the_head_is_ridge_regression_to_one_hot_rows_scaled_and_shifted(filters):
    learner, algorithm, params = ridge_world(filters)
    episode = image_episode()
    features, query = (learner.features(params, side.inputs).detach() for side in episode)
    constant = np.c_[features.numpy(), np.ones(len(features))]
    # A penalised constant of its own, so that scikit-learn needs no intercept.
    fitted = Ridge(alpha=float(np.exp(-0.7)), fit_intercept=False).fit(
        constant, F.one_hot(episode.support.targets).numpy()
    )
    expected = 3 * fitted.predict(np.c_[query.numpy(), np.ones(len(query))]) + 0.4
    _, logits = algorithm.query_loss(algorithm.adapt(params, episode.support).adapted, episode)
    torch.testing.assert_close(logits, torch.from_numpy(expected), rtol=1e-8, atol=1e-10)


def test_real_targets_are_regressed_on_as_they_are():
    learner, params = smooth_learner(n_way=1)
    rng = generator(0, "real")
    support, query = (
        Examples(side.inputs, torch.randn(len(side.inputs), 1, generator=rng, dtype=torch.float64))
        for side in vector_episode()
    )
    algorithm = algorithm_of("r2d2", learner, steps=0, loss="mse")
    params = {**params, **algorithm.initial_params(), "ridge/log_penalty": torch.tensor(-30.0).double()}
    params["ridge/scale"] = torch.ones(()).double()
    _, outputs = algorithm.query_loss(algorithm.adapt(params, support).adapted, Episode(support, support))
    torch.testing.assert_close(outputs, support.targets, rtol=1e-5, atol=1e-5)  # more features than examples
    assert algorithm.meta_gradient(params, Episode(support, query)).loss.isfinite()


def test_inner_steps_go_on_from_the_ridge_head_and_the_first_of_them_lowers_the_support_loss():
    learner, algorithm, params = ridge_world(4)
    path = algorithm_of("r2d2", learner, steps=2, lr=0.05).adapt(params, image_episode().support)
    begun = algorithm.adapt(params, image_episode().support).adapted
    assert torch.equal(path.params[0]["head.weight"], begun["head.weight"])
    assert path.support_losses[1] < path.support_losses[0]


def test_a_slot_without_examples_is_never_said():
    learner, params = conv_learner(n_way=5)
    algorithm = algorithm_of("r2d2", learner, steps=0)
    episode = image_episode(n_way=3)
    _, logits = algorithm.query_loss(algorithm.adapt(params, episode.support).adapted, episode)
    assert (logits[:, 3:] < logits[:, :3].min() - 1000).all()


def test_features_that_are_not_finite_stay_so_for_training_to_tell():
    _, algorithm, params = ridge_world(4)
    broken = {**params, "encoder.block1.0.weight": params["encoder.block1.0.weight"] * float("nan")}
    assert algorithm.meta_gradient(broken, image_episode()).loss.isnan()


def test_a_head_without_bias_is_refused():
    learner, params = conv_learner(head_bias=False)
    with pytest.raises(ConfigError, match="expected a head with a bias to start as ridge, got none"):
        algorithm_of("r2d2", learner, steps=0).adapt(params, image_episode().support)
