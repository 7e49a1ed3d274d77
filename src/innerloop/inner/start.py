"""What the inner loop starts from: the parameters as they are, or a head made of the support set.

    prototypes    weight[k] = 2 centre[k],  bias[k] = -centre[k] . centre[k]

With prototypes the logits before any inner step order classes by Euclidean distance to their centres, as a ProtoNet
does; without inner steps it *is* a ProtoNet. Gradients flow through the centres, at first order too.
Source: triantafillou2020, section 3 (Proto-MAML); snell2017, section 2.4.
"""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from innerloop.data.episode import Examples, require_classes
from innerloop.errors import ConfigError
from innerloop.inner.loop import InnerLoop
from innerloop.models import Learner
from innerloop.shapes import Params

# How far below all others the logit of a slot lies that has no example.
BEYOND = 1e4


def started(learner: Learner, inner: InnerLoop, params: Params, support: Examples) -> Params:
    """Return the parameters before the first inner step on this support set."""
    if inner.start == "params":
        return params
    return {**params, **_prototypes(learner, params, support)}


def centres(features: Tensor, targets: Tensor, n_way: int) -> tuple[Tensor, Tensor]:
    """Return each slot's mean feature [way feature], 0 where it has no example, and its number of examples [way]."""
    hot = F.one_hot(targets, n_way).to(features.dtype)
    counts = hot.sum(0)
    return hot.T @ features / counts.clamp(min=1)[:, None], counts


def _prototypes(learner: Learner, params: Params, support: Examples) -> Params:
    weight, bias = learner.linear_head(params)
    if bias is None:
        raise ConfigError("expected a head with a bias to start as prototypes, got none; set model.head_bias to true")
    require_classes(support, "to make prototypes of")
    middle, counts = centres(learner.features(params, support.inputs), support.targets, len(weight))
    own = -(middle**2).sum(1)
    own = torch.where(counts > 0, own, own.min().detach() - BEYOND)
    return {f"{learner.head}.weight": 2 * middle, f"{learner.head}.bias": own}
