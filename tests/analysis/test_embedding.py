"""Embeddings against autograd and a slow Fisher; that slots and heads do not matter; that sketches keep products."""

import pytest
import torch
from torch.nn import functional

from innerloop.analysis.embedding import embed, settled, sketch, steps_of
from innerloop.data.episode import Episode, with_slots
from innerloop.errors import ConfigError
from innerloop.models import Learner
from innerloop.params import add, flat, select, zeroed
from innerloop.seeds import generator
from worlds import algorithm_of, conv_learner, image_episode, normed_learner, sequential, smooth_learner, vector_episode

KINDS = ("direction", "gradient", "fisher")
EPISODE = image_episode(seed=3)


def plain(algorithm, params, episode):
    """Return the encoder's support gradient at the head that one step from zero makes, and that point."""
    learner = algorithm.learner
    leaves = {name: value.clone().requires_grad_() for name, value in zeroed(params, learner.head_names).items()}
    loss = functional.cross_entropy(learner.logits(leaves, episode.support.inputs), episode.support.targets)
    steps = dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True))
    here = {name: value.detach() for name, value in leaves.items()}
    here = add(here, select(steps, learner.head_names), -algorithm.inner.lr)
    leaves = {name: value.clone().requires_grad_() for name, value in here.items()}
    loss = functional.cross_entropy(learner.logits(leaves, episode.support.inputs), episode.support.targets)
    encoder = learner.encoder_params(leaves)
    return dict(zip(encoder, torch.autograd.grad(loss, list(encoder.values())), strict=True)), here


def by_name(values):
    return flat(dict(sorted(values.items())))


def unit(vector):
    return (vector / vector.norm()).float()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("head", ["random", "zero"])
def test_an_embedding_does_not_depend_on_which_class_sits_in_which_slot_nor_on_the_head(kind, head):
    learner, params = conv_learner()
    algorithm = algorithm_of("maml", learner, lr=0.3, steps=3)
    first = embed(kind, None, algorithm, params, EPISODE)
    other = params if head == "random" else zeroed(params, learner.head_names)
    for order in ([1, 2, 0], [2, 1, 0]):
        torch.testing.assert_close(
            embed(kind, None, algorithm, other, with_slots(EPISODE, torch.tensor(order))), first, rtol=0, atol=1e-6
        )
    assert first.norm() == pytest.approx(1)
    # Another task is another vector.
    assert abs(float(embed(kind, None, algorithm, params, image_episode(seed=4)) @ first)) < 0.99


@pytest.mark.parametrize("kind", KINDS)
def test_an_embedding_does_not_depend_on_the_order_that_parameters_were_read_in(kind):
    learner, params = conv_learner()
    algorithm = algorithm_of("maml", learner, lr=0.3)
    first, other = (
        embed(kind, None, algorithm, each, EPISODE) for each in (params, dict(reversed(list(params.items()))))
    )
    assert torch.equal(first, other)


def test_the_gradient_is_autograds_at_the_head_one_step_from_zero_makes_and_two_steps_go_against_it():
    learner, params = conv_learner()
    algorithm = algorithm_of("maml", learner, lr=0.3)
    gradient, _ = plain(algorithm, params, EPISODE)
    expected = unit(by_name(gradient))
    torch.testing.assert_close(embed("gradient", None, algorithm, params, EPISODE), expected)
    torch.testing.assert_close(embed("direction", None, algorithm, params, EPISODE), -expected)


def test_the_direction_is_the_encoders_way_over_all_inner_steps_of_the_learner():
    learner, params = conv_learner()
    algorithm = algorithm_of("maml", learner, lr=0.3, steps=4)
    start = zeroed(params, learner.head_names)
    after = algorithm.adapt(start, EPISODE.support).adapted
    expected = by_name({name: after[name] - value for name, value in learner.encoder_params(start).items()})
    torch.testing.assert_close(embed("direction", None, algorithm, params, EPISODE), unit(expected))
    assert [steps_of(algorithm, kind) for kind in KINDS] == [4, 2, 2]


def test_the_fisher_is_the_mean_over_examples_and_labels_of_squared_scores():
    learner, params = normed_learner()
    algorithm = algorithm_of("maml", learner, lr=0.3)
    episode = vector_episode()
    _, here = plain(algorithm, params, episode)
    names = sorted(learner.encoder_params(here))
    total = 0
    for example in range(len(episode.support.targets)):
        for slot in range(3):
            leaves = {name: here[name].clone().requires_grad_() for name in names}
            logs = functional.log_softmax(learner.logits({**here, **leaves}, episode.support.inputs), 1)[example]
            logs[slot].backward()
            score = torch.cat([leaves[name].grad.reshape(-1) for name in names])
            total = total + logs[slot].detach().exp() * score**2
    torch.testing.assert_close(embed("fisher", None, algorithm, params, episode), unit(total))


def test_a_head_that_alone_adapts_leaves_a_gradient_and_one_that_stays_is_moved_to_embed():
    learner, params = conv_learner()
    alone = algorithm_of("anil", learner, lr=0.3, steps=2)
    assert settled(alone, "direction") == "gradient"
    body = algorithm_of("boil", learner, lr=0.3)
    both = algorithm_of("maml", learner, lr=0.3)
    assert settled(body, "direction") == settled(both, "direction") == "direction"
    for kind in KINDS:
        torch.testing.assert_close(
            embed(kind, None, body, params, EPISODE), embed(kind, None, both, params, EPISODE), rtol=0, atol=1e-6
        )


def test_what_cannot_be_embedded_is_refused_in_one_line():
    learner, _ = conv_learner()
    with pytest.raises(ConfigError, match=r"inner\.loss=cross_entropy for the Fisher of a task, got mse"):
        settled(algorithm_of("maml", learner, loss="mse"), "fisher")
    bare = Learner(sequential(flatten=torch.nn.Flatten, head=lambda: torch.nn.Linear(6, 3)))
    with pytest.raises(ConfigError, match="expected an encoder with parameters"):
        settled(algorithm_of("maml", bare), "gradient")


def test_no_query_is_looked_at():
    learner, params = smooth_learner()
    algorithm = algorithm_of("maml", learner, lr=0.3)
    episode, other = vector_episode(), vector_episode(seed=1)
    for kind in KINDS:
        first = embed(kind, None, algorithm, params, episode)
        assert torch.equal(first, embed(kind, None, algorithm, params, Episode(episode.support, other.query)))


def test_a_sketch_keeps_inner_products_in_the_mean_and_as_nearly_as_its_dimensions_promise():
    parameters, dimensions, tasks = 20_000, 512, 40
    rng = generator(0, "vectors")
    common = torch.randn(parameters, generator=rng, dtype=torch.float64)
    vectors = 0.7 * common + torch.randn(tasks, parameters, generator=rng, dtype=torch.float64)
    vectors = vectors / vectors.norm(dim=1, keepdim=True)
    projection = sketch(parameters, dimensions)
    sketched = torch.stack([projection(each) for each in vectors])
    errors = (sketched @ sketched.T - vectors @ vectors.T)[~torch.eye(tasks, dtype=torch.bool)]
    # Johnson and Lindenstrauss: of unit vectors the error has a standard deviation of about 1 / sqrt(dimensions).
    assert errors.square().mean().sqrt() < 1.5 * dimensions**-0.5
    assert errors.abs().max() < 6 * dimensions**-0.5
    assert sketch(dimensions, dimensions) is None


def test_the_sketch_is_linear_and_over_many_draws_of_signs_unbiased():
    parameters, dimensions = 30, 8
    rng = generator(1, "vectors")
    left, right = torch.randn(2, parameters, generator=rng, dtype=torch.float64)
    one = sketch(parameters, dimensions)
    torch.testing.assert_close(one(left + 2 * right), one(left) + 2 * one(right))
    found = []
    for _ in range(4000):
        drawn = one._replace(
            places=torch.randint(dimensions, (parameters,), generator=rng),
            signs=torch.randint(2, (parameters,), generator=rng) * 2.0 - 1,
        )
        found.append(drawn(left) @ drawn(right))
    found = torch.stack(found)
    assert abs(found.mean() - left @ right) < 4 * found.std() / len(found) ** 0.5
