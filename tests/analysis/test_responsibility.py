from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch.func import functional_call

from analysis.test_contrast import feature_worlds, stable
from innerloop.analysis import Subject
from innerloop.analysis.responsibility import ResponsibilitySettings, measure, of_episode, shares
from innerloop.analysis.values import from_values, to_values
from innerloop.data.pictures import from_text
from innerloop.errors import ConfigError, DataError, DivergedError
from innerloop.params import zeroed
from worlds import algorithm_of, conv_learner, image_episode, probes_of, smooth_learner, vector_episode


def head_loop(world, lr, steps, loss, weights):
    """Adapt a linear head by autograd, each example's loss with its weight; the adapted query logits."""
    w = world.weight.clone().requires_grad_()
    b = None if world.bias is None else world.bias.clone().requires_grad_()
    for _ in range(steps):
        logits = torch.nn.functional.linear(world.support, w, b)
        if loss == "cross_entropy":
            each = torch.nn.functional.cross_entropy(logits, world.support_labels, reduction="none")
        else:
            hot = torch.nn.functional.one_hot(world.support_labels, len(w)).double()
            each = ((logits - hot) ** 2).mean(1)
        leaves = [w] if b is None else [w, b]
        gradients = torch.autograd.grad((weights * each).mean(), leaves)
        w = (w - lr * gradients[0]).detach().requires_grad_()
        b = None if b is None else (b - lr * gradients[1]).detach().requires_grad_()
    return torch.nn.functional.linear(world.query, w, b).detach()


@settings(max_examples=60)
@given(
    world=feature_worlds(max_way=6, max_shot=4),
    lr=st.floats(-2, 2),
    steps=st.integers(0, 4),
    loss=st.sampled_from(["cross_entropy", "mse"]),
    dropped=st.integers(0, 3),
)
def test_shares_and_the_head_before_sum_to_the_adapted_logits_also_without_an_example(world, lr, steps, loss, dropped):
    rate = stable(world, lr, loss, "mean")
    weights = torch.ones(len(world.support), dtype=torch.float64)
    weights[dropped % len(weights)] = 0
    for given_weights in (None, weights):
        made = shares(
            world.support,
            world.support_labels,
            world.query,
            world.weight,
            world.bias,
            inner_lr=rate,
            inner_steps=steps,
            loss=loss,
            weights=given_weights,
        )
        truth = head_loop(world, rate, steps, loss, torch.ones_like(weights) if given_weights is None else weights)
        assert torch.allclose(made.nobody + made.shares.sum(1), truth, rtol=1e-10, atol=1e-10)
    assert not made.shares[:, dropped % len(weights)].any()


CASES = [("anil", 3, False), ("maml", 1, True), ("maml", 1, False), ("maml", 3, False)]


@pytest.mark.parametrize(("name", "steps", "zero"), CASES)
def test_blame_is_what_adapting_again_shows_and_influence_its_derivative(name, steps, zero):
    learner, params = conv_learner()
    params = zeroed(params, learner.head_names) if zero else params
    algorithm, episode = algorithm_of(name, learner, lr=0.3, steps=steps), image_episode()
    found = of_episode(algorithm, params, episode)

    def plain(weights):
        here = params
        for _ in range(steps):
            leaves = {each: value.clone().requires_grad_() for each, value in here.items()}
            logits = functional_call(learner._whole, leaves, (episode.support.inputs,))
            losses = torch.nn.functional.cross_entropy(logits, episode.support.targets, reduction="none")
            moving = [each for each in leaves if name == "maml" or each in learner.head_names]
            gradients = torch.autograd.grad((weights * losses).mean(), [leaves[each] for each in moving])
            here = {**here, **{each: here[each] - 0.3 * g for each, g in zip(moving, gradients, strict=True)}}
        return functional_call(learner._whole, here, (episode.query.inputs,)).detach()

    ones, tiny = torch.ones(6, dtype=torch.float64), 1e-5
    assert torch.allclose(found.logits, plain(ones), atol=1e-10)
    for each in range(6):
        direction = torch.eye(6, dtype=torch.float64)[each]
        assert torch.allclose(found.without[each], plain(ones - direction), atol=1e-10)
        slope = (plain(ones + tiny * direction) - plain(ones - tiny * direction)) / (2 * tiny)
        assert torch.allclose(found.influence[each], slope, atol=1e-7)


def test_a_zeroed_head_at_one_step_makes_shares_influence_and_removal_one_thing_and_nobody_has_a_part():
    learner, params = conv_learner()
    algorithm = algorithm_of("maml", learner, lr=0.3)
    found = of_episode(algorithm, zeroed(params, learner.head_names), image_episode())
    part = found.frozen.shares.transpose(0, 1)
    assert torch.allclose(part, found.influence, atol=1e-12)
    assert torch.allclose(part, found.logits - found.without, atol=1e-12)
    assert not found.frozen.nobody.any()


def subject_of(algorithm, params, episodes):
    return Subject(algorithm, algorithm, params, probes_of(episodes))


def test_the_summary_counts_mistakes_and_corrections_as_a_slow_recount_does():
    learner, params = conv_learner()
    algorithm = algorithm_of("anil", learner, lr=0.3, steps=2)
    episodes = [image_episode(n_way=3, k_shot=3, n_queries=8, seed=seed) for seed in range(6)]
    result = measure(subject_of(algorithm, params, episodes), ResponsibilitySettings())
    mistakes, blamed, random, right, correlations = 0, [], [], [], []
    for episode in episodes:
        found = of_episode(algorithm, params, episode)
        own, drawn = [], []
        for query, true in enumerate(episode.query.targets.tolist()):
            said = int(found.logits[query].argmax())
            right.append(said == true)
            if said == true:
                continue
            mistakes += 1
            margin = found.frozen.shares[query, :, said] - found.frozen.shares[query, :, true]
            most = int(margin.argmax())
            corrected = [int(found.without[each, query].argmax()) == true for each in range(9)]
            own.append(corrected[most])
            slot = episode.support.targets[most]
            drawn.append(sum(corrected[each] for each in range(9) if episode.support.targets[each] == slot) / 3)
        if own:
            blamed.append(sum(own) / len(own))
            random.append(sum(drawn) / len(drawn))
        taken = (found.logits - found.without).transpose(0, 1)
        correlations.append(stats.spearmanr(found.frozen.shares.flatten(), taken.flatten()).statistic)
    assert mistakes > 10
    assert result.mistakes == result.removal.mistakes == mistakes
    assert result.accuracy.mean == pytest.approx(sum(right) / len(right))
    assert result.removal.blamed.mean == pytest.approx(sum(blamed) / len(blamed))
    assert result.removal.random.mean == pytest.approx(sum(random) / len(random))
    assert result.removal.difference.mean == pytest.approx(result.removal.blamed.mean - result.removal.random.mean)
    assert result.share_correlation.mean == pytest.approx(sum(correlations) / len(correlations))
    assert result.is_exact
    assert result.agreement.mean == 1


def test_a_shown_mistake_adds_up_and_carries_its_pictures():
    learner, params = conv_learner()
    algorithm = algorithm_of("anil", learner, lr=0.3, steps=2)
    episode = image_episode(n_way=3, k_shot=2, n_queries=9)
    episode = episode._replace(query=episode.query._replace(inputs=episode.query.inputs.clamp(0, 1)))
    result = measure(subject_of(algorithm, params, [episode]), ResponsibilitySettings(shown=1))
    (mistake,) = result.shown
    assert mistake.margin == pytest.approx(mistake.nobody + sum(each.share for each in mistake.support))
    assert [each.share for each in mistake.support] == sorted((each.share for each in mistake.support), reverse=True)
    assert mistake.rest == 0
    logits = of_episode(algorithm, params, episode).logits
    gaps = logits.max(1).values - logits.gather(1, episode.query.targets[:, None])[:, 0]
    assert mistake.margin == pytest.approx(gaps.max().item())
    assert mistake.true == f"class {int(episode.query.targets[mistake.query])}"
    image = episode.query.inputs[mistake.query].numpy()
    assert abs(from_text(mistake.picture) - image).max() <= 0.5 / 255 + 1e-6
    assert from_values(type(result), to_values(result)) == result


def test_one_shot_has_no_random_twin_to_remove_and_what_is_no_picture_has_none():
    learner, params = conv_learner()
    algorithm = algorithm_of("fomaml", learner, lr=0.3)
    result = measure(subject_of(algorithm, params, [image_episode(k_shot=1)]), ResponsibilitySettings())
    assert result.removal is None
    assert result.shown[0].picture
    smooth, values = smooth_learner()
    tables = [vector_episode(k_shot=2, seed=seed) for seed in range(4)]
    flat = measure(subject_of(algorithm_of("anil", smooth, lr=0.01), values, tables), ResponsibilitySettings())
    assert flat.shown
    assert not any(each.picture for each in (*flat.shown, *flat.shown[0].support))


def test_where_the_encoder_moves_only_the_first_episodes_adapt_again():
    learner, params = conv_learner()
    algorithm = algorithm_of("maml", learner, lr=0.3, steps=2)
    episodes = [image_episode(seed=seed) for seed in range(3)]
    few = measure(subject_of(algorithm, params, episodes), ResponsibilitySettings(readapted=1))
    assert few.influence_correlation.observations == 1
    assert few.accuracy.observations == 3
    assert not few.is_exact
    none = measure(subject_of(algorithm, params, episodes), ResponsibilitySettings(readapted=0))
    assert none.influence_correlation is None
    assert none.removal is None
    margin = few.shown[0].nobody + few.shown[0].rest + sum(each.share for each in few.shown[0].support)
    assert few.shown[0].margin == pytest.approx(margin)


def test_a_perfect_learner_has_nobody_to_blame():
    learner, params = conv_learner()
    algorithm = algorithm_of("anil", learner, lr=0.3)
    episode = image_episode()
    easy = episode._replace(query=episode.support)
    easy = replace_targets(algorithm, params, easy)
    result = measure(subject_of(algorithm, params, [easy]), ResponsibilitySettings())
    assert (result.mistakes, result.shown, result.blamed_is_predicted, result.removal) == (0, (), None, None)


def replace_targets(algorithm, params, episode):
    """Call right whatever the learner says."""
    said = of_episode(algorithm, params, episode).logits.argmax(1)
    return episode._replace(query=episode.query._replace(targets=said))


def test_a_row_of_the_head_beyond_the_classes_can_be_said_and_has_no_name():
    learner, params = conv_learner(n_way=5)
    params["head.bias"] = torch.tensor([0.0, 0, 0, 0, 50], dtype=torch.float64)
    result = measure(
        subject_of(algorithm_of("anil", learner, lr=0.01), params, [image_episode(n_way=3)]), ResponsibilitySettings()
    )
    assert result.accuracy.mean == 0
    assert {each.predicted for each in result.shown} == {"no class (slot 4)"}


def test_where_the_encoder_moves_blame_is_told_of_readapted_episodes_alone():
    learner, params = conv_learner()
    algorithm = algorithm_of("maml", learner, lr=0.3, steps=2)
    episodes = [image_episode(seed=seed, n_queries=8) for seed in range(4)]
    few, alone = (
        measure(subject_of(algorithm, params, some), ResponsibilitySettings(readapted=2))
        for some in (episodes, episodes[:2])
    )
    assert few.mistakes > alone.mistakes
    assert (few.blamed_is_predicted, few.removal, few.shown) == (alone.blamed_is_predicted, alone.removal, alone.shown)


def test_predictions_that_are_not_finite_are_refused_with_their_episode():
    learner, params = conv_learner()
    params["head.bias"] = torch.full((3,), torch.inf, dtype=torch.float64)
    with pytest.raises((DivergedError, DataError), match="got NaN or infinity"):
        measure(subject_of(algorithm_of("anil", learner), params, [image_episode()]), ResponsibilitySettings())


@pytest.mark.parametrize("inner", [{"steps": 0}, {"lr": 0.0}])
def test_without_an_inner_loop_nobody_can_be_to_blame(inner):
    learner, params = conv_learner()
    with pytest.raises(ConfigError, match="in which the support takes part, got"):
        measure(subject_of(algorithm_of("anil", learner, **inner), params, [image_episode()]), ResponsibilitySettings())


@pytest.mark.parametrize("change", [{"shown": -1}, {"readapted": -1}])
def test_negative_settings_are_refused(change):
    with pytest.raises(ConfigError, match="of at least 0, got -1"):
        replace(ResponsibilitySettings(), **change)
