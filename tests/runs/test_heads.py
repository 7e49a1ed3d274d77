import os

import pytest
import torch

from innerloop.errors import RunError
from innerloop.runs import heads

ROWS = [{"head.weight": torch.full((2, 3), float(step)), "head.bias": torch.tensor([1.0, -step])} for step in range(4)]


def test_heads_are_read_back_bit_for_bit_in_whatever_order_their_names_come(tmp_path):
    place = tmp_path / "heads.bin"
    for row in ROWS:
        heads.append(place, row)
    turned = dict(reversed(ROWS[0].items()))
    read = heads.read(place, turned)
    for step, row in enumerate(ROWS):
        assert all(torch.equal(read[name][step], row[name]) for name in row)


def test_a_row_torn_by_an_interruption_is_left_out_and_a_continued_run_writes_on(tmp_path):
    place = tmp_path / "heads.bin"
    for row in ROWS:
        heads.append(place, row)
    place.write_bytes(place.read_bytes()[:-5])
    assert len(heads.read(place, ROWS[0])["head.bias"]) == 3
    heads.keep_until(place, 1, ROWS[0])
    heads.append(place, ROWS[3])
    assert heads.read(place, ROWS[0])["head.bias"][:, 1].tolist() == [0, -1, -3]


def test_a_run_without_heads_is_one_error_that_says_how_to_have_them(tmp_path):
    with pytest.raises(RunError, match=r"train with --record\.heads=true"):
        heads.read(tmp_path / "heads.bin", ROWS[0])
    heads.keep_until(tmp_path / "heads.bin", 3, ROWS[0])


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "heads.bin")
    with pytest.raises(RunError, match="something else"):
        heads.read(tmp_path / "heads.bin", ROWS[0])
