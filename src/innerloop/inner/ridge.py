"""A head made of the support set by ridge regression, in closed form and differentiable.

    weight, bias = argmin  |features weight' + bias - targets|^2  +  penalty (|weight|^2 + |bias|^2)
    head         = scale * weight,   scale * bias + shift        (real targets: weight, bias)

Class slots count as one-hot rows, and scale and shift make logits of what is regressed on; real targets stay as they
are. With fewer examples than features the system solved is the one of examples (Woodbury), else that of features. The
logarithm of the penalty, scale and shift are meta-learned under `ridge/...`; where they are not, their first values
hold.

Source: bertinetto2019, section 3.2 and equations 5 to 7 (R2D2). Differs from the paper: they begin at a penalty of 1, a
scale of 10 and a shift of 0, and targets are not scaled down by the number of examples.
"""

import torch
from torch import Tensor

from innerloop.data.episode import Examples
from innerloop.inner.loss import as_real
from innerloop.models import Learner
from innerloop.shapes import Params

LOG_PENALTY, SCALE, SHIFT = "ridge/log_penalty", "ridge/scale", "ridge/shift"
FIRST = {LOG_PENALTY: 0.0, SCALE: 10.0, SHIFT: 0.0}


def initial_ridge(params: Params) -> Params:
    """Return what is meta-learned of the regression, as it begins, in the parameters' type."""
    like = next(iter(params.values()))
    return {name: like.new_tensor(value) for name, value in FIRST.items()}


def ridge_head(learner: Learner, params: Params, support: Examples, rows: int) -> tuple[Tensor, Tensor]:
    """Return the weight [row feature] and bias [row] of a support set."""
    features = learner.features(params, support.inputs)
    targets = as_real(support.targets, features.new_zeros(1, rows))
    log_penalty, scale, shift = (params.get(name, features.new_tensor(value)) for name, value in FIRST.items())
    solved = regression(torch.cat([features, torch.ones_like(features[:, :1])], 1), targets, log_penalty.exp())
    if support.targets.is_floating_point():
        return solved[:-1].T, solved[-1]
    return scale * solved[:-1].T, scale * solved[-1] + shift


def regression(inputs: Tensor, targets: Tensor, penalty: Tensor) -> Tensor:
    """Return the coefficients [input output] that minimise |inputs x - targets|^2 + penalty |x|^2.

    Args:
        inputs: [example input]. What is not finite stays so, for training to tell.
        targets: [example output].
        penalty: Above 0.
    """
    examples, width = inputs.shape
    if examples < width:
        return inputs.T @ _solved(inputs @ inputs.T, targets, penalty)
    return _solved(inputs.T @ inputs, inputs.T @ targets, penalty)


def _solved(products: Tensor, right: Tensor, penalty: Tensor) -> Tensor:
    eye = torch.eye(len(products), dtype=products.dtype, device=products.device)
    # solve_ex, as solve itself refuses what is not finite in words of its own.
    solved: Tensor = torch.linalg.solve_ex(products + penalty * eye, right).result
    return solved
