import json

import numpy as np
import pytest
import torch

from innerloop.analysis import Subject
from innerloop.analysis.global_centres import global_centres
from innerloop.analysis.head_agreement import HeadAgreement, HeadAgreementSettings, measure
from innerloop.analysis.readings import USUAL, Matching, logistic, read
from innerloop.analysis.values import from_values, to_values
from innerloop.data import DataConfig, load
from innerloop.data.episode import Episode, Examples
from innerloop.errors import ConfigError, DataError, DivergedError
from innerloop.models import Learner
from innerloop.params import zeroed
from innerloop.statistics import equivalence, mean_interval
from worlds import algorithm_of, conv_learner, image_episode, made_up_data, probes_of, sequential, vector_episode

EPISODES = [image_episode(n_queries=5, k_shot=2, seed=seed) for seed in (5, 6, 11)]
FEW = HeadAgreementSettings(rates=(1.0,), steps=(2,), drawn=0)
SEEN = made_up_data(n_classes=30)


def subject_of(algorithm, params, episodes=EPISODES, **more):
    return Subject(algorithm, algorithm, params, probes_of(episodes), **more)


def by_name(side):
    return {each.name: each for each in side.readings}


def slow_picks(learner, start, adapted, episode, alike, centres):
    """Name the slots of one episode by the head, and by all readings of one encoder's features."""
    support, query = (learner.features(start, each.inputs) for each in episode)
    head = learner.logits(adapted, episode.query.inputs).argmax(1)
    labels = episode.support.targets
    described = centres.described(support), centres.described(query)
    return {
        "head": head,
        **read(support, labels, query, alike),
        "global": logistic(described[0], labels, described[1], USUAL).argmax(1),
    }


@pytest.mark.parametrize("name", ["fomaml", "anil"])
def test_accuracies_agreements_and_gaps_are_those_of_every_episode_read_on_its_own(name):
    learner, params = conv_learner()
    algorithm = algorithm_of(name, learner, lr=0.3, steps=2)
    result = measure(subject_of(algorithm, params, home=SEEN.split), FEW)
    centres = global_centres(learner, params, SEEN.split("train"), 100, "inner_product")
    picks = []
    for episode in EPISODES:
        adapted = algorithm.adapt(params, episode.support).adapted
        picks.append(
            [slow_picks(learner, at, adapted, episode, Matching(0.6, True, False), centres) for at in (params, adapted)]
        )
    for side, found in ((0, result.before), (1, result.after)):
        names = list(picks[0][side])
        assert ["head", *by_name(found)] == names
        right = {
            each: [
                float((one[side][each] == e.query.targets).double().mean())
                for one, e in zip(picks, EPISODES, strict=True)
            ]
            for each in names
        }
        assert result.head == mean_interval(right["head"])
        for each, reading in by_name(found).items():
            same = [float((one[side][each] == one[side]["head"]).double().mean()) for one in picks]
            assert reading.accuracy == mean_interval(right[each])
            assert reading.agreement == mean_interval(same)
            assert reading.gap == equivalence(right["head"], right[each], 0.02)
        matrix = [
            [np.mean([float((one[side][a] == one[side][b]).double().mean()) for one in picks]) for b in names]
            for a in names
        ]
        np.testing.assert_allclose(found.matrix, matrix)
    kept = [np.mean([float((one[0][a] == one[1][a]).double().mean()) for one in picks]) for a in names]
    assert result.kept == pytest.approx(kept)
    assert result.is_still == (name == "anil")
    assert (result.reach, result.ways, result.shots) == (pytest.approx(0.6), 3, 2)
    assert result.chance == pytest.approx(1 / 3)
    assert (result.clusters.classes, result.clusters.similarity) == (10, "inner_product")


@pytest.mark.parametrize("name", ["maml", "anil"])
@pytest.mark.parametrize("lr", [1e-3, 0.4, 20.0])
def test_a_zero_head_after_one_step_is_the_centroid_by_inner_product_exactly(name, lr):
    learner, params = conv_learner()
    zero = zeroed(params, learner.head_names)
    result = measure(subject_of(algorithm_of(name, learner, lr=lr), zero), FEW)
    assert result.is_still
    assert result.before == result.after
    found = by_name(result.after)["inner_product"]
    assert found.agreement == mean_interval([1.0] * 3)
    assert found.gap.difference == mean_interval([0.0] * 3)
    assert found.accuracy == result.head
    assert result.kept == (1.0,) * 9


def test_at_a_rate_below_0_it_never_names_the_nearest():
    learner, params = conv_learner()
    zero = zeroed(params, learner.head_names)
    result = measure(subject_of(algorithm_of("maml", learner, lr=-0.4), zero), FEW)
    assert by_name(result.after)["inner_product"].agreement.mean == 0


def test_a_planted_logistic_regression_is_equivalent_to_itself():
    learner, params = conv_learner()
    algorithm = algorithm_of("anil", learner, lr=0.3, steps=0).with_inner(start="logistic")
    episodes = [image_episode(seed=seed) for seed in range(10)]
    result = measure(subject_of(algorithm, params, episodes), FEW)
    found = by_name(result.after)["logistic_usual"]
    assert found.agreement.mean == 1
    assert (found.gap.verdict, found.gap.differs) == ("equivalent", False)
    assert "logistic" not in by_name(result.after)  # no step, no penalty that matches


def test_a_planted_prototype_head_is_the_centroid_by_euclidean_distance():
    learner, params = conv_learner()
    algorithm = algorithm_of("anil", learner, steps=0).with_inner(start="prototypes")
    result = measure(subject_of(algorithm, params), FEW)
    assert by_name(result.after)["euclidean"].agreement.mean == 1


def test_the_margin_decides_the_verdict():
    learner, params = conv_learner()
    algorithm, episodes = algorithm_of("fomaml", learner, lr=0.3), [image_episode(seed=seed) for seed in range(12)]
    narrow, wide = (
        measure(subject_of(algorithm, params, episodes), HeadAgreementSettings(margin, rates=(), drawn=0))
        for margin in (1e-6, 0.999)
    )
    assert {each.gap.verdict for each in wide.after.readings} == {"equivalent"}
    assert "equivalent" not in {each.gap.verdict for each in narrow.after.readings if each.gap.difference.half_width}
    assert (narrow.margin, narrow.cells, narrow.pictures) == (1e-6, (), ())


def test_the_grid_is_of_the_first_episodes_and_pictures_of_as_many_as_asked_for():
    learner, params = conv_learner()
    algorithm = algorithm_of("fomaml", learner, lr=0.3)
    settings = HeadAgreementSettings(rates=(1.0, 2.0), steps=(2,), tried=2, drawn=2)
    result = measure(subject_of(algorithm, params), settings)
    assert [(each.factor, each.steps, each.accuracy.observations) for each in result.cells] == [
        *((1.0, 1, 2), (1.0, 2, 2), (2.0, 1, 2), (2.0, 2, 2))
    ]
    assert [each.number for each in result.pictures] == [0, 1]
    first = result.pictures[0]
    assert first.classes == ("class 0", "class 1", "class 2")
    assert list(first.support) == EPISODES[0].support.targets.tolist()
    assert list(first.query) == EPISODES[0].query.targets.tolist()
    assert list(first.before.named) == learner.logits(params, EPISODES[0].query.inputs).argmax(1).tolist()
    assert measure(subject_of(algorithm, params), HeadAgreementSettings(tried=0, drawn=0)).cells == ()


def test_global_centres_are_left_out_where_there_are_none_to_know():
    learner, params = conv_learner()
    algorithm = algorithm_of("anil", learner)
    family = load(DataConfig("gaussians")).split("train")
    unwanted = HeadAgreementSettings(per_class=0, drawn=0, rates=())
    for more, settings in (({}, FEW), ({"home": lambda _side: family}, FEW), ({"home": lambda _side: 1 / 0}, unwanted)):
        result = measure(subject_of(algorithm, params, **more), settings)
        assert result.clusters is None
        assert "global" not in by_name(result.after)


@pytest.mark.parametrize(
    ("axes", "inner"),
    [
        ({"learned_rates": "layer_step"}, {"steps": 2}),
        ({"learned_rates": "one"}, {}),
        ({"rule": "adam"}, {"lr": 0.01}),
        ({"head": "prototypes"}, {}),
        ({"head": "ridge"}, {}),
        ({"per_step_norms": True}, {"steps": 2}),
        ({"adapts": "body"}, {}),
        ({}, {"loss": "mse", "lr_of": {"head.*": 0.1}}),
    ],
)
def test_other_inner_loops_are_measured_and_survive_json(axes, inner):
    learner, params = conv_learner()
    algorithm = algorithm_of("maml", learner, axes=axes, **inner)
    start = {name: value.double() for name, value in algorithm.initial_params().items()}
    result = measure(subject_of(algorithm, {**start, **params}, EPISODES[:1], home=SEEN.split))
    assert from_values(HeadAgreement, json.loads(json.dumps(to_values(result), allow_nan=False))) == result
    assert ("logistic" in by_name(result.after)) == (not {"rule", "adapts"} & set(axes))


def test_a_run_on_two_classes_has_the_same_readings():
    learner, params = conv_learner(n_way=2)
    result = measure(subject_of(algorithm_of("anil", learner), params, [image_episode(n_way=2)]), FEW)
    assert set(by_name(result.after)) >= {"logistic", "lda", "ridge", "nil"}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"margin": 0.0}, "a margin between 0 and 1, got 0; 0.02 is two points"),
        ({"margin": float("nan")}, "a margin between 0 and 1, got nan"),
        ({"rates": (1.0, 0.0)}, "each once and none 0, got 1, 0"),
        ({"rates": (1.0, 1.0)}, "each once and none 0, got 1, 1"),
        ({"rates": (float("inf"),)}, "each once and none 0, got inf"),
        ({"steps": (0,)}, "each once and at least 1, got 0"),
        ({"steps": (2, 2)}, "each once and at least 1, got 2, 2"),
        ({"tried": -1}, "tried of at least 0, got -1"),
        ({"per_class": -1}, "per_class of at least 0, got -1"),
        ({"drawn": -2}, "drawn of at least 0, got -2"),
    ],
)
def test_settings_that_make_no_sense_are_refused_in_one_line(given, words):
    with pytest.raises(ConfigError) as refused:
        HeadAgreementSettings(**given)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_what_cannot_be_read_is_refused_in_one_line():
    learner, params = conv_learner()
    algorithm = algorithm_of("fomaml", learner)
    one = Episode(*(Examples(each.inputs[:2], each.targets[:2]) for each in EPISODES[0]))
    real = Episode(*(Examples(each.inputs, each.targets.double()) for each in EPISODES[0]))
    for episodes, words in (
        ([], "at least one episode to read"),
        ([one], r"two classes or more in an episode, got one \(episode 0\)"),
        ([real], "got real targets"),
    ):
        with pytest.raises(DataError, match=words):
            measure(subject_of(algorithm, params, episodes), FEW)
    with pytest.raises(DivergedError, match=r"1 steps at rate 1e\+308"):
        measure(subject_of(algorithm_of("fomaml", learner, lr=1e308), params), FEW)
    with pytest.raises(ConfigError, match="an adapted head for head agreement, got attention"):
        measure(subject_of(algorithm_of("fomaml", learner, steps=0).with_inner(start="attention"), params), FEW)


def test_a_head_that_is_not_linear_is_refused():
    module = sequential(
        body=lambda: torch.nn.Linear(6, 5),
        head=lambda: torch.nn.Sequential(torch.nn.Linear(5, 3), torch.nn.Tanh()),
    ).double()
    learner = Learner(module)
    with pytest.raises(ConfigError, match="linear head, got Sequential at 'head'; head agreement needs"):
        measure(subject_of(algorithm_of("fomaml", learner), learner.initial_params(), [vector_episode()]), FEW)
