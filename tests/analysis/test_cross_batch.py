"""H1 to H3: what an inner step's gradient is made of, against autograd at every batch's features."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from innerloop.algorithms.entropy_sgd import walk
from innerloop.algorithms.reptile import minibatches
from innerloop.analysis.cross_batch import cross_batch, looks, trains
from innerloop.data.episode import with_slots
from innerloop.errors import ConfigError
from innerloop.params import add, norm, zeroed
from worlds import algorithm_of, conv_learner, image_episode

EPISODE = image_episode(k_shot=3, n_queries=6)
NUMBERED = with_slots(EPISODE, torch.tensor([7, 3, 5]))


def by_autograd(algorithm, look):
    """The gradient of the look's loss at its features, by autograd through the head alone."""
    learner = algorithm.learner
    features = learner.features(look.params, look.batch.inputs, reference=look.reference).detach().requires_grad_()
    weight, bias = learner.linear_head(look.params)
    logits = features @ weight.T + (0 if bias is None else bias)
    loss = F.cross_entropy(logits, look.batch.targets) if algorithm.inner.loss == "cross_entropy" else None
    if loss is None:
        loss = F.mse_loss(logits, F.one_hot(look.batch.targets, logits.shape[1]).to(logits.dtype))
    return torch.autograd.grad(loss, features)[0]


def world(name):
    """An algorithm, its parameters and an episode."""
    if name in ("entropy", "sgd", "forgetful"):
        learner, params = conv_learner(n_way=8)
        axes = {
            "entropy": {"noise": 0.0, "proximal": 0.4, "scoping": 0.2},
            "sgd": {"noise": 0.0, "proximal": 0.0, "averaging": 1.0},
            "forgetful": {"noise": 0.0, "proximal": 0.4, "remembers": False},
        }[name]
        return algorithm_of("entropy_sgd", learner, axes=axes, lr=0.3, steps=4), params, NUMBERED
    learner, params = conv_learner()
    if name == "reptile":
        return algorithm_of("reptile", learner, lr=0.3, steps=3), params, EPISODE
    if name == "maml, mse":
        return algorithm_of("maml", learner, lr=0.3, steps=3, loss="mse"), params, EPISODE
    if name == "a pull":
        return algorithm_of("fomaml", learner, axes={"proximal": 0.5}, lr=0.3, steps=3), params, EPISODE
    if name == "boil":
        return algorithm_of("boil", learner, lr=0.3, steps=2), params, EPISODE
    return algorithm_of(name, learner, lr=0.3, steps=3), params, EPISODE


ALL = ("entropy", "sgd", "forgetful", "reptile", "maml", "maml, mse", "anil", "a pull", "boil")


@pytest.mark.parametrize("name", ALL)
def test_contrast_with_remembered_batches_and_the_first_head_are_the_whole_gradient(name):
    algorithm, params, episode = world(name)
    seen = looks(algorithm, params, episode, step=2)
    parts = cross_batch(algorithm, seen, step=2)
    assert len(parts) == (4 if name in ("entropy", "sgd", "forgetful", "maml", "maml, mse", "anil", "a pull") else 3)
    for part, look in zip(parts, seen, strict=True):
        expected = by_autograd(algorithm, look)
        torch.testing.assert_close(part.whole, expected, rtol=0, atol=1e-10)
        torch.testing.assert_close(part.contrast + part.interference, expected, rtol=0, atol=1e-10)
        assert bool(part.rest.abs().max() < 1e-10)


def test_coefficients_are_products_of_residuals_worn_by_the_pull():
    algorithm, params, episode = world("entropy")
    seen = looks(algorithm, params, episode, step=2)
    parts = cross_batch(algorithm, seen, step=2)
    residuals = []
    for look in seen:
        logits = algorithm.learner.logits(look.params, look.batch.inputs).detach().requires_grad_()
        residuals.append(torch.autograd.grad(F.cross_entropy(logits, look.batch.targets), logits)[0])
    kept = 1 - 0.3 * 0.4 * 1.2**2
    for late in range(4):
        for early in range(late):
            expected = -0.3 * kept ** (late - 1 - early) * residuals[late] @ residuals[early].T
            torch.testing.assert_close(parts[late].coefficients[early], expected, rtol=0, atol=1e-12)


def test_plain_sgd_has_the_same_parts_without_the_pull():
    # H3: the algebra is not Entropy-SGD's own. Here the batches come one after another in plain training.
    algorithm, params, episode = world("sgd")
    here = params
    for look, part, batch in zip(
        looks(algorithm, params, episode),
        cross_batch(algorithm, looks(algorithm, params, episode)),
        minibatches(episode, 4),
        strict=True,
    ):
        torch.testing.assert_close(look.params["head.weight"], here["head.weight"], rtol=0, atol=1e-12)
        leaves = {name: value.clone().requires_grad_() for name, value in here.items()}
        loss = F.cross_entropy(algorithm.learner.logits(leaves, batch.inputs), batch.targets)
        gradient = dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True))
        assert part.interference.abs().max() > 0
        here = {name: value.detach() for name, value in add(here, gradient, -0.3).items()}


def test_the_way_of_the_loop_is_the_sum_of_its_gradients_worn_by_the_pull():
    # H2, with the last parameters in place of the mean.
    learner, params = conv_learner(n_way=8)
    axes = {"noise": 0.0, "proximal": 0.4, "averaging": 1.0}
    algorithm = algorithm_of("entropy_sgd", learner, axes=axes, lr=0.3, steps=4)
    batches = minibatches(NUMBERED, 4)
    *before, _ = walk(algorithm, params, batches, 0)
    kept = 1 - 0.3 * 0.4
    total = {name: torch.zeros_like(value) for name, value in params.items()}
    for place, (where, batch) in enumerate(zip(before, batches, strict=True)):
        leaves = {name: value.clone().requires_grad_() for name, value in where.params.items()}
        loss = F.cross_entropy(learner.logits(leaves, batch.inputs), batch.targets)
        gradient = dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True))
        total = add(total, gradient, 0.3 * kept ** (3 - place))
    found = algorithm.meta_gradient(params, NUMBERED).gradient
    assert norm(add(found, total, -1.0)).item() < 1e-10


def test_a_zero_head_leaves_contrast_alone_and_a_loop_without_memory_none():
    learner, params = conv_learner(n_way=8)
    algorithm = algorithm_of("entropy_sgd", learner, axes={"noise": 0.0}, lr=0.3, steps=4)
    zero = zeroed(params, learner.head_names)
    for part in cross_batch(algorithm, looks(algorithm, zero, NUMBERED)):
        assert not part.interference.any()
    algorithm, params, episode = world("forgetful")
    for part in cross_batch(algorithm, looks(algorithm, params, episode)):
        assert not part.contrast.any()
        assert part.coefficients == ()


def test_noise_in_the_head_is_the_rest():
    learner, params = conv_learner(n_way=8)
    algorithm = algorithm_of("entropy_sgd", learner, axes={"noise": 0.1}, lr=0.3, steps=3)
    seen = looks(algorithm, params, NUMBERED)
    parts = cross_batch(algorithm, seen)
    assert not parts[0].rest.abs().max() > 1e-12
    assert all(part.rest.abs().max() > 1e-6 for part in parts[1:])
    for part, look in zip(parts, seen, strict=True):
        torch.testing.assert_close(part.whole, by_autograd(algorithm, look), rtol=0, atol=1e-10)


def test_queries_are_normalised_as_the_learner_does_it():
    learner, params = conv_learner(normalization="support")
    algorithm = algorithm_of("maml", learner, lr=0.3, steps=2)
    *_, look = looks(algorithm, params, EPISODE)
    found = cross_batch(algorithm, looks(algorithm, params, EPISODE))[-1].whole
    torch.testing.assert_close(found, by_autograd(algorithm, look), rtol=0, atol=1e-10)


def test_minibatches_train_the_encoder_one_and_all_and_elsewhere_the_query_alone():
    assert list(trains(world("reptile")[0], 3)) == [0, 1, 2]
    assert list(trains(world("maml")[0], 4)) == [3]


@pytest.mark.parametrize(
    ("name", "axes", "steps", "expected"),
    [
        ("protonet", {}, 0, "start=prototypes"),
        ("imaml", {}, 2, "order=implicit"),
        ("pretrained", {}, 0, "order=joint"),
        ("meta_sgd", {}, 1, "learned_rates=weight"),
        ("fomaml", {"rule": "adam"}, 1, "rule=adam"),
        ("maml", {"outer_loss": "every_step"}, 2, "outer_loss=every_step"),
        ("gradient_penalty", {}, 1, "objective=gradient_penalty"),
    ],
)
def test_a_head_that_moves_otherwise_is_refused(name, axes, steps, expected):
    learner, params = conv_learner()
    algorithm = algorithm_of(name, learner, axes=axes, lr=0.1, steps=steps)
    with pytest.raises(ConfigError, match=rf"expected an inner loop of plain descent.*{expected}"):
        looks(algorithm, {**params, **algorithm.initial_params()}, EPISODE)
