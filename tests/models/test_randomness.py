import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from brought import Transformer, brought, token_episode
from innerloop.models import Learner, drawing_from, seeded
from innerloop.models import drawn as standing


def drawn():
    return F.dropout(torch.ones(50), 0.5)


def test_the_same_seed_draws_the_same_and_another_seed_draws_anew():
    masks = []
    for seed in (3, 3, 4):
        with seeded(seed):
            masks.append(drawn())
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])


def test_the_global_generator_is_left_as_it_was_found_also_after_an_error():
    before = torch.get_rng_state()
    with seeded(2**63 - 1):
        drawn()
    with pytest.raises(ZeroDivisionError), seeded(1):
        drawn().div_(1 / 0)
    assert torch.equal(before, torch.get_rng_state())


def test_seeds_nest():
    with seeded(1):
        drawn()
        alone = drawn()
    with seeded(1):
        drawn()
        with seeded(2):
            drawn()
        assert torch.equal(drawn(), alone)


def test_what_was_drawn_once_is_drawn_again_and_the_generators_are_left_as_they_were_found():
    with seeded(1):
        drawn()
        there = standing()
        once, after = drawn(), standing()
        with drawing_from(there):
            assert torch.equal(drawn(), once)
            drawn()
        assert all(map(torch.equal, standing(), after))
        with pytest.raises(ZeroDivisionError), drawing_from(there):
            drawn().div_(1 / 0)
        assert all(map(torch.equal, standing(), after))


def test_dropout_is_on_in_training_and_off_in_a_tested_learner():
    learner = Learner(brought(Transformer, dropout=0.5))
    params, tokens = learner.initial_params(), token_episode().query.inputs
    outputs = []
    for seed in (1, 1, 2):
        with seeded(seed):
            outputs.append(learner.logits(params, tokens))
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])
    tested = learner.tested()
    without = Learner(brought(Transformer, dropout=0.0)).logits(params, tokens)
    torch.testing.assert_close(tested.logits(params, tokens), without, rtol=1e-12, atol=1e-12)
    assert tested.names == learner.names


def test_a_layer_brought_in_eval_mode_keeps_its_dropout_off():
    module = brought(Transformer, dropout=0.5).eval()
    learner = Learner(module)
    params, tokens = learner.initial_params(), token_episode().query.inputs
    assert torch.equal(learner.logits(params, tokens), learner.logits(params, tokens))
