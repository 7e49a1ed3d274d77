import pytest
import torch
from torch import nn

from innerloop.errors import ConfigError
from innerloop.models import Learner
from worlds import conv_learner, image_episode, sequential, smooth_learner

EPISODE = image_episode()


def test_logits_are_the_modules_own_and_the_head_of_the_features():
    module = sequential(body=lambda: nn.Linear(4, 3), bend=nn.ReLU, head=lambda: nn.Linear(3, 2)).double()
    learner = Learner(module)
    params, inputs = learner.initial_params(), EPISODE.query.inputs.flatten(1)[:, :4]
    weight, bias = learner.linear_head(params)
    torch.testing.assert_close(learner.logits(params, inputs), module(inputs))
    torch.testing.assert_close(learner.features(params, inputs) @ weight.T + bias, module(inputs))
    assert learner.head_names == {"head.weight", "head.bias"}


def test_the_users_module_is_never_changed():
    module = sequential(norm=lambda: nn.BatchNorm1d(3), head=lambda: nn.Linear(3, 2))
    learner = Learner(module)
    params = learner.initial_params()
    params["head.weight"].zero_()
    learner.logits(params, torch.ones(4, 3))
    assert module.norm.track_running_stats
    assert module.norm.num_batches_tracked == 0
    assert module.head.weight.abs().sum() > 0


def test_a_head_that_is_not_there_is_refused_with_the_names_there_are():
    with pytest.raises(ConfigError, match=r"submodule 'haed' .* a module with body, head; .* Did you mean 'head'\?"):
        Learner(sequential(body=lambda: nn.Linear(4, 3), head=lambda: nn.Linear(3, 2)), head="haed")


def test_the_contrastive_view_needs_a_linear_head():
    learner = Learner(sequential(body=lambda: nn.Linear(4, 3), head=lambda: nn.Sequential(nn.ReLU(), nn.Linear(3, 2))))
    with pytest.raises(ConfigError, match="expected a linear head, got Sequential at 'head'"):
        learner.linear_head(learner.initial_params())


def test_with_support_statistics_a_query_is_predicted_as_if_it_came_alone():
    learner, params = conv_learner(normalization="support")
    support, queries = EPISODE.support.inputs, EPISODE.query.inputs
    together = learner.logits(params, queries, reference=support)
    alone = torch.cat([learner.logits(params, query, reference=support) for query in queries.split(1)])
    torch.testing.assert_close(together, alone, rtol=1e-12, atol=1e-12)
    assert not learner.transductive


def test_with_batch_statistics_predictions_are_transductive_and_say_so():
    learner, params = conv_learner()
    queries = EPISODE.query.inputs
    assert learner.transductive
    assert (learner.logits(params, queries)[:2] - learner.logits(params, queries[:2])).abs().max() > 1e-3


def test_both_normalizations_agree_on_the_support_set_itself():
    (batch, params), (support, _) = conv_learner(), conv_learner(normalization="support")
    inputs = EPISODE.support.inputs
    torch.testing.assert_close(batch.logits(params, inputs), support.logits(params, inputs))
    torch.testing.assert_close(
        batch.logits(params, inputs), support.logits(params, inputs, reference=inputs), rtol=1e-10, atol=1e-10
    )


def test_a_network_without_batchnorm_is_never_transductive():
    assert not smooth_learner()[0].transductive


def test_an_unknown_normalization_is_refused():
    with pytest.raises((ConfigError, TypeError)):
        Learner(sequential(head=lambda: nn.Linear(3, 2)), normalization="layer")
