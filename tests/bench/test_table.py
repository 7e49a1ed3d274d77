import json

import pytest

from innerloop.bench.product import FLOPS
from innerloop.bench.race import Contender, Measured
from innerloop.bench.table import Cell, markdown


def measured(label, kind, seconds, **more):
    options = {"precision": more.pop("precision")} if "precision" in more else {}
    return Measured(Contender(label, kind, (), options), seconds=seconds, **more)


PLAIN = measured("plain", "plain", [4.0, 4.0, 9.0], apart=0.0, mebibytes=10.0)
SLOW = measured("slow peer", "peer", [5.0, 6.0, 7.0], apart=1e-7)
FAST = measured("fast peer", "peer", [3.0, 2.0, 4.0], apart=1e-7)
OURS = measured("auto", "ours", [1.0, 1.0, 4.0], how="loop", notes=["going on with less"])
BFLOAT = measured("auto+bf16", "ours", [0.5, 0.5, 0.5], precision="bf16")
BROKEN = measured("broken", "peer", [], failed="TypeError: no")
PRODUCT = measured("matrix product, float32", "product", [2.0, 1.0, 1.0])


def rows(*everyone):
    return {row["contender"]: row for row in Cell("omni/first", 8 * FLOPS, everyone).rows()}


def test_ratios_are_taken_round_by_round_against_the_fastest_peer():
    found = rows(PLAIN, SLOW, FAST, OURS, BROKEN)
    assert found["auto"]["against"] == "fast peer"
    assert found["auto"]["times_as_fast_rounds"] == [3.0, 2.0, 1.0]
    assert found["auto"]["times_as_fast"] == 2.0
    assert found["fast peer"]["times_as_fast_rounds"] == [1.0, 1.0, 1.0]


def test_without_peers_they_are_taken_against_the_plain_loop_and_without_it_against_the_first():
    assert rows(OURS, PLAIN)["auto"]["times_as_fast"] == 4.0
    assert rows(OURS, BFLOAT)["auto+bf16"]["against"] == "auto"


def test_a_share_is_of_the_matrix_product_of_the_same_precision():
    found = rows(OURS, BFLOAT, PRODUCT)
    assert found["auto"]["share_of_product"] == pytest.approx(8)
    assert found["auto"]["gflops_per_second"] == pytest.approx(8 * FLOPS / 1e9)
    assert found["auto+bf16"]["share_of_product"] is None
    assert found["matrix product, float32"]["share_of_product"] == pytest.approx(1)
    assert found["matrix product, float32"]["times_as_fast"] is None


def test_the_table_has_a_line_a_contender_and_says_what_went_wrong():
    disturbed = measured("loop", "ours", [1.0], others=0.4)
    said = markdown(Cell("omni/first", 8 * FLOPS, [FAST, OURS, BROKEN, PRODUCT]))
    lines = said.splitlines()
    assert len({line.count("|") for line in lines[:6]}) == 1
    assert len({len(line) for line in lines[:6]}) == 1
    assert "auto (loop)" in said
    assert "broken: fails: TypeError: no" in said
    assert "auto: going on with less" in said
    assert "as fast peer" in said
    assert "Other processes" not in said
    assert "Other processes took up to 40% of the cores" in markdown(Cell("omni/first", 1, [disturbed]))


def test_rows_are_plain_values():
    assert json.loads(json.dumps(list(rows(PLAIN, OURS, BROKEN, PRODUCT).values())))[2]["failed"] == "TypeError: no"
