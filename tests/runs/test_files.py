import os
from pathlib import PurePosixPath

import pytest

from innerloop.errors import DiskError, RunError
from innerloop.runs.files import LONGEST, name_of, refuse_links, write_whole


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


def test_a_draft_that_leads_elsewhere_is_not_written_through(tmp_path):
    (tmp_path / "elsewhere").write_text("precious")
    draft = tmp_path / f".a.json-{os.getpid()}"
    draft.symlink_to(tmp_path / "elsewhere")
    write_whole(tmp_path / "a.json", "{}")
    assert (tmp_path / "elsewhere").read_text() == "precious"
    assert (tmp_path / "a.json").read_text() == "{}"
    assert not (tmp_path / "a.json").is_symlink()
    draft.write_text("of a process of the same number, killed")
    write_whole(tmp_path / "a.json", "[]")
    assert (tmp_path / "a.json").read_text() == "[]"
    draft.mkdir()
    with pytest.raises(DiskError, match=r"a.json"):
        write_whole(tmp_path / "a.json", "5")
    assert (tmp_path / "a.json").read_text() == "[]"


def test_a_draft_that_appears_meanwhile_is_not_written_through(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").write_text("precious")
    draft = tmp_path / f".a.json-{os.getpid()}"
    monkeypatch.setattr(type(draft), "unlink", lambda *_, **__: None)
    draft.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DiskError, match=r"a.json"):
        write_whole(tmp_path / "a.json", "{}")
    assert (tmp_path / "elsewhere").read_text() == "precious"


def test_what_lies_elsewhere_is_refused(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there")
    refuse_links(tmp_path / "there", tmp_path / "nothing")
    with pytest.raises(RunError, match=r"link'.*got a link to elsewhere"):
        refuse_links(tmp_path / "there", tmp_path / "link")
