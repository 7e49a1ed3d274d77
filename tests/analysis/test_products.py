import pytest
import torch
from torch import nn

from innerloop.analysis import Probe
from innerloop.analysis.products import product_logits, products
from innerloop.data.episode import Episode, Examples
from innerloop.models import Learner
from innerloop.params import zeroed
from innerloop.seeds import generator
from worlds import algorithm_of, conv_learner, image_episode, sequential, vector_episode


@pytest.mark.parametrize("has_bias", [True, False])
@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_products_are_the_logits_of_a_zeroed_head_after_one_step(loss, has_bias):
    learner, params = conv_learner(n_way=4, head_bias=has_bias)
    episode = image_episode(n_way=3)  # fewer classes than the head has rows
    algorithm = algorithm_of("maml", learner, lr=0.4, loss=loss)
    start = zeroed(params, learner.head_names)
    support, query = (learner.features(start, side.inputs) for side in episode)
    ours = product_logits(query, support, episode.support.targets, way=4, inner_lr=0.4, loss=loss, has_bias=has_bias)
    true = algorithm.query_loss(algorithm.adapt(start, episode.support).adapted, episode)[1]
    assert torch.allclose(ours, true, rtol=0, atol=1e-12)


@pytest.mark.parametrize("lr", [0.4, -0.3])
@pytest.mark.parametrize("has_bias", [True, False])
@pytest.mark.parametrize("name", ["maml", "anil"])
@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_the_loss_of_a_zeroed_head_after_one_step_is_made_of_inner_products_alone(loss, name, has_bias, lr):
    learner, params = conv_learner(n_way=4, filters=8, head_bias=has_bias)
    whole = image_episode(n_way=4)
    kept = torch.tensor([0, 1, 2, 4, 5, 6, 7])  # unequal shots
    episode = Episode(Examples(whole.support.inputs[kept], whole.support.targets[kept]), whole.query)
    # Five steps and a random head at test: the example has one step and a zeroed head.
    found = products(algorithm_of(name, learner, lr=lr, steps=5, loss=loss), params, Probe(0, episode, tuple("abcd")))
    assert found.by_products == pytest.approx(found.by_algorithm, abs=1e-10)
    assert (found.loss, found.inner_lr) == (loss, lr)


def test_products_are_in_float64_for_a_learner_in_float32():
    learner, params = conv_learner(dtype=torch.float32)
    probe = Probe(0, image_episode(dtype=torch.float32), tuple("abc"))
    found = products(algorithm_of("maml", learner, lr=0.4), params, probe)
    assert found.by_products == pytest.approx(found.by_algorithm, abs=1e-10)


def test_squared_error_compares_the_products_of_figure_1_with_1_and_0():
    rng = generator(0, "products")
    query, support = (torch.randn(n, 5, generator=rng, dtype=torch.float64) for n in (7, 6))
    labels, way, lr = torch.tensor([0, 0, 1, 1, 2, 2]), 3, 0.3
    logits = product_logits(query, support, labels, way=way, inner_lr=lr, loss="mse", has_bias=False)
    for q in range(7):
        for k in range(3):
            summed = sum(float(query[q] @ support[s]) for s in range(6) if labels[s] == k)
            # The paper's loss is a sum over examples and outputs; ours a mean, of 6 x 3 of them.
            assert logits[q, k].item() == pytest.approx(2 * lr * summed / (6 * 3))


def test_means_over_the_queries_of_a_class_stand_in_its_row():
    learner, params = conv_learner(n_way=4)
    episode = image_episode(n_way=3)  # fewer classes than the head has rows
    algorithm = algorithm_of("anil", learner, lr=0.4)
    found = products(algorithm, params, Probe(0, episode, tuple("abc")))
    assert [len(row) for row in found.logits] == [4, 4, 4]
    support, query = (learner.features(params, side.inputs) for side in episode)
    logits = product_logits(
        query, support, episode.support.targets, way=4, inner_lr=0.4, loss="cross_entropy", has_bias=True
    )
    assert found.logits[1] == pytest.approx(logits[episode.query.targets == 1].mean(0).tolist())
    assert found.predicted[2] == pytest.approx(logits.softmax(1)[episode.query.targets == 2].mean(0).tolist())


def test_a_class_without_queries_has_no_numbers():
    learner, params = conv_learner()
    whole = image_episode()
    episode = Episode(whole.support, Examples(whole.query.inputs[3:], whole.query.targets[3:]))
    found = products(algorithm_of("anil", learner, lr=0.4, loss="mse"), params, Probe(0, episode, tuple("abc")))
    assert found.logits[0] == found.predicted[0] == (None, None, None)
    assert None not in found.logits[1]


def test_a_head_that_is_not_linear_has_no_products():
    learner = Learner(sequential(flatten=nn.Flatten, head=lambda: nn.Sequential(nn.Linear(6, 3))).double())
    probe = Probe(0, vector_episode(), tuple("abc"))
    assert products(algorithm_of("maml", learner), learner.initial_params(), probe) is None


@pytest.mark.parametrize("name", ["protonet", "r2d2", "matchingnet", "pretrained", "meta_sgd"])
def test_a_head_made_of_the_support_set_and_learned_rates_have_no_products(name):
    learner, _ = conv_learner()
    algorithm = algorithm_of(name, learner, steps=int(name == "meta_sgd"))
    assert products(algorithm, algorithm.initial_params(), Probe(0, image_episode(), tuple("abc"))) is None
