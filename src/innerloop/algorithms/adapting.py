"""Which parameters move in the inner loop: all, the head, the body, or those whose names fit a pattern."""

from fnmatch import fnmatchcase

from innerloop.errors import ConfigError, did_you_mean
from innerloop.models import Learner


def adapting_names(adapts: str, learner: Learner) -> frozenset[str]:
    """Return the names of the parameters that move.

    Args:
        adapts: `all`, `head`, `body`, or names and patterns separated by commas (`encoder.block4.*,head.*`).
        learner: Whose parameters.

    Raises:
        ConfigError: A pattern fits no parameter.
    """
    if adapts == "all":
        return learner.names
    if adapts == "head":
        return learner.head_names
    if adapts == "body":
        return learner.names - learner.head_names
    found: set[str] = set()
    for pattern in (each.strip() for each in adapts.split(",")):
        fitting = {name for name in learner.names if fnmatchcase(name, pattern)}
        if not fitting:
            known = sorted(learner.names)
            raise ConfigError(
                f"expected algorithm.adapts as all, head, body or patterns of parameter names, got '{pattern}', which "
                f"fits none of {', '.join(known)}; correct it.{did_you_mean(pattern, ['all', 'head', 'body', *known])}"
            )
        found |= fitting
    return frozenset(found)
