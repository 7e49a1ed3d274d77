"""What happens to the head between outer steps: the policy that decides how much interference there is.

    zeroing    the zeroing trick: zero at the start and after every outer step; no interference at all
    first      put back to its first value: no cross-task interference, that of the initialisation stays
    others     the outer optimizer's update stands

Source: kao2022, section 4 (zeroing trick). The optimizer's moments are kept, as in its code.
"""

from innerloop.algorithms import Algorithm
from innerloop.params import zeroed
from innerloop.shapes import Params


def reset_head(algorithm: Algorithm, params: Params, first_head: Params, done: int) -> Params:
    """Return the parameters with the head as the algorithm wants it before the next outer step.

    Args:
        algorithm: Its axes say which policy, and after how many outer steps each time.
        params: As the outer optimizer left them.
        first_head: The head's first value.
        done: Outer steps done.
    """
    if done % algorithm.axes.head_every:
        return params
    if algorithm.axes.head == "zeroing":
        return zeroed(params, algorithm.learner.head_names)
    if algorithm.axes.head == "first":
        return {**params, **first_head}
    return params
