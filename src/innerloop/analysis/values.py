"""Results to plain values and back, so that what was measured can be kept, read again and drawn without the run.

A result is a frozen dataclass of numbers, text, tuples, intervals and other such dataclasses.
"""

import math
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, TypeVar

import numpy as np

from innerloop.errors import RunError
from innerloop.plain import made, number, quoted, whole
from innerloop.statistics import Interval, mean_interval

Result = TypeVar("Result")


def to_values(result: Any) -> dict[str, Any]:
    """Return nested plain values: what `json.dumps(..., allow_nan=False)` takes."""
    values: dict[str, Any] = _plain(asdict(result))
    return values


def from_values(kind: type[Result], values: dict[str, Any]) -> Result:
    """Read back what `to_values` gave.

    Raises:
        RunError: The values are those of another kind of result.
    """
    try:
        return made(kind, values, {Interval: _interval})
    except ValueError as error:
        raise RunError(f"expected a kept {kind.__name__}, got: {error}; explain the run again") from error


def over(values: Iterable[float]) -> Interval | None:
    """Return the interval over episodes where a measure is defined (not NaN); None where it nowhere is."""
    defined = [value for value in values if not math.isnan(value)]
    return mean_interval(defined) if defined else None


def _plain(value: Any) -> Any:
    if isinstance(value, Interval):
        width = None if math.isinf(value.half_width) else value.half_width
        return {"mean": value.mean, "half_width": width, "observations": value.observations}
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value.item() if isinstance(value, np.generic) else value


def _interval(values: Any) -> Interval:
    if not isinstance(values, dict) or set(values) != {"mean", "half_width", "observations"}:
        raise TypeError(f"expected mean, half_width and observations, got {quoted(values)}")
    width = float("inf") if values["half_width"] is None else number(values["half_width"])
    observations = whole(values["observations"])
    if width < 0 or observations < 1:
        raise ValueError(f"expected an interval over one observation or more, got {quoted(values)}")
    return Interval(number(values["mean"]), width, observations)
