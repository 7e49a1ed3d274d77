"""How the outer learning rate changes over training, as a factor on it: 1, or falling from 1 to 0.

`cosine` falls along half a cosine (antoniou2019, section 4), `linear` along a line (nichol2018, section 6).
"""

import math
from typing import Literal

Schedule = Literal["constant", "cosine", "linear"]


def factor(schedule: Schedule, step: int, steps: int) -> float:
    """Return the factor of the outer step after `step` of `steps`; it would reach 0 at the end."""
    if schedule == "constant":
        return 1.0
    done = step / max(steps, 1)
    return 1 - done if schedule == "linear" else (1 + math.cos(math.pi * done)) / 2
