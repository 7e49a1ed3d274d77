import json
from dataclasses import dataclass

import pytest

from innerloop.analysis.values import from_values, over, to_values
from innerloop.errors import RunError
from innerloop.statistics import Interval


@dataclass(frozen=True)
class Inner:
    name: str
    rows: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Result:
    count: int
    share: Interval | None
    missing: Interval | None
    parts: tuple[Inner, ...]


RESULT = Result(3, Interval(0.25, float("inf"), 1), None, (Inner("é", ((1.0, 2.5), (3.0, 4.0))), Inner("b", ())))


def test_a_result_goes_to_strict_json_and_back():
    text = json.dumps(to_values(RESULT), allow_nan=False)
    assert from_values(Result, json.loads(text)) == RESULT


@pytest.mark.parametrize("change", [{"count": "three"}, {"extra": 1}, {"share": {"mean": 1}}, {"parts": [{"name": 1}]}])
def test_values_of_another_kind_are_refused(change):
    with pytest.raises(RunError, match="expected a kept Result"):
        from_values(Result, {**to_values(RESULT), **change})


def test_an_interval_leaves_out_what_is_not_defined():
    assert over([1.0, float("nan"), 3.0]).mean == 2.0
    assert over([float("nan")]) is None
