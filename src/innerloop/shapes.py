"""The axis alphabet, and the tensor aliases every room speaks.

Axes: `task way shot support query example feature param step` and `channel height width`.
Annotations are checked at run time under pytest only.
"""

from jaxtyping import Float, Int, Shaped
from torch import Tensor

Params = dict[str, Tensor]
"""Everything that is meta-learned, by name; one flat dict, so that optimizers and checkpoints need nothing else."""

Inputs = Shaped[Tensor, "example *dims"]
Features = Float[Tensor, "example feature"]
Logits = Float[Tensor, "example way"]
Labels = Int[Tensor, " example"]
Targets = Shaped[Tensor, "example *dims"]
Scalar = Float[Tensor, ""]
