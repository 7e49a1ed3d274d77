"""No head at all: a query is of the class whose support examples it attends to.

    attention[q, s] = softmax over s of cosine(query_q, support_s)
    logits[q, k]    = log of the sum of attention[q, s] over the support examples of class k

Source: vinyals2016, section 2.1 (Matching Networks). Differs from the paper: without full-context embeddings (its
section 2.1.2: LSTMs that let features depend on the whole support set); one encoder for both sides.
"""

import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from innerloop.inner.one_hot import one_hot

# The least attention a class can have, so that the logarithm of none is finite.
LEAST = 1e-12


def attended(support: Tensor, targets: Tensor, query: Tensor, rows: int) -> Tensor:
    """Return the logits [query row].

    Args:
        support: Support features [support feature].
        targets: Their class slots.
        query: Query features [query feature].
        rows: How many classes there can be; one without examples has the least logit.
    """
    cosines = F.normalize(query, dim=1) @ F.normalize(support, dim=1).T
    masses = cosines.softmax(1) @ one_hot(targets, rows, query.dtype)
    return masses.clamp(min=LEAST).log()
