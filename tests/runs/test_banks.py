import pytest
import torch

from innerloop.errors import RunError
from innerloop.runs import banks

ABOUT = {"model": "abc", "dimensions": "3"}


def test_a_bank_comes_back_as_it_was_kept_under_a_name_of_its_own(tmp_path):
    vectors = torch.arange(6.0).reshape(2, 3)
    place = banks.place_of(tmp_path / "banks", ABOUT)
    banks.write(place, vectors, ABOUT)
    assert torch.equal(banks.read(place, ABOUT), vectors)
    assert place == banks.place_of(tmp_path / "banks", dict(reversed(ABOUT.items())))
    assert place != banks.place_of(tmp_path / "banks", {**ABOUT, "model": "abd"})


def test_another_ones_bank_a_damaged_one_and_none_are_one_line(tmp_path):
    place = banks.place_of(tmp_path / "banks", ABOUT)
    banks.write(place, torch.ones(2, 3), ABOUT)
    with pytest.raises(
        RunError, match=r"expected a bank whose model is xyz, got one whose model is abc at .*; use one"
    ):
        banks.read(place, {**ABOUT, "model": "xyz"})
    place.write_bytes(place.read_bytes()[:20])
    with pytest.raises(RunError, match=r"expected a bank of tasks at .*, got something else .*; leave bank_from out"):
        banks.read(place, ABOUT)
    with pytest.raises(RunError, match="expected a bank of tasks at"):
        banks.read(tmp_path / "nothing", ABOUT)


def test_a_bank_is_not_written_elsewhere(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "banks").symlink_to(tmp_path / "there")
    with pytest.raises(RunError, match=r"banks'.*got a link"):
        banks.write(banks.place_of(tmp_path / "banks", ABOUT), torch.ones(2, 3), ABOUT)
    assert not list((tmp_path / "there").iterdir())
