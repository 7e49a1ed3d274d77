"""A head made of the support set by logistic regression on the features as they are; for tests, no gradient goes back.

scikit-learn's, with its usual L2 penalty (C = 1). Source: tian2020 (a good embedding is all you need), which also
brings features to length 1; here they are as the head would get them.
"""

import torch
from torch import Tensor

from innerloop.errors import DataError, DivergedError

ITERATIONS = 10_000


def logistic_head(features: Tensor, targets: Tensor, rows: int) -> tuple[Tensor, Tensor]:
    """Return the weight [row feature] and bias [row] of support features; rows without a class are 0.

    Args:
        features: [support feature].
        targets: Their class slots.
        rows: Of the head.

    Raises:
        DataError: There is one class alone, which no regression can tell from others.
        DivergedError: The features are not finite.
    """
    from sklearn.linear_model import LogisticRegression  # slow to import, and only tests need it

    if not bool(torch.isfinite(features).all()):
        raise DivergedError("expected finite features for logistic regression, got NaN or infinity; try a smaller rate")
    if int(targets.min()) == int(targets.max()):
        raise DataError("expected two classes or more for logistic regression, got one; ask for more ways")
    fitted = LogisticRegression(max_iter=ITERATIONS).fit(
        features.detach().double().cpu().numpy(), targets.cpu().numpy()
    )
    found, shifts = (torch.from_numpy(each).to(features) for each in (fitted.coef_, fitted.intercept_))
    if len(found) == 1:  # of two classes it gives one row, the second's less the first's
        found, shifts = (torch.cat([torch.zeros_like(each), each]) for each in (found, shifts))
    slots = torch.from_numpy(fitted.classes_).to(targets.device)
    weight, bias = features.new_zeros(rows, features.shape[1]), features.new_zeros(rows)
    return weight.index_copy(0, slots, found), bias.index_copy(0, slots, shifts)
