"""Which targets a head has no row for: torch's index error, said so that it can be mended."""

from torch import Tensor

from innerloop.errors import ConfigError


def refuse_targets(outputs: Tensor, targets: Tensor) -> None:
    """Say which class slot the head has no row for; return if there is none such.

    It reads the targets, which on a GPU means waiting for them: call it where a loss has failed, then raise again.

    Args:
        outputs: [example way].
        targets: Class slots [example]; real targets pass.

    Raises:
        ConfigError: A slot is not below the number of ways.
    """
    if targets.is_floating_point() or outputs.dim() < 2 or not targets.numel():
        return
    rows, largest, least = outputs.shape[-1], int(targets.max()), int(targets.min())
    if largest >= rows:
        raise ConfigError(
            f"expected targets below the head's {rows} rows, got {largest}; build the head with {largest + 1} or more"
        )
    if least < 0:
        raise ConfigError(f"expected targets that are class slots from 0 up, got {least}; number the classes from 0")
