"""Which inner learning rate each parameter has at each inner step, and the rates that are meta-learned themselves.

    none          `lr`, or what `lr_of` says of the name
    one           one learned rate for all
    layer         one a parameter tensor
    layer_step    one a parameter tensor and inner step; steps beyond those of training use the last
    weight        one a weight

Learned rates stand among the meta-parameters under `inner_lr/...`, of any sign, and move by the same outer optimizer.
Source: li2017 (weight: Meta-SGD), antoniou2019 (layer_step: LSLR). Differs from both: the rates begin at one value, and
nothing keeps them positive.
"""

from collections.abc import Collection
from fnmatch import fnmatchcase

import torch
from torch import Tensor

from innerloop.errors import ConfigError
from innerloop.inner.loop import InnerLoop
from innerloop.shapes import Params

PREFIX = "inner_lr"


def initial_rates(inner: InnerLoop, params: Params, names: Collection[str]) -> Params:
    """Return the learned rates as they begin, by name; nothing where none are learned.

    Args:
        inner: Says which are learned, and their first values.
        params: The parameters, for shapes and types.
        names: Those that adapt.

    Raises:
        ConfigError: A pattern of `lr_of` fits no parameter that adapts.
    """
    left = set(names)
    for pattern in inner.lr_of:
        fitting = {name for name in names if fnmatchcase(name, pattern)}
        if not fitting:
            raise ConfigError(
                f"expected the patterns of inner.lr_of to fit parameters that adapt, got '{pattern}' for "
                f"{', '.join(sorted(names)) or 'none'}; correct it"
            )
        if not fitting & left:
            raise ConfigError(
                f"expected every pattern of inner.lr_of to count for some parameter, got '{pattern}' after patterns "
                "that fit all of its own; put the narrower one first"
            )
        left -= fitting
    if inner.learned_rates == "none" or not names:
        return {}
    if inner.learned_rates == "one":
        if inner.lr_of:
            raise ConfigError("expected no inner.lr_of beside one learned rate, got some; learn one a layer")
        return {PREFIX: torch.as_tensor(inner.lr, dtype=next(iter(params.values())).dtype)}
    return {f"{PREFIX}/{name}": _first(inner, name, value) for name, value in params.items() if name in names}


def rate(inner: InnerLoop, params: Params, name: str, step: int) -> Tensor | float:
    """Return a parameter's rate at an inner step: a number, a scalar tensor, or a tensor of the parameter's shape."""
    if inner.learned_rates == "none":
        return _given(inner, name, step)
    if inner.learned_rates == "one":
        return params[PREFIX]
    learned = params[f"{PREFIX}/{name}"]
    return learned[min(step, len(learned) - 1)] if inner.learned_rates == "layer_step" else learned


def _first(inner: InnerLoop, name: str, value: Tensor) -> Tensor:
    if inner.learned_rates == "layer_step":
        return value.new_tensor([_given(inner, name, step) for step in range(max(inner.steps, 1))])
    first = _given(inner, name, 0)
    return value.new_tensor(first) if inner.learned_rates == "layer" else torch.full_like(value, first)


def _given(inner: InnerLoop, name: str, step: int) -> float:
    for pattern, own in inner.lr_of.items():
        if fnmatchcase(name, pattern):
            return own[min(step, len(own) - 1)] if isinstance(own, tuple) else own
    return inner.lr
