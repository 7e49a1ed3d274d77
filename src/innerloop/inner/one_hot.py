"""Class slots as rows that are 1 at the slot and 0 elsewhere, in a form that engines can map and trace."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor


def one_hot(slots: Tensor, rows: int, dtype: torch.dtype) -> Tensor:
    """Return [... row]. Differs from torch's own in that nobody looks at the slots, which inside vmap nobody can.

    Raises:
        IndexError: A slot outside 0 to rows - 1, on a CPU; on a GPU torch stops the program.
    """
    return F.embedding(slots, torch.eye(rows, dtype=dtype, device=slots.device))
