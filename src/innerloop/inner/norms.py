"""A BatchNorm scale and shift of its own at every inner step, meta-learned.

Step 0 is the parameter itself; `step1/NAME` and so on stand beside it among the meta-parameters. They do not adapt.
Source: antoniou2019 (per-step batch normalisation weights and biases). Differs from the paper: statistics are those of
the batch, as in its code, which keeps running ones and does not use them.
"""

from innerloop.inner.loop import InnerLoop
from innerloop.models import Learner
from innerloop.shapes import Params


def initial_norms(learner: Learner, inner: InnerLoop, params: Params) -> Params:
    """Return the further steps' scales and shifts, equal to the first's; nothing where they are not per step."""
    if not inner.per_step_norms:
        return {}
    return {
        _key(step, name): params[name].clone()
        for step in range(1, inner.steps + 1)
        for name in params
        if name in learner.norm_names
    }


def with_norms_of(step: int, learner: Learner, inner: InnerLoop, params: Params, here: Params) -> Params:
    """Return `here` with the scales and shifts of an inner step; steps beyond those of training use the last."""
    if not inner.per_step_norms or step == 0:
        return here
    own = {}
    for name in learner.norm_names:
        known = step
        while known and _key(known, name) not in params:
            known -= 1
        own[name] = params[_key(known, name)] if known else params[name]
    return {**here, **own}


def _key(step: int, name: str) -> str:
    return f"step{step}/{name}"
