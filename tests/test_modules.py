import copy
from functools import partial

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

import innerloop as il
from brought import Overwriting, OwnAttention, Packed, Recurrent, Tied, Transformer, Writing, brought, token_episode
from innerloop.errors import ConfigError
from innerloop.seeds import generator
from worlds import algorithm_of, image_episode, sequential, vector_episode

EPISODE = vector_episode()


def network():
    return sequential(body=lambda: nn.Linear(6, 5), bend=nn.Tanh, head=lambda: nn.Linear(5, 3)).double()


def convolutions():
    return sequential(
        body=lambda: nn.Conv2d(1, 4, 3),
        norm=lambda: nn.BatchNorm2d(4),
        bend=nn.ReLU,
        mean=lambda: nn.AdaptiveAvgPool2d(2),
        flat=nn.Flatten,
        head=lambda: nn.Linear(16, 3),
    ).double()


def loss_of(learner, examples):
    return F.cross_entropy(learner(examples.inputs), examples.targets)


def adapted(maml, episode, steps):
    learner = maml.clone()
    for _ in range(steps):
        learner.adapt(loss_of(learner, episode.support))
    return learner


WORLDS = {
    "a network": (network, EPISODE),
    "BatchNorm": (convolutions, image_episode()),
    "a transformer": (partial(brought, Transformer), token_episode()),
    "attention of one's own": (partial(brought, OwnAttention), token_episode()),
    "an LSTM": (partial(brought, Recurrent), token_episode()),
    "tied parameters": (partial(brought, Tied), token_episode()),
}


@pytest.mark.parametrize("steps", [0, 1, 3])
@pytest.mark.parametrize("first_order", [False, True])
@pytest.mark.parametrize("world", sorted(WORLDS))
def test_backward_through_a_clone_is_the_functional_cores_meta_gradient(world, first_order, steps):
    make, episode = WORLDS[world]
    model = make()
    before = copy.deepcopy(model.state_dict())
    maml = il.MAML(model, lr=0.3, first_order=first_order)
    error = loss_of(adapted(maml, episode, steps), episode.query)
    error.backward()
    learner = il.Learner(model)
    algorithm = algorithm_of("maml", learner, order="first" if first_order else "second", lr=0.3, steps=steps)
    truth = algorithm.meta_gradient(learner.initial_params(), episode)
    torch.testing.assert_close(error.detach(), truth.loss)
    for name, value in model.named_parameters():
        torch.testing.assert_close(value.grad, truth.gradient[name], rtol=1e-9, atol=1e-12)
    # Neither parameters nor running statistics of the model have moved.
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("steps", [1, 2])
def test_meta_sgds_gradient_is_the_slope_of_the_adapted_loss_for_weights_and_rates(steps):
    maml = il.MetaSGD(network(), lr=0.3)
    rng = generator(0, "rates")
    with torch.no_grad():
        for rates in maml.lrs:
            rates.add_(0.2 * torch.randn(rates.shape, generator=rng, dtype=torch.float64))
    loss_of(adapted(maml, EPISODE, steps), EPISODE.query).backward()
    assert len(list(maml.parameters())) == 8
    for value in maml.parameters():
        way = torch.randn(value.shape, generator=rng, dtype=torch.float64)
        sides = []
        for sign in (1, -1):
            with torch.no_grad():
                value.add_(way, alpha=sign * 1e-5)
            sides.append(loss_of(adapted(maml, EPISODE, steps), EPISODE.query).item())
            with torch.no_grad():
                value.sub_(way, alpha=sign * 1e-5)
        slope = (sides[0] - sides[1]) / 2e-5
        assert (value.grad * way).sum().item() == pytest.approx(slope, rel=1e-5, abs=1e-9)


def test_in_first_order_meta_sgds_rates_of_one_step_have_their_exact_gradient():
    grads = []
    for first_order in (False, True):
        model = network()
        model.load_state_dict(
            {n: torch.linspace(-1, 1, v.numel()).view(v.shape) for n, v in model.state_dict().items()}
        )
        maml = il.MetaSGD(model, lr=0.3, first_order=first_order)
        loss_of(adapted(maml, EPISODE, 1), EPISODE.query).backward()
        grads.append(([rates.grad for rates in maml.lrs], [value.grad for value in model.parameters()]))
    for exact, first in zip(grads[0][0], grads[1][0], strict=True):
        torch.testing.assert_close(exact, first)
    assert any(not torch.allclose(*pair) for pair in zip(grads[0][1], grads[1][1], strict=True))


def test_meta_sgd_whose_rates_are_all_alike_is_maml():
    model = network()
    left, right = il.MAML(model, 0.3), il.MetaSGD(model, 0.3)
    losses = [loss_of(adapted(each, EPISODE, 2), EPISODE.query) for each in (left, right)]
    torch.testing.assert_close(*losses)


def test_a_clone_of_a_clone_goes_its_own_way_and_its_gradient_reaches_the_original():
    maml = il.MAML(network(), lr=0.3)
    trunk = adapted(maml, EPISODE, 1)
    branch = trunk.clone()
    branch.adapt(loss_of(branch, EPISODE.query))
    assert not torch.equal(branch.module.body.weight, trunk.module.body.weight)
    twice = adapted(maml, EPISODE, 1)
    twice.adapt(loss_of(twice, EPISODE.query))
    found = [
        torch.autograd.grad(loss_of(each, EPISODE.query), list(maml.parameters()), retain_graph=True)
        for each in (branch, twice)
    ]
    for ours, truth in zip(*found, strict=True):
        torch.testing.assert_close(ours, truth)


def test_a_step_can_be_first_order_by_itself():
    maml = il.MAML(network(), lr=0.3)
    first, second = il.MAML(maml.module, lr=0.3, first_order=True).clone(), maml.clone(first_order=True)
    third = maml.clone()
    third.adapt(loss_of(third, EPISODE.support), first_order=True)
    for learner in (first, second):
        learner.adapt(loss_of(learner, EPISODE.support))
    found = [
        torch.autograd.grad(loss_of(each, EPISODE.query), list(maml.parameters())) for each in (first, second, third)
    ]
    for truth, *others in zip(*found, strict=True):
        assert all(torch.equal(truth, other) for other in others)


def test_any_torch_optimizer_takes_its_parameters_and_training_lowers_the_loss():
    maml = il.MetaSGD(network(), lr=0.1)
    optimizer = torch.optim.RMSprop(maml.parameters(), lr=0.01)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        error = loss_of(adapted(maml, EPISODE, 1), EPISODE.query)
        error.backward()
        optimizer.step()
        losses.append(error.item())
    assert losses[-1] < 0.5 * losses[0]
    other = il.MetaSGD(network(), lr=0.1)
    other.load_state_dict(maml.state_dict())
    torch.testing.assert_close(
        loss_of(adapted(other, EPISODE, 1), EPISODE.query), loss_of(adapted(maml, EPISODE, 1), EPISODE.query)
    )


def test_what_a_clone_writes_into_buffers_stays_with_it():
    maml = il.MAML(convolutions(), lr=0.3)
    one, two = maml.clone(), maml.clone()
    images = image_episode().support.inputs
    one(images)
    assert one.module.norm.num_batches_tracked == 1
    assert two.module.norm.num_batches_tracked == maml.module.norm.num_batches_tracked == 0
    assert one.clone().module.norm.num_batches_tracked == 1
    assert torch.equal(two.module.norm.running_mean, maml.module.norm.running_mean)
    maml(images)
    assert maml.module.norm.num_batches_tracked == 1
    one.eval()
    assert maml.module.norm.training
    assert not one.clone().training


def test_a_clone_follows_layers_in_plain_lists_and_layers_of_two_names():
    class Listed(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head = nn.Linear(6, 6), nn.Linear(6, 3)
            self.again, self.path = self.body, [self.body, self.body]

        def forward(self, inputs):
            for layer in (*self.path, self.again):
                inputs = torch.tanh(layer(inputs))
            return self.head(inputs)

    model = brought(Listed)
    loss_of(adapted(il.MAML(model, lr=0.3), EPISODE, 2), EPISODE.query).backward()
    learner = il.Learner(model)
    truth = algorithm_of("maml", learner, lr=0.3, steps=2).meta_gradient(learner.initial_params(), EPISODE).gradient
    for name, value in model.named_parameters():
        torch.testing.assert_close(value.grad, truth[name], rtol=1e-9, atol=1e-12)


def test_layers_that_work_in_place_by_choice_work_elsewhere_in_a_clone():
    def losses(inplace):
        elu = partial(nn.ELU, inplace=inplace)
        model = sequential(
            body=lambda: nn.Linear(6, 4), bend=nn.Sigmoid, then=elu, head=lambda: nn.Linear(4, 3)
        ).double()
        model.load_state_dict(
            {n: torch.linspace(-1, 1, v.numel()).view(v.shape) for n, v in model.state_dict().items()}
        )
        loss = loss_of(adapted(il.MAML(model, lr=0.3), EPISODE, 2), EPISODE.query)
        assert model.then.inplace == inplace
        return loss, *torch.autograd.grad(loss, list(model.parameters()))

    for ours, truth in zip(losses(True), losses(False), strict=True):
        torch.testing.assert_close(ours, truth)


def test_packed_sequences_and_second_order_go_together_here():
    episode = token_episode()
    maml = il.MAML(brought(Packed), lr=0.3)
    loss_of(adapted(maml, episode, 2), episode.query).backward()
    rng = generator(0, "direction")
    for value in maml.parameters():
        way = torch.randn(value.shape, generator=rng, dtype=torch.float64)
        sides = []
        for sign in (1, -1):
            with torch.no_grad():
                value.add_(way, alpha=sign * 1e-5)
            sides.append(loss_of(adapted(maml, episode, 2), episode.query).item())
            with torch.no_grad():
                value.sub_(way, alpha=sign * 1e-5)
        assert (value.grad * way).sum().item() == pytest.approx((sides[0] - sides[1]) / 2e-5, rel=1e-5, abs=1e-9)


def test_frozen_and_unused_parameters_stand_still_where_that_is_allowed_and_are_named_where_not():
    model = brought(Writing)
    with pytest.raises(ConfigError, match=r"depends on every parameter .* without 'unused\.weight'.*allow_unused=True"):
        adapted(il.MAML(model, lr=0.3), EPISODE, 1)
    learner = adapted(il.MAML(model, lr=0.3, allow_unused=True), EPISODE, 1)
    assert torch.equal(learner.module.unused.weight, model.unused.weight)
    assert not torch.equal(learner.module.body.weight, model.body.weight)
    model.body.weight.requires_grad_(False)
    with pytest.raises(ConfigError, match=r"parameters that move, got 'body\.weight' frozen; pass allow_nograd=True"):
        adapted(il.MAML(model, lr=0.3, allow_unused=True), EPISODE, 1)
    learner = adapted(il.MetaSGD(model, lr=0.3, allow_nograd=True), EPISODE, 2)
    assert learner.module.body.weight is model.body.weight
    assert not torch.equal(learner.module.body.bias, model.body.bias)


def test_what_cannot_be_adapted_is_refused_in_one_line():
    maml = il.MAML(network(), lr=0.3)
    learner = maml.clone()
    with pytest.raises(ConfigError, match=r"adapt\(\) on a clone, got the learner itself; write learner = maml\.clone"):
        maml.adapt(loss_of(maml, EPISODE.support))
    with pytest.raises(ConfigError, match=r"a scalar loss, got shape \(6, 3\); take its mean"):
        learner.adapt(learner(EPISODE.support.inputs))
    with pytest.raises(ConfigError, match="depends on the clone's parameters, got a constant"):
        learner.adapt(torch.zeros(()))
    with pytest.raises(ConfigError, match=r"every parameter of this clone, got one without 'body\.weight'"):
        learner.adapt(loss_of(maml.clone(), EPISODE.support))
    with pytest.raises(ConfigError, match="one on what Sigmoid returned"):
        adapted(il.MAML(brought(Overwriting, what="activations"), lr=0.3), EPISODE, 1)
    for kind in (il.MAML, il.MetaSGD):
        with pytest.raises(ConfigError, match="a finite inner learning rate, got nan"):
            kind(network(), lr=float("nan"))


@pytest.mark.parametrize("kind", [il.MAML, il.MetaSGD])
def test_parameters_that_no_gradient_can_move_are_refused(kind):
    module = sequential(head=lambda: nn.Linear(2, 2))
    module.turn = nn.Parameter(torch.zeros(2, dtype=torch.complex64))
    with pytest.raises(ConfigError, match="expected real-valued parameters, got 'turn' of type complex64"):
        kind(module, lr=0.1)
