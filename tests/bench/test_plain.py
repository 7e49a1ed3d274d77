import pytest
import torch
from torch.testing import assert_close

from innerloop.algorithms import ALGORITHMS
from innerloop.bench import settings
from innerloop.bench.plain import departure, mean_gradient
from innerloop.engine import Loop
from reference.plain_maml import meta_gradient
from worlds import algorithm_of, conv_learner
from worlds import raced_world as world


@pytest.mark.parametrize("name", ["maml", "fomaml", "zeroing"])
def test_the_plain_loop_finds_the_loop_engines_gradient(name):
    made = world(algorithm=name).double()
    algorithm = settings.algorithm_of(made)
    plain = mean_gradient(algorithm.learner.logits, made)
    ours = Loop(algorithm).gradient(made.params, made.batch)
    assert plain.gradient.keys() == ours.gradient.keys()
    assert_close(dict(plain.gradient), ours.gradient)
    assert_close(torch.tensor(plain.loss, dtype=torch.float64), ours.losses.mean())


def test_the_plain_loop_is_the_mean_over_single_tasks():
    made = world().double()
    learner = settings.algorithm_of(made).learner
    single = [
        meta_gradient(learner._whole, made.params, each, lr=0.4, steps=1, order="second") for each in made.episodes
    ]
    expected = {name: sum(gradient[name] for gradient, _ in single) / 3 for name in made.params}
    assert_close(dict(mean_gradient(learner.logits, made).gradient), expected)


def test_what_the_plain_loop_does_not_do_is_named():
    learner, _ = conv_learner()
    departs = {
        name: departure(algorithm_of(name, learner, lr=0.1, steps=preset.steps)) for name, preset in ALGORITHMS.items()
    }
    assert {name for name, why in departs.items() if why is None} == {"maml", "fomaml", "zeroing"}
    assert departs["anil"] == "adapts=head"
    assert departs["protonet"] == "head=prototypes"
    assert departs["reptile"] == "order=reptile"
    assert departure(algorithm_of("maml", learner, lr=0.1, steps=1, loss="mse")) == "loss=mse"
    assert departure(algorithm_of("maml", learner, lr=0.1, steps=1, axes={"rule": "adam"})) == "rule=adam"
    other, _ = conv_learner(normalization="support")
    assert departure(algorithm_of("maml", other, lr=0.1, steps=1)) == "normalization=support"
