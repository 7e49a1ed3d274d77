import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from innerloop.analysis import Subject
from innerloop.analysis.gathering import Gathering, gathering
from innerloop.analysis.representation import Representation, RepresentationSettings, measure, stages
from innerloop.analysis.similarity import linear_cka
from innerloop.analysis.values import from_values, to_values
from innerloop.data.episode import Episode, Examples
from innerloop.errors import ConfigError, DataError, DivergedError
from innerloop.models import Learner, ModelConfig, build
from innerloop.params import zeroed
from innerloop.statistics import equivalence, mean_interval
from worlds import algorithm_of, conv_learner, image_episode, probes_of, unbalanced, vector_episode

EPISODES = [image_episode(n_queries=8, seed=seed) for seed in range(3)]
BLOCKS = ["block1", "block2", "block3", "block4"]


def subject_of(algorithm, params, episodes=EPISODES):
    return Subject(algorithm, algorithm, params, probes_of(episodes))


def right(algorithm, params, episode):
    logits = algorithm.query_loss(params, episode)[1]
    return (logits.argmax(1) == episode.query.targets).double().mean().item()


def test_one_step_from_a_zero_head_leaves_every_block_as_it_is():
    """D1: CKA and CCA of the encoder are 1 to rounding, though all of it may move; the logits had nothing to say."""
    learner, params = conv_learner(filters=8)
    result = measure(subject_of(algorithm_of("maml", learner, lr=0.4), zeroed(params, learner.head_names)))
    assert [layer.name for layer in result.layers] == [*BLOCKS, "logits"]
    for layer in result.layers[:-1]:
        assert layer.adapts
        assert abs(layer.cka.mean - 1) < 1e-12
        assert abs(layer.cca.mean - 1) < 1e-12
    assert result.is_still
    assert result.layers[-1].cka is None
    assert {row.accuracy for row in result.frozen[:-1]} == {result.accuracy}


def test_two_steps_from_a_zero_head_move_the_encoder():
    learner, params = conv_learner()
    algorithm = algorithm_of("maml", learner, lr=0.4, steps=2)
    result = measure(subject_of(algorithm, zeroed(params, learner.head_names)))
    assert not result.is_still
    assert all(layer.cka.mean < 1 - 1e-6 for layer in result.layers[:-1])


def test_likeness_is_that_of_activations_before_and_after_the_inner_loop():
    learner, params = conv_learner()
    algorithm = algorithm_of("fomaml", learner, lr=0.3, steps=2)
    result = measure(subject_of(algorithm, params))
    found = {name: [] for name in [*BLOCKS, "logits"]}
    for episode in EPISODES:
        adapted = algorithm.adapt(params, episode.support).adapted
        inputs = episode.query.inputs
        for name in BLOCKS:
            before, after = (learner.activations(here, inputs)[name].flatten(1) for here in (params, adapted))
            found[name].append(linear_cka(before, after))
        found["logits"].append(linear_cka(learner.logits(params, inputs), learner.logits(adapted, inputs)))
    for layer in result.layers:
        assert layer.cka == mean_interval(found[layer.name])
    assert [layer.is_by_place for layer in result.layers] == [True, True, True, False, False]


@pytest.mark.parametrize("order", ["first", "second"])
def test_freezing_is_adapting_the_other_names_alone(order):
    learner, params = conv_learner()
    algorithm = algorithm_of("maml", learner, order=order, lr=0.5, steps=2)
    result = measure(subject_of(algorithm, params), RepresentationSettings(margin=0.1))
    assert [row.last for row in result.frozen] == ["", *BLOCKS, "logits"]
    everything = [right(algorithm, algorithm.adapted(params, each.support), each) for each in EPISODES]
    for row in result.frozen[:-1]:
        free = ",".join([*(f"*.{name}.*" for name in BLOCKS[row.blocks :]), "head.*"])
        other = algorithm_of("maml", learner, axes={"adapts": free}, lr=0.5, steps=2)
        truth = [right(other, other.adapted(params, each.support), each) for each in EPISODES]
        assert row.accuracy == mean_interval(truth)
        assert row.gap == equivalence(truth, everything, 0.1)
    assert result.frozen[-1].accuracy == mean_interval([right(algorithm, params, each) for each in EPISODES])
    assert result.accuracy == mean_interval(everything)


def test_a_body_that_adapts_alone_has_nothing_left_when_it_is_frozen():
    learner, params = conv_learner()
    result = measure(subject_of(algorithm_of("boil", learner, lr=0.5), params))
    assert result.frozen[-2].accuracy == result.frozen[-1].accuracy
    assert not result.layers[-1].adapts


def test_parameters_outside_all_blocks_freeze_with_the_first():
    class Shifted(nn.Module):
        def __init__(self):
            super().__init__()
            self.shift = nn.Parameter(torch.zeros(6))
            self.one, self.two, self.head = nn.Linear(6, 5), nn.Linear(5, 4), nn.Linear(4, 3)

        def forward(self, inputs):
            return self.head(self.two(self.one(inputs + self.shift).tanh()).tanh())

    with torch.random.fork_rng(devices=[]):
        learner = Learner(Shifted().double())
    found = stages(algorithm_of("maml", learner))
    assert [stage.last for stage in found] == ["", "one", "two", "logits"]
    assert found[1].left.names == {"two.weight", "two.bias", "head.weight", "head.bias"}
    result = measure(subject_of(algorithm_of("maml", learner), learner.initial_params(), [vector_episode()]))
    assert [layer.name for layer in result.layers] == ["one", "two", "logits"]


def test_an_encoder_without_parameters_has_only_logits_to_change():
    with torch.random.fork_rng(devices=[]):
        learner = Learner(nn.Sequential(nn.Flatten(), nn.Linear(6, 3)).double(), head="1")
    result = measure(subject_of(algorithm_of("maml", learner), learner.initial_params(), [vector_episode()]))
    assert [layer.name for layer in result.layers] == ["logits"]
    assert [row.last for row in result.frozen] == ["", "logits"]
    assert result.is_still


def test_nil_scores_classes_by_cosines_to_their_support_before_adaptation():
    learner, params = conv_learner()
    result = measure(subject_of(algorithm_of("fomaml", learner, lr=0.5), params))
    truth = []
    for (inputs, labels), (asked, targets) in EPISODES:
        support, query = (nn.functional.normalize(learner.features(params, each), dim=1) for each in (inputs, asked))
        scores = torch.stack([(query @ support[labels == slot].T).sum(1) for slot in range(3)], 1)
        truth.append((scores.argmax(1) == targets).double().mean().item())
    assert result.nil == mean_interval(truth)


def test_gathering_is_of_query_features_before_and_after_with_the_head_that_goes_with_them():
    learner, params = conv_learner()
    algorithm = algorithm_of("fomaml", learner, lr=0.3, steps=2)
    result = measure(subject_of(algorithm, params))
    sides = ([], [])
    for episode in EPISODES:
        for found, here in zip(sides, (params, algorithm.adapted(params, episode.support)), strict=True):
            features, named = (call(here, episode.query.inputs) for call in (learner.features, learner.logits))
            weight = here["head.weight"]
            found.append(gathering(features, episode.query.targets, named.argmax(1), weight))
    for each in result.gathering:
        before, after = (np.array([getattr(one, each.name) for one in side]) for side in sides)
        assert each.before == mean_interval(before)
        assert each.after == mean_interval(after)
        assert each.change == mean_interval(after - before)
    assert [each.name for each in result.gathering] == list(Gathering._fields)


@pytest.mark.parametrize("name", ["protonet", "r2d2", "matchingnet", "pretrained"])
def test_where_nothing_adapts_all_stays(name):
    learner, params = conv_learner(n_way=7 if name == "pretrained" else 3)
    algorithm = algorithm_of(name, learner, steps=0)
    result = measure(subject_of(algorithm, {**algorithm.initial_params(), **params}))
    assert result.frozen == ()
    assert all(layer.cka.mean == pytest.approx(1, abs=1e-12) for layer in result.layers)
    assert not any(layer.adapts for layer in result.layers)
    assert all(each.change is None or each.change.mean == 0 for each in result.gathering)
    assert (result.gathering[7].after is None) == (name == "matchingnet")
    assert result.accuracy.mean > 0.4
    assert from_values(Representation, json.loads(json.dumps(to_values(result), allow_nan=False))) == result


def test_a_classifier_of_all_training_classes_adapts_from_prototypes_where_it_is_asked_to():
    learner, params = conv_learner(n_way=7)
    algorithm = algorithm_of("pretrained", learner, steps=0).with_inner(steps=3, lr=0.1)
    result = measure(subject_of(algorithm, params))
    assert result.is_still
    assert len(result.frozen) == 6
    assert result.layers[-1].cka.mean < 1


@pytest.mark.parametrize("model", ["resnet12", "mlp"])
def test_other_networks_and_statistics_of_the_support_set_are_measured_too(model):
    config = ModelConfig(model, filters=2, hidden=6, normalization="support")
    learner = build(config, (1, 16, 16), 3, 0)
    episodes = [image_episode(dtype=torch.float32)]
    result = measure(subject_of(algorithm_of("fomaml", learner, lr=0.1), learner.initial_params(), episodes))
    assert all(0 <= layer.cka.mean <= 1 for layer in result.layers)
    assert result.accuracy.observations == 1


def test_classes_with_one_query_have_no_spread_but_all_else():
    learner, params = conv_learner()
    result = measure(subject_of(algorithm_of("fomaml", learner, lr=0.3), params, [unbalanced()]))
    found = {each.name: each.after for each in result.gathering}
    assert found["fc"] is None
    assert found["rank"].mean > 1


def test_bad_settings_no_episode_and_activations_that_are_not_finite_are_refused():
    with pytest.raises(ConfigError, match="margin between 0 and 1, got 0;"):
        RepresentationSettings(margin=0.0)
    learner, params = conv_learner()
    with pytest.raises(DataError, match="at least one episode"):
        measure(subject_of(algorithm_of("fomaml", learner), params, []))
    with pytest.raises(DivergedError, match="finite activations, got NaN or infinity with an inner loop of 2 steps"):
        measure(subject_of(algorithm_of("fomaml", learner, lr=1e200, steps=2), params))
    real = Episode(*(Examples(side.inputs, side.targets.double()) for side in EPISODES[0]))
    probe = replace(subject_of(algorithm_of("fomaml", learner), params), probes=lambda: [next_probe(real)])
    with pytest.raises(DataError, match="real targets"):
        measure(probe)


def next_probe(episode):
    return next(iter(probes_of(EPISODES)()))._replace(episode=episode)
