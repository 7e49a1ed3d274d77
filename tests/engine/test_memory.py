import pytest
import torch
from torch.func import grad

from innerloop.algorithms import ALGORITHMS
from innerloop.data.episode import Examples
from innerloop.engine import memory
from innerloop.engine.memory import SHARE, Living, fits, graph_bytes, retained_bytes
from worlds import algorithm_of, conv_learner, image_episode

PRESETS = [
    name
    for name, preset in ALGORITHMS.items()
    if (preset.axes.order, preset.axes.objective) == ("second", "query_loss")
]


def world(name="maml", steps=8, axes=None, **episode):
    learner, _ = conv_learner()
    algorithm = algorithm_of(name, learner, axes=axes, lr=0.1, steps=steps)
    params = {key: value.double() for key, value in algorithm.initial_params().items()}
    return algorithm, params, image_episode(**episode)


def test_what_lives_are_the_storages_that_plain_autograd_saves():
    inputs = torch.ones(100, dtype=torch.float64).requires_grad_()
    saved = {}

    def packed(value):
        saved[value.untyped_storage()._cdata] = value.untyped_storage().nbytes()
        return value

    with torch.autograd.graph.saved_tensors_hooks(packed, lambda value: value), Living() as living:
        total = (inputs.exp().sin().view(10, 10) @ inputs.view(10, 10)).relu().sum()
    saved.pop(inputs.untyped_storage()._cdata)  # was there before
    assert living.bytes == sum(saved.values()) + total.nbytes


def test_views_of_what_was_there_before_are_nothing_new_and_what_is_dropped_is_gone():
    inputs = torch.ones(100)
    with Living() as living:
        kept = [inputs.view(10, 10), inputs[:5], inputs.detach()]
        assert living.bytes == 0
        kept.append(inputs * 2)
        kept.append(kept[-1].view(50, 2))
        assert living.bytes == 400
        del kept[3:]
        assert living.bytes == 0


def test_it_sees_inside_transforms_of_torch_func():
    inputs = torch.ones(100, dtype=torch.float64)
    with Living() as without:
        plain = grad(lambda at: at.sin().sum())(inputs)
    leaf = inputs.clone().requires_grad_()
    with Living() as within:
        differentiable = grad(lambda at: at.sin().sum())(leaf)
    assert without.bytes == plain.nbytes
    assert within.bytes > differentiable.nbytes  # what its second derivative needs


@pytest.mark.parametrize("name", [name for name in PRESETS if ALGORITHMS[name].steps])
@pytest.mark.parametrize("axes", [{}, {"rule": "momentum"}, {"rule": "adam"}, {"outer_loss": "every_step"}])
def test_eight_steps_keep_what_one_and_two_foretell(name, axes):
    algorithm, params, episode = world(name, axes=axes)
    assert graph_bytes(algorithm, params, episode) == pytest.approx(
        retained_bytes(algorithm, params, episode), rel=0.05
    )


def test_the_graph_grows_with_steps_and_with_examples():
    sizes = [graph_bytes(*world(steps=steps)) for steps in (0, 1, 2, 3, 20)]
    assert sizes == sorted(set(sizes))
    assert graph_bytes(*world(k_shot=4)) > 1.5 * graph_bytes(*world(k_shot=2))


def test_a_head_that_adapts_alone_keeps_less():
    assert graph_bytes(*world("anil")) < 0.7 * graph_bytes(*world("maml"))


def test_it_fits_as_long_as_all_tasks_at_once_leave_some_of_the_free_memory(monkeypatch):
    algorithm, params, episode = world()
    size = graph_bytes(algorithm, params, episode)
    asked = []
    for free, expected in ((3 * size / SHARE + 1, True), (3 * size / SHARE - 1, False), (None, True)):
        monkeypatch.setattr(memory, "free_bytes", lambda device, free=free: asked.append(device) or free)
        assert fits(algorithm, params, episode, tasks_at_once=3) is expected
    assert asked == [torch.device("cpu")] * 3


@pytest.mark.parametrize("steps", [0, 1])
def test_up_to_one_step_nothing_is_measured(steps):
    algorithm, params, _ = world(steps=steps)
    nothing = Examples(torch.empty(0), torch.empty(0))
    assert fits(algorithm, params, image_episode()._replace(support=nothing, query=nothing))
