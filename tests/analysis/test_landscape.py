import json
import math

import pytest
import torch

from innerloop import driver
from innerloop.analysis import Subject, probes
from innerloop.analysis.landscape import Landscape, LandscapeSettings, measure
from innerloop.analysis.planes import path_plane, spanned
from innerloop.analysis.sensitivity import sensitivity
from innerloop.analysis.values import from_values, to_values
from innerloop.data import DataConfig, load
from innerloop.data.episode import EpisodeShape
from innerloop.errors import ConfigError, DataError, DivergedError
from innerloop.models import ModelConfig
from innerloop.params import zeroed
from innerloop.runs import InnerConfig, Recipe, RecordConfig, open_run
from innerloop.training import TrainingConfig
from worlds import algorithm_of, conv_learner, image_episode, normed_learner, probes_of, vector_episode

EPISODES = [vector_episode(seed=seed) for seed in range(3)]
SMALL = LandscapeSettings(points=5, steps=4, eigenvalues=2, probes=2)


def subject_of(algorithm, params, episodes=EPISODES):
    return Subject(algorithm, algorithm, params, probes_of(episodes))


@pytest.fixture(scope="module")
def seen():
    """A random head that adapts twice, and what is seen of it."""
    learner, params = normed_learner()
    algorithm = algorithm_of("maml", learner, lr=0.3, steps=2)
    return algorithm, params, measure(subject_of(algorithm, params), SMALL)


def slice_of(result, name):
    return next(each for each in result.slices if each.name == name)


def losses(algorithm, here, episode):
    return [algorithm.support_loss(here, episode.support)[0].item(), algorithm.query_loss(here, episode)[0].item()]


def close(value, rel=1e-4):
    return pytest.approx(value, rel=rel)  # results keep five digits


def test_the_loss_in_the_middle_of_a_random_plane_is_the_loss_there(seen):
    algorithm, params, result = seen
    adapted = algorithm.adapt(params, EPISODES[0].support).adapted
    for name, here in (("start", params), ("adapted", adapted)):
        found = slice_of(result, name)
        assert found.across == found.up == (-1.0, -0.5, 0.0, 0.5, 1.0)
        assert [each.of for each in found.surfaces] == ["support loss", "query loss"]
        assert [each.losses[2][2] for each in found.surfaces] == close(losses(algorithm, here, EPISODES[0]))
        assert [each.at_marks for each in found.surfaces] == [
            (close(value),) for value in losses(algorithm, here, EPISODES[0])
        ]


def test_the_inner_path_lies_on_its_plane_with_the_losses_of_its_own_points(seen):
    algorithm, params, result = seen
    path = algorithm.with_inner(steps=4).adapt(params, EPISODES[0].support).params
    found, true = slice_of(result, "inner path"), path_plane(path, list(params))
    assert [each.name for each in found.marks] == ["0", "1", "2", "3", "4"]
    for mark, here in zip(found.marks, path, strict=True):
        assert mark.at == pytest.approx(true.plane.coordinates(here), rel=1e-4, abs=1e-9)
    assert found.explained == pytest.approx(true.explained)
    for number, surface in enumerate(found.surfaces):
        assert list(surface.at_marks) == close([losses(algorithm, here, EPISODES[0])[number] for here in path])
    assert found.across[0] < min(each.at[0] for each in found.marks)
    assert found.up[-1] > max(each.at[1] for each in found.marks)
    assert (result.inner_steps, result.path_steps) == (2, 4)


def test_the_plane_of_two_tasks_holds_the_start_and_both_adaptations(seen):
    algorithm, params, result = seen
    one, other = (algorithm.adapt(params, each.support).adapted for each in EPISODES[:2])
    found, plane = slice_of(result, "tasks"), spanned(params, one, other, list(params))
    for mark, here in zip(found.marks, (params, one, other), strict=True):
        assert mark.at == pytest.approx(plane.coordinates(here), rel=1e-4, abs=1e-9)
    for surface, episode in zip(found.surfaces, EPISODES, strict=False):
        at = [losses(algorithm, here, episode)[1] for here in (params, one, other)]
        assert list(surface.at_marks) == close(at)
        x, y = found.across[1], found.up[3]
        assert surface.losses[3][1] == close(losses(algorithm, plane.at(x, y), episode)[1])


def test_the_line_from_start_to_adapted_has_the_means_of_both_ends_losses(seen):
    algorithm, params, result = seen
    line = next(each for each in result.lines if each.name == "between")
    assert line.places == (-0.5, 0.0, 0.5, 1.0, 1.5)
    for place, step in ((1, 0), (3, -1)):
        each = [
            losses(algorithm, algorithm.adapt(params, episode.support).params[step], episode) for episode in EPISODES
        ]
        assert line.support[place].mean == close(sum(support for support, _ in each) / 3)
        assert line.query[place].mean == close(sum(query for _, query in each) / 3)
        assert line.query[place].observations == 3


def test_bends_are_of_both_losses_before_and_after_for_every_episode(seen):
    algorithm, params, result = seen
    assert [(each.episode, each.place, each.of) for each in result.bends] == [
        (episode, place, of) for episode in range(3) for place in ("start", "adapted") for of in ("support", "query")
    ]
    assert all(len(each.spectrum.eigenvalues) == each.spectrum.asked == 2 for each in result.bends)
    top = result.values("adapted", "query")[0].eigenvalues[0]
    adapted = algorithm.adapt(params, EPISODES[0].support).adapted
    direction = curvature_direction(algorithm, adapted)
    assert direction <= top + 1e-8


def curvature_direction(algorithm, here):
    """The query loss's curvature along its own slope, by central differences of slopes: no more than the largest."""

    def slope(params):
        return torch.func.grad(lambda own: algorithm.query_loss(own, EPISODES[0])[0])(params)

    way = slope(here)
    size = math.sqrt(sum(float((value**2).sum()) for value in way.values()))
    step = 1e-6 / size
    plus, minus = (slope({name: here[name] + sign * step * way[name] for name in here}) for sign in (1, -1))
    return sum(float(((plus[name] - minus[name]) * way[name]).sum()) for name in here) / (2 * step * size**2)


def test_layers_are_the_networks_own_in_its_order_with_the_norms_of_their_slopes(seen):
    algorithm, params, result = seen
    assert [each.name for each in result.layers] == list(params)
    assert {each.name for each in result.layers if each.part == "head"} == set(algorithm.learner.head_names)
    name = "head.weight"
    norms, changes = [], []
    for number, episode in enumerate(EPISODES):
        slope = torch.func.grad(lambda own, episode=episode: algorithm.query_loss(own, episode)[0])(params)
        norms.append(slope[name].norm().item())
        steps = sensitivity(lambda own, episode=episode: algorithm.query_loss(own, episode)[0], params, draw=number)
        changes.append(steps[name].change)
    found = next(each for each in result.layers if each.name == name)
    assert found.gradient_start.mean == pytest.approx(sum(norms) / 3)
    # Every episode has random steps of its own.
    assert found.change_start.mean == pytest.approx(sum(changes) / 3)


def test_a_zeroed_head_moves_alone_in_the_first_step_and_has_no_relative_unit():
    learner, params = normed_learner()
    zero = zeroed(params, learner.head_names)
    result = measure(subject_of(algorithm_of("fomaml", learner, lr=0.3), zero), SMALL)
    head = next(each for each in result.layers if each.name == "head.weight")
    assert head.change_start is None
    assert head.gradient_start.mean > 0
    assert head.change_adapted.mean > 0
    body = next(each for each in result.layers if each.part == "body")
    assert body.gradient_start.mean == 0
    assert {each.name for each in result.slices} == {"start", "adapted", "inner path", "tasks"}
    # Where every logit is 0 the loss is log N whatever the encoder is.
    flat = slice_of(result, "start").surfaces[1].losses
    assert [value for row in flat for value in row] == close([math.log(3)] * 25)


def test_tasks_with_one_support_set_are_parallel_and_their_plane_is_left_out():
    learner, params = normed_learner()
    algorithm = algorithm_of("maml", learner, lr=0.3)
    result = measure(subject_of(algorithm, params, [EPISODES[0], EPISODES[0]]), SMALL)
    assert "tasks" not in {each.name for each in result.slices}
    assert any(
        line.startswith("tasks: expected adaptations in two directions, got parallel") for line in result.left_out
    )


def test_what_has_no_path_no_second_task_and_no_run_is_left_out_with_its_reason():
    learner, params = normed_learner()
    result = measure(subject_of(algorithm_of("maml", learner, steps=0), params, EPISODES[:1]), SMALL)
    assert [each.name for each in result.slices] == ["start"]
    assert [each.name for each in result.lines] == ["start"]
    assert {each.place for each in result.bends} == {"start"}
    reasons = dict(line.split(": ", 1) for line in result.left_out)
    assert set(reasons) == {"adapted", "inner path", "outer path", "tasks"}
    assert reasons["adapted"].startswith("expected an adaptation that moves, got one that leaves all parameters")
    assert reasons["outer path"].startswith("expected a run with snapshots, got a learner without a run")
    assert reasons["tasks"].startswith("expected two episodes to lay a plane through, got one")


def test_heads_made_of_the_support_set_start_apart_and_share_no_plane():
    learner, params = normed_learner()
    algorithm = algorithm_of("maml", learner, axes={"head": "prototypes"}, lr=0.01)
    result = measure(subject_of(algorithm, {**params, **algorithm.initial_params()}), SMALL)
    assert any("tasks: expected tasks whose inner loops start at one point" in line for line in result.left_out)
    first = slice_of(result, "start").surfaces[0].at_marks[0]
    start = algorithm.adapt(algorithm.initial_params(), EPISODES[0].support).params[0]
    assert first == close(losses(algorithm, start, EPISODES[0])[0])


def test_a_learner_of_zeros_has_no_random_direction_and_says_so():
    learner, params = normed_learner()
    nothing = zeroed(params, set(params))
    result = measure(subject_of(algorithm_of("maml", learner, lr=0.3), nothing), SMALL)
    assert any(line.startswith("start: expected filters to scale a random direction by") for line in result.left_out)
    assert "start" not in {each.name for each in result.lines}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Runs that kept many snapshots, and two."""
    made = {}
    for name, every in (("many", 1), ("few", 4)):
        recipe = Recipe(
            data=DataConfig("gaussians"),
            episode=EpisodeShape(3, 2, 4),
            model=ModelConfig("mlp"),
            inner=InnerConfig(lr=0.1),
            training=TrainingConfig(steps=4, tasks=2),
            record=RecordConfig(validation=0, snapshots=every),
        )
        made[name] = tmp_path_factory.mktemp("runs") / name
        for _ in driver.begin(recipe, str(made[name]), "test"):
            pass
    return made


def of_run(folder):
    run = open_run(folder)
    split, shape = load(run.recipe.data).split("test"), run.recipe.episode
    algorithm, state = run.learned(split, "last")
    return Subject(algorithm, algorithm, state.params, lambda: probes(split, shape, 0, range(2)), run, state)


def test_the_outer_path_leads_through_all_snapshots_over_the_loss_after_adapting(folders):
    subject = of_run(folders["many"])
    result = measure(subject, SMALL)
    found = slice_of(result, "outer path")
    assert result.outer_steps == (0, 1, 2, 3, 4)
    assert [each.name for each in found.marks] == ["0", "1", "2", "3", "4"]
    assert [each.of for each in found.surfaces] == ["query loss after adapting"]
    episode = next(iter(subject.probes())).episode
    for step, value in enumerate(found.surfaces[0].at_marks):
        adapted = subject.tested.adapted(subject.run.snapshot(step), episode.support)
        assert value == close(subject.tested.query_loss(adapted, episode)[0].item(), rel=1e-3)  # float32


def test_too_few_snapshots_leave_the_outer_path_out(folders):
    result = measure(of_run(folders["few"]), SMALL)
    assert result.outer_steps == ()
    assert any(
        line.startswith("outer path: expected a run with at least 3 snapshots, got 2") for line in result.left_out
    )


def test_results_survive_json(seen):
    result = seen[2]
    assert from_values(Landscape, json.loads(json.dumps(to_values(result), allow_nan=False))) == result


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"points": 4}, "expected an odd landscape.points, so that the middle is one, got 4; take 5"),
        ({"points": 1}, "expected landscape.points of at least 3, got 1"),
        ({"reach": 0.0}, "expected a landscape.reach above 0, got 0"),
        ({"reach": math.inf}, "expected a landscape.reach above 0, got inf"),
        ({"steps": 1}, "expected landscape.steps of at least 2, got 1"),
        ({"eigenvalues": 0}, "expected landscape.eigenvalues of at least 1, got 0"),
        ({"probes": 1}, "expected landscape.probes of at least 2, got 1"),
    ],
)
def test_settings_that_show_nothing_are_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        LandscapeSettings(**settings)


def test_no_episode_and_adaptation_that_diverges_are_refused():
    learner, params = conv_learner()
    algorithm = algorithm_of("maml", learner)
    with pytest.raises(DataError, match="expected at least one episode to look at"):
        measure(subject_of(algorithm, params, []), SMALL)
    broken = subject_of(algorithm_of("maml", learner, lr=1e308, steps=2), params, [image_episode()])
    with pytest.raises(DivergedError, match=r"expected finite parameters after adaptation, .*episode 0"):
        measure(broken, SMALL)
