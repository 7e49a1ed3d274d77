import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from innerloop.analysis import Probe, Subject
from innerloop.analysis.memorization import Memorization, RowChange, measure, measures, row_change, row_changes
from innerloop.analysis.values import from_values, to_values
from innerloop.data.episode import Episode, EpisodeShape, Examples
from innerloop.errors import ConfigError, DivergedError
from innerloop.models import Learner
from innerloop.params import zeroed
from innerloop.runs import Recipe, RunDirectory, open_run
from innerloop.seeds import generator
from worlds import algorithm_of, conv_learner, image_episode, probes_of, sequential, smooth_learner, vector_episode

EXACT = pytest.approx(1, abs=1e-10)


def subject(learner, params, episodes, name="maml", run=None, **inner):
    algorithm = algorithm_of(name, learner, **{"lr": 0.4, "steps": 1, **inner})
    # The inner loop of training must not be looked at.
    return Subject(algorithm.with_inner(steps=7, lr=9.0), algorithm, params, probes_of(episodes), run=run)


def zero_head(**config):
    learner, params = conv_learner(filters=8, **config)
    return learner, zeroed(params, learner.head_names)


@pytest.mark.parametrize("has_bias", [True, False])
@pytest.mark.parametrize("name", ["maml", "anil"])
def test_a_zeroed_head_changes_along_its_centred_class_mean_after_one_step(name, has_bias):
    result = measure(subject(*zero_head(head_bias=has_bias), [image_episode(seed=seed) for seed in range(3)], name))
    for changes in (result.before, result.moved):
        assert changes[0].centred_mean.mean == EXACT
        assert changes[0].in_span.mean == EXACT


def test_a_negative_rate_turns_the_change_round():
    result = measure(subject(*zero_head(), [image_episode()], lr=-0.4))
    assert result.before[0].centred_mean.mean == pytest.approx(-1, abs=1e-10)


def test_squared_error_stores_the_class_mean_itself():
    result = measure(subject(*zero_head(), [image_episode()], loss="mse"))
    assert result.before[0].own_mean.mean == EXACT
    assert result.before[0].centred_mean.mean < 1 - 1e-3


@pytest.mark.parametrize("steps", [1, 5])
def test_under_a_frozen_encoder_the_change_of_any_head_lies_in_the_span_of_the_support_features(steps):
    learner, params = conv_learner(filters=8)
    episode = image_episode()
    result = measure(subject(learner, params, [episode], "anil", steps=steps))
    rank = torch.linalg.matrix_rank(learner.features(params, episode.support.inputs)).item()
    assert rank < result.features == 8
    for change in result.before:
        assert change.in_span.mean == EXACT
        assert change.rank.mean == rank
    assert result.moved == result.before


def test_the_first_step_stays_in_the_span_and_later_ones_leave_it_where_the_encoder_moves():
    learner, params = conv_learner(filters=8)
    result = measure(subject(learner, params, [image_episode()], steps=4))
    assert result.before[0].in_span.mean == EXACT
    assert result.before[3].in_span.mean < 1 - 1e-3
    assert result.moved[0].in_span.mean < 1 - 1e-3


def cosine(left, right):
    inner = sum(a * b for a, b in zip(left, right, strict=True))
    return inner / (sum(a * a for a in left) * sum(b * b for b in right)) ** 0.5


def plain(weight_now, weight_before, support, labels):
    """The same measures by loops over rows and examples."""
    rows = [[a - b for a, b in zip(*pair, strict=True)] for pair in zip(weight_now, weight_before, strict=True)]
    support, slots = support.tolist(), sorted(set(labels.tolist()))
    members = {
        slot: [each for each, label in zip(support, labels.tolist(), strict=True) if label == slot] for slot in slots
    }
    means = {slot: [sum(column) / len(each) for column in zip(*each, strict=True)] for slot, each in members.items()}
    middle = [sum(column) / len(slots) for column in zip(*means.values(), strict=True)]
    own, other, own_mean, other_means, centred = [], [], [], [], []
    for slot in slots:
        for label in slots:
            (own if label == slot else other).extend(cosine(rows[slot], each) for each in members[label])
            (own_mean if label == slot else other_means).append(cosine(rows[slot], means[label]))
        centred.append(cosine(rows[slot], [a - b for a, b in zip(means[slot], middle, strict=True)]))
    basis = torch.tensor(support, dtype=torch.float64).T
    change = torch.tensor(rows, dtype=torch.float64).T
    left = change - basis @ torch.linalg.lstsq(basis, change, driver="gelsd").solution
    share = 1 - left.square().sum().item() / change.square().sum().item()
    return [*(sum(each) / len(each) for each in (own, other, own_mean, other_means, centred)), share]


def unequal_episode():
    """Four classes of up to three shots, for a head of five rows."""
    whole = image_episode(n_way=4, k_shot=3)
    kept = torch.tensor([0, 1, 2, 3, 6, 7, 9])
    return Episode(Examples(whole.support.inputs[kept], whole.support.targets[kept]), whole.query)


@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_row_changes_are_those_of_a_slow_loop_for_a_random_head_and_unequal_shots(loss):
    learner, params = conv_learner(n_way=5, filters=12)
    episode = unequal_episode()
    algorithm = algorithm_of("maml", learner, lr=0.1, steps=3, loss=loss)
    path = algorithm.adapt(params, episode.support).params
    before, moved = row_changes(algorithm, path, episode)
    assert len(before) == len(moved) == 3
    for step, here in enumerate(path[1:]):
        weights = here["head.weight"].tolist(), params["head.weight"].tolist()
        for ours, at in ((before[step], params), (moved[step], here)):
            slow = plain(*weights, learner.features(at, episode.support.inputs), episode.support.targets)
            assert list(ours[:-1]) == pytest.approx(slow, abs=1e-10)


@pytest.mark.parametrize("lr", [0.01, 0.4, 30.0])
@pytest.mark.parametrize("name", ["maml", "anil"])
def test_a_zeroed_head_after_one_step_is_the_nearest_centroid_by_inner_product_at_any_positive_rate(name, lr):
    episodes = [image_episode(n_way=5, k_shot=3, n_queries=9, seed=seed) for seed in range(3)]
    result = measure(subject(*zero_head(n_way=5), episodes, name, lr=lr))
    assert result.inner_product.agreement.mean == 1
    assert result.inner_product.accuracy == result.head
    assert result.euclidean.agreement.mean < 1


def learner_says(learner, head, encoder, episode):
    """Accuracy of one set of parameters' head on the features of another's encoder."""
    features = learner.features(encoder, episode.query.inputs)
    logits = features @ head["head.weight"].T + head["head.bias"]
    return (logits.argmax(1) == episode.query.targets).double().mean()


def test_accuracies_are_those_of_a_slow_loop_for_a_random_head():
    learner, params = conv_learner(n_way=4)
    params = {**params, "head.weight": 9 * params["head.weight"]}  # so that the slots before adaptation vary
    episode = image_episode(n_way=4, n_queries=10)
    algorithm = algorithm_of("maml", learner, lr=0.4, steps=2)
    found = measures(algorithm, params, Probe(3, episode, ("a", "b", "c", "d")))
    adapted = algorithm.adapt(params, episode.support).adapted
    said = learner.logits(adapted, episode.query.inputs).argmax(1)
    support, query = (learner.features(adapted, side.inputs) for side in episode)
    means = torch.stack([support[episode.support.targets == slot].mean(0) for slot in range(4)])
    closest = torch.cdist(query, means).argmin(1)
    right = episode.query.targets
    assert found.agreement["euclidean"] == (said == closest).double().mean()
    assert found.accuracy["euclidean"] == (closest == right).double().mean()
    assert found.slots[0] == (learner.logits(params, episode.query.inputs).argmax(1) == right).double().mean()
    assert found.slots[2] == (said == right).double().mean()
    assert found.slots[0] != learner_says(learner, params, adapted, episode)
    assert len(set(found.agreement.values()) | set(found.accuracy.values())) > 2


@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_permuting_slots_changes_no_accuracy_under_a_zeroed_head(loss):
    learner, params = zero_head(n_way=5)
    algorithm = algorithm_of("maml", learner, lr=0.3, steps=3, loss=loss)
    for seed in range(6):
        probe = Probe(seed, image_episode(n_way=5, n_queries=8, seed=seed), tuple("abcde"))
        before, before_permuted, after, after_permuted = measures(algorithm, params, probe).slots
        assert before == before_permuted == 0.2
        assert after == after_permuted


def test_a_planted_memoriser_loses_what_hung_on_the_slots():
    learner, params = smooth_learner(hidden=12)
    episodes = [vector_episode(seed=0)] * 40  # the same classes in the same slots
    seen = learner.features(params, episodes[0].query.inputs)
    hot = torch.nn.functional.one_hot(episodes[0].query.targets, 3).double()
    known = 20 * torch.linalg.lstsq(seen, hot, driver="gelsd").solution.T
    memoriser = {**params, "head.weight": known, "head.bias": torch.zeros(3, dtype=torch.float64)}
    slots = measure(subject(learner, memoriser, episodes, "anil", lr=1e-3)).slots
    assert slots.before.mean == slots.after.mean > 0.7
    assert slots.before_permuted.low < 1 / 3 < slots.before_permuted.high
    assert slots.survives.high < 0.5
    reader = measure(subject(learner, zeroed(memoriser, learner.head_names), episodes, "anil", lr=1e-3)).slots
    assert reader.survives == (1, 0, 40)


def test_how_training_placed_the_slots_is_read_from_the_run(tmp_path):
    learner, params = zero_head()
    for labels in ("fixed", "shuffled"):
        place = tmp_path / labels
        place.mkdir()
        RunDirectory(place).begin(Recipe(episode=EpisodeShape(labels=labels)), {})
        assert measure(subject(learner, params, [image_episode()], run=open_run(place))).labels == labels
    assert measure(subject(learner, params, [image_episode()])).labels == "unknown"


def test_the_result_says_what_was_looked_at_and_goes_to_plain_values_and_back():
    learner, params = conv_learner(n_way=5, filters=8)
    result = measure(subject(learner, params, [unequal_episode(), image_episode(n_way=5)], steps=2))
    assert (result.adapts, result.loss, result.inner_lr, result.inner_steps) == ("all", "cross_entropy", 0.4, 2)
    assert (result.ways, result.shots, result.features) == (5, 3, 8)
    assert result.chance == pytest.approx((1 / 4 + 1 / 5) / 2)
    assert from_values(Memorization, json.loads(json.dumps(to_values(result), allow_nan=False))) == result


def test_one_episode_has_numbers_without_intervals():
    result = measure(subject(*conv_learner(), [image_episode()]))
    assert result.head.observations == 1
    assert json.dumps(to_values(result), allow_nan=False)


def test_a_row_that_did_not_change_and_features_of_zero_have_no_cosine():
    labels, support = torch.tensor([0, 1]), torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    change = torch.tensor([[2.0, 0.0], [0.0, 0.0]], dtype=torch.float64)
    assert row_change(change, support, labels)[0::2] == pytest.approx((1, 1, 1, 1))
    nothing = row_change(0 * change, support, labels)
    assert all(value != value for value in nothing[:-1])
    assert isinstance(nothing, RowChange)


def test_rank_is_that_of_the_precision_the_features_were_made_in():
    rng = generator(0, "rank")
    parts = (torch.randn(*shape, generator=rng, dtype=torch.float64) for shape in ((6, 3), (3, 10)))
    support, labels = torch.mm(*parts), torch.tensor([0, 0, 1, 1, 2, 2])
    change = torch.eye(3, 6, dtype=torch.float64) @ support
    for dtype in (torch.float32, torch.float64):
        found = row_change(change, support.to(dtype), labels)
        assert found.rank == 3
        assert found.in_span == pytest.approx(1, abs=100 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("inner", [{"steps": 0}, {"lr": 0.0}])
def test_an_inner_loop_that_moves_nothing_is_refused(inner):
    with pytest.raises(ConfigError, match=r"expected an inner loop that moves the head, got \d steps at rate"):
        measure(subject(*conv_learner(), [image_episode()], **inner))


def test_a_head_that_is_not_linear_is_refused():
    learner = Learner(
        sequential(
            flatten=nn.Flatten, body=lambda: nn.Linear(6, 4), head=lambda: nn.Sequential(nn.Linear(4, 3))
        ).double()
    )
    with pytest.raises(ConfigError, match="expected a linear head, got Sequential"):
        measure(subject(learner, learner.initial_params(), [vector_episode()]))


def test_predictions_that_are_not_finite_are_refused():
    with pytest.raises(DivergedError, match=r"inner loop of 3 steps at rate 1e\+200; try a smaller rate"):
        measure(subject(*conv_learner(), [image_episode()], lr=1e200, steps=3, loss="mse"))


def test_the_adapted_heads_accuracy_is_that_of_the_slots_as_drawn():
    result = measure(subject(*conv_learner(), [image_episode(seed=seed) for seed in range(3)]))
    assert result.head == result.slots.after
    assert replace(result, head=result.slots.after) == result
