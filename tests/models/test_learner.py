import pytest
import torch
from torch import nn

from brought import Tied, brought
from innerloop.errors import ConfigError
from innerloop.models import Learner
from worlds import algorithm_of, conv_learner, image_episode, sequential, smooth_learner, vector_episode

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


def test_the_names_offered_begin_with_linear_layers_and_are_not_endless():
    module = sequential(
        **{f"norm{number}": lambda: nn.LayerNorm(3) for number in range(15)}, fc=lambda: nn.Linear(3, 2)
    )
    with pytest.raises(ConfigError, match=r"got a module with fc, norm0, .*, norm10 and 4 more; name the one"):
        Learner(module)


def frozen_body():
    module = sequential(body=lambda: nn.Linear(6, 4), bend=nn.Tanh, head=lambda: nn.Linear(4, 3)).double()
    module.body.requires_grad_(False)
    return module


def test_frozen_parameters_are_constants_neither_meta_trained_nor_adapted():
    module, episode = frozen_body(), vector_episode()
    learner = Learner(module)
    params = learner.initial_params()
    assert set(params) == learner.names == learner.head_names == {"head.weight", "head.bias"}
    result = algorithm_of("maml", learner, steps=2).meta_gradient(params, episode)
    assert set(result.gradient) == learner.names
    free = Learner(sequential(body=lambda: nn.Linear(6, 4), bend=nn.Tanh, head=lambda: nn.Linear(4, 3)).double())
    everything = dict(module.state_dict())
    truth = algorithm_of("anil", free, steps=2).meta_gradient(everything, episode).gradient
    for name in params:
        torch.testing.assert_close(result.gradient[name], truth[name])


def test_a_frozen_head_is_handed_out_as_it_is():
    module = frozen_body().requires_grad_(True)
    module.head.requires_grad_(False)
    learner = Learner(module)
    weight, bias = learner.linear_head(learner.initial_params())
    assert torch.equal(weight, module.head.weight)
    assert torch.equal(bias, module.head.bias)
    assert learner.head_names == frozenset()


def test_entries_that_are_not_the_learners_own_are_left_alone():
    learner, params = smooth_learner()
    more = {**params, "body": torch.ones(()), "rate/body.weight": torch.ones(())}
    inputs = vector_episode().query.inputs
    assert torch.equal(learner.logits(more, inputs), learner.logits(params, inputs))
    assert torch.equal(learner.features(more, inputs), learner.features(params, inputs))
    assert set(learner.encoder_params(more)) == learner.names - learner.head_names


def test_a_learner_with_nothing_to_train_is_refused():
    with pytest.raises(ConfigError, match="a parameter to train, got none; set requires_grad=True"):
        Learner(frozen_body().requires_grad_(False))


@pytest.mark.parametrize(("dtype", "kind"), [(torch.int64, "int64"), (torch.complex64, "complex64")])
def test_parameters_that_are_no_real_numbers_are_refused(dtype, kind):
    module = frozen_body()
    module.body.register_parameter("table", nn.Parameter(torch.zeros(2, dtype=dtype), requires_grad=False))
    with pytest.raises(
        ConfigError, match=rf"real-valued parameters, got 'body\.table' of type {kind}; make it a buffer"
    ):
        Learner(module)


def test_parameters_without_values_are_refused():
    with pytest.raises(ConfigError, match=r"with values, got 'head\.weight' without; run the module once"):
        Learner(sequential(head=lambda: nn.LazyLinear(3)))


def test_the_contrastive_view_needs_values_of_the_heads_own():
    learner = Learner(brought(Tied))
    with pytest.raises(ConfigError, match=r"got 'head\.weight' tied to 'embed\.weight'; untie them"):
        learner.linear_head(learner.initial_params())
    normed = frozen_body()
    with torch.random.fork_rng(devices=[]):
        nn.utils.parametrizations.spectral_norm(normed.head)
    learner = Learner(normed)
    assert learner.logits(learner.initial_params(), vector_episode().query.inputs).shape == (12, 3)
    with pytest.raises(ConfigError, match="expected a linear head, got ParametrizedLinear at 'head'"):
        learner.linear_head(learner.initial_params())


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
