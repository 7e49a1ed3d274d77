"""A classifier over all training classes: its gradient, and its tests with heads that the support set makes."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from innerloop.data.episode import Episode, Examples, with_slots
from innerloop.errors import DataError
from innerloop.params import zeroed
from worlds import algorithm_of, conv_learner, image_episode

NUMBERED = with_slots(image_episode(), torch.tensor([17, 3, 11]))


def test_its_gradient_is_that_of_plain_cross_entropy_on_all_examples():
    learner, params = conv_learner(n_way=20)
    found = algorithm_of("pretrained", learner, steps=0).meta_gradient(params, NUMBERED)
    leaves = {name: value.clone().requires_grad_() for name, value in params.items()}
    (support, first), (query, second) = NUMBERED
    logits = torch.func.functional_call(learner._whole, leaves, (torch.cat([support, query]),))
    targets = torch.cat([first, second])
    loss = F.cross_entropy(logits, targets)
    loss.backward()
    torch.testing.assert_close(found.loss, loss.detach())
    assert found.accuracy == (logits.argmax(1) == targets).double().mean()
    for name, value in found.gradient.items():
        torch.testing.assert_close(value, leaves[name].grad)


def test_support_and_query_say_the_same_whichever_is_which():
    learner, params = conv_learner(n_way=20)
    algorithm = algorithm_of("pretrained", learner, steps=0)
    turned = Episode(NUMBERED.query, NUMBERED.support)
    left, right = (algorithm.meta_gradient(params, each).gradient for each in (NUMBERED, turned))
    for name in params:
        torch.testing.assert_close(left[name], right[name], rtol=1e-9, atol=1e-13)


def test_a_task_is_tested_by_the_nearest_centre_with_rows_of_its_own():
    learner, params = conv_learner(n_way=20)
    algorithm = algorithm_of("pretrained", learner, steps=0)
    adapted = algorithm.adapt(params, image_episode().support).adapted
    assert len(adapted["head.weight"]) == 3
    support, query = (learner.features(params, side.inputs) for side in image_episode())
    centres = torch.stack([support[image_episode().support.targets == slot].mean(0) for slot in range(3)])
    _, logits = algorithm.query_loss(adapted, image_episode())
    assert torch.equal(logits.argmax(1), torch.cdist(query, centres).argmin(1))


@pytest.mark.parametrize("steps", [0, 4])
def test_a_zeroed_head_of_the_tests_own_classes_can_be_fitted_instead(steps):
    learner, params = conv_learner(n_way=20)
    algorithm = algorithm_of("pretrained", learner, steps=0).with_inner(start="zero", steps=steps, lr=0.3)
    few, own = conv_learner()
    anil = algorithm_of("anil", few, steps=steps, lr=0.3)
    expected = anil.adapt(
        zeroed({**own, **learner.encoder_params(params)}, few.head_names), image_episode().support
    ).adapted
    support = image_episode().support
    for found in (algorithm.adapt(params, support).adapted, algorithm.adapted(params, support)):
        torch.testing.assert_close(found["head.weight"], expected["head.weight"])


def test_real_targets_are_refused():
    learner, params = conv_learner()
    real = Episode(*(Examples(side.inputs, side.targets.double()[:, None]) for side in image_episode()))
    with pytest.raises(DataError, match="expected classes to classify, got real targets"):
        algorithm_of("pretrained", learner, steps=0).meta_gradient(params, real)
