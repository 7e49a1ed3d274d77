import pytest
import torch
from torch import nn

from innerloop.models import Learner, ModelConfig, build
from innerloop.models.blocks import Block, blocks, heard
from worlds import conv_learner, image_episode, normed_learner, sequential, vector_episode

VECTORS = vector_episode().query.inputs


def names(module):
    return [each.name for each in blocks(module)]


@pytest.mark.parametrize(
    ("model", "size", "expected"),
    [
        ("conv4", 16, ["block1", "block2", "block3", "block4"]),
        ("strided_conv4", 28, ["block1", "block2", "block3", "block4"]),
        ("resnet12", 16, ["block1", "block2", "block3", "block4"]),
        ("mlp", 16, ["layer1", "layer2"]),
    ],
)
def test_every_network_has_the_blocks_that_a_reader_knows(model, size, expected):
    learner = build(ModelConfig(model, filters=2, hidden=3), (1, size, size), 3, 0)
    assert list(learner.block_names()) == expected
    inputs = image_episode(size=size, dtype=torch.float32).query.inputs
    said = learner.activations(learner.initial_params(), inputs)
    assert list(said) == expected
    last = said[expected[-1]].flatten(1)
    torch.testing.assert_close(last, learner.features(learner.initial_params(), inputs), rtol=0, atol=0)


def test_layers_without_parameters_belong_to_the_block_before_them_in_a_sequential():
    module = sequential(
        flatten=nn.Flatten, one=lambda: nn.Linear(6, 5), bend=nn.ReLU, two=lambda: nn.Linear(5, 4), last=nn.Tanh
    )
    assert blocks(module) == (Block("one", "one", "bend"), Block("two", "two", "last"))
    with heard(module, blocks(module)) as said:
        output = module(VECTORS.float())
    assert (said["one"] >= 0).all()
    assert torch.equal(said["two"], output)
    assert not any(layer._forward_hooks for layer in module.modules())


def test_one_child_alone_is_looked_into_unless_it_holds_parameters_itself():
    deep = nn.Sequential(sequential(one=lambda: nn.Linear(2, 2), two=lambda: nn.Linear(2, 2)))
    assert names(deep) == ["one", "two"]
    attention = sequential(attend=lambda: nn.MultiheadAttention(4, 1))
    assert names(attention) == ["attend"]
    assert names(nn.Flatten()) == []


class Listed(nn.Module):
    """Blocks in a list that nobody calls, run from the last to the first; one twice, one not at all."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(6, 6) for _ in range(3)])
        self.other = nn.GRU(6, 6, batch_first=True)

    def forward(self, inputs):
        for number in (1, 0, 1):
            inputs = self.layers[number](inputs)
        return self.other(inputs[:, None])[0][:, 0]


def test_blocks_are_heard_in_the_order_in_which_they_last_run_and_lists_are_looked_through():
    with torch.random.fork_rng(devices=[]):
        module = Listed()
    assert names(module) == ["layers.0", "layers.1", "layers.2", "other"]
    with heard(module, blocks(module)) as said:
        output = module(VECTORS.float())
    assert list(said) == ["layers.0", "layers.1", "other"]
    assert torch.equal(said["other"][:, 0], output)


def test_numbered_layers_are_named_by_their_kind():
    with torch.random.fork_rng(devices=[]):
        module = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.LayerNorm(2))
    assert names(module) == ["Linear 0", "LayerNorm 2"]


def test_the_head_is_no_block_wherever_it_stands():
    inner = sequential(one=lambda: nn.Linear(6, 5), two=lambda: nn.Linear(5, 4), fc=lambda: nn.Linear(4, 3))
    learner = Learner(nn.Sequential(inner), head="0.fc")
    assert learner.block_names() == {
        "one": frozenset({"0.one.weight", "0.one.bias"}),
        "two": frozenset({"0.two.weight", "0.two.bias"}),
    }
    assert set(learner.activations(learner.initial_params(), VECTORS.float())) == {"one", "two"}


def test_frozen_blocks_speak_but_have_nothing_to_train_and_tied_ones_have_it_once():
    module = sequential(
        one=lambda: nn.Linear(6, 6), two=lambda: nn.Linear(6, 6), three=lambda: nn.Linear(6, 6), head=nn.Flatten
    )
    module.two.weight = module.one.weight
    module.three.requires_grad_(False)
    learner = Learner(nn.Sequential(module), head="0.head")
    assert learner.block_names() == {
        "one": frozenset({"0.one.weight", "0.one.bias"}),
        "two": frozenset({"0.two.bias"}),
        "three": frozenset(),
    }
    assert list(learner.activations(learner.initial_params(), VECTORS.float())) == ["one", "two", "three"]


def test_activations_are_of_the_inputs_alone_where_the_support_lends_its_statistics():
    episode = image_episode()
    learner, params = conv_learner(normalization="support")
    said = learner.activations(params, episode.query.inputs, reference=episode.support.inputs)
    assert {len(each) for each in said.values()} == {len(episode.query.inputs)}
    features = learner.features(params, episode.query.inputs, reference=episode.support.inputs)
    assert torch.equal(said["block4"].flatten(1), features)


def test_activations_are_the_plain_modules():
    learner, params = normed_learner()
    said = learner.activations(params, VECTORS)
    body = VECTORS @ params["body.weight"].T + params["body.bias"]
    torch.testing.assert_close(said["body"], body)
    assert torch.equal(said["norm"], learner.features(params, VECTORS))


class Overwriting(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Linear(6, 6)
        self.two = nn.Linear(6, 6)

    def forward(self, inputs):
        hidden = self.one(inputs)
        kept = hidden.clone()
        hidden.zero_()
        return self.two(kept)


def test_what_is_overwritten_later_is_heard_as_it_was():
    with torch.random.fork_rng(devices=[]):
        module = Overwriting()
    with heard(module, blocks(module)) as said, torch.no_grad():
        module(VECTORS.float())
    assert said["one"].abs().sum() > 0
