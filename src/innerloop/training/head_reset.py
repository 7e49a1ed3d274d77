"""What happens to the head after every outer step: the policy that decides how much interference there is.

    none    the outer optimizer's update stands
    zero    the zeroing trick: zero at the start and after every outer step; no interference at all
    first   put back to its first value: no cross-task interference, that of the initialisation stays

Source: kao2022, section 4 (zeroing trick). The optimizer's moments are kept, as in its code.
"""

from typing import Literal

from innerloop.models import Learner
from innerloop.params import zeroed
from innerloop.shapes import Params

HeadReset = Literal["none", "zero", "first"]


def reset_head(policy: HeadReset, learner: Learner, params: Params, first_head: Params) -> Params:
    """Return the parameters with the head as the policy wants it before the next outer step."""
    if policy == "zero":
        return zeroed(params, learner.head_names)
    if policy == "first":
        return {**params, **first_head}
    return params
