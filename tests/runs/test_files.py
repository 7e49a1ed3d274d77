from pathlib import PurePosixPath

import pytest

from innerloop.runs.files import LONGEST, name_of


@pytest.mark.parametrize(
    "text",
    ["..", ".", "", "../../x", "a/b", "a\\b", "a\0b", "a\nb", "\u202eb", "x" * 300, "é" * 150, ".hidden", "\udcff"],
)
def test_a_name_never_leaves_its_folder_and_fits_a_disk(text):
    name = name_of(text)
    assert PurePosixPath("there", name).name == name != ".."
    assert 0 < len(name.encode()) <= LONGEST
    assert name.isprintable()


def test_an_ordinary_name_stays_and_odd_ones_stay_apart():
    assert name_of("contrast-5-way-lr--0.1 (é)") == "contrast-5-way-lr--0.1 (é)"
    assert len({name_of(text) for text in ("a/b", "a_b", "a\\b", "a\nb")}) == 4
