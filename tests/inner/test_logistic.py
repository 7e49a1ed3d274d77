"""The logistic head against scikit-learn's own predictions, and its place at test."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from innerloop.errors import DataError, DivergedError
from innerloop.inner.logistic import logistic_head
from innerloop.seeds import generator


def points(classes, count=4, width=6):
    rng = generator(0, "logistic")
    centres = 2 * torch.randn(len(classes), width, generator=rng, dtype=torch.float64)
    targets = torch.tensor(classes).repeat_interleave(count)
    places = torch.arange(len(classes)).repeat_interleave(count)
    return centres[places] + torch.randn(len(targets), width, generator=rng, dtype=torch.float64), targets


@pytest.mark.parametrize("classes", [[0, 1], [0, 1, 2, 3], [3, 1], [0, 2, 4]])
def test_it_says_what_scikit_learn_says_with_its_probabilities(classes):
    features, targets = points(classes)
    fitted = LogisticRegression(max_iter=10_000).fit(features.numpy(), targets.numpy())
    weight, bias = logistic_head(features, targets, 5)
    probabilities = (features @ weight.T + bias)[:, sorted(classes)].softmax(1).numpy()
    np.testing.assert_allclose(probabilities, fitted.predict_proba(features.numpy()), rtol=1e-9)
    others = [slot for slot in range(5) if slot not in classes]
    assert not weight[others].any()


def test_one_class_and_features_that_are_not_finite_are_refused():
    features, targets = points([0, 1])
    with pytest.raises(DataError, match="expected two classes or more for logistic regression, got one"):
        logistic_head(features, torch.zeros_like(targets), 2)
    with pytest.raises(DivergedError, match="expected finite features"):
        logistic_head(features * float("nan"), targets, 2)
