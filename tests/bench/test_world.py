import torch

from innerloop.bench import settings
from innerloop.bench.world import load, save
from innerloop.data.episode import EpisodeShape
from worlds import raced_world as world


def flat(one):
    episodes = [values for episode in one.episodes for side in episode for values in side]
    return [*one.values, *episodes]


def test_a_world_is_read_back_as_it_was_written(tmp_path):
    for made in (world(), world(EpisodeShape((2, 4), (1, 2), 2)), world(algorithm="zeroing")):
        save(made, tmp_path / "world")
        read = load(tmp_path / "world")
        assert read.told == made.told
        assert list(read.params) == list(made.params) == made.told.names
        assert len(flat(read)) == len(flat(made))
        assert all(torch.equal(one, other) for one, other in zip(flat(read), flat(made), strict=True))


def test_the_algorithm_of_a_world_is_its_recipes(tmp_path):
    made = world(EpisodeShape((2, 4), 1, 2), "zeroing")
    algorithm = settings.algorithm_of(made)
    assert (algorithm.axes.head, algorithm.inner.lr, made.told.lr) == ("zeroing", 0.4, 0.4)
    assert {name: value.shape for name, value in algorithm.initial_params().items()} == {
        name: value.shape for name, value in made.params.items()
    }


def test_the_settings_are_those_of_the_papers():
    sizes = {
        name: (
            made.values[0].shape,
            [len(side.targets) for side in made.episodes[0]],
            len(made.episodes),
            made.told.steps,
        )
        for name in settings.SETTINGS
        for made in [settings.world_of(name, "second")]
    }
    assert sizes == {"omni": ((64, 1, 3, 3), [5, 75], 32, 1), "mini": ((32, 3, 3, 3), [5, 75], 4, 5)}
    told = {order: settings.world_of("mini", order) for order in settings.ORDERS}
    assert [made.told.first_order for made in told.values()] == [False, True, False, True]
    heads = [bool(made.params["head.weight"].any()) for made in told.values()]
    assert heads == [True, True, False, False]


def test_a_world_in_double_precision_is_the_same_one():
    made = world()
    twice = made.double()
    assert {value.dtype for value in twice.values} == {torch.float64}
    assert all(torch.equal(one.to(other), other) for one, other in zip(flat(twice), flat(made), strict=True))
