"""Which part of the meta-gradient is contrastive signal, and which is interference?

The closed form itself stands lower, in `innerloop.inner.contrast`: learners that train by it need it too.
"""

from innerloop.inner.contrast import (
    ContrastSplit,
    LossName,
    Order,
    Reduction,
    head_loop,
    residuals,
    scale_of,
    split,
)

__all__ = ["ContrastSplit", "LossName", "Order", "Reduction", "head_loop", "residuals", "scale_of", "split"]
