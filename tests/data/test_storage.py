import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from innerloop.data.cache import Prepared, prepared
from innerloop.errors import DataError

CONTENT = Prepared(np.arange(8, dtype=np.uint8).reshape(2, 1, 2, 2), ["a", "ü"])


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("INNERLOOP_CACHE", str(tmp_path / "cache"))


def test_an_entry_is_built_once_and_read_back_as_it_was():
    built = []

    def build() -> Prepared:
        built.append(1)
        return CONTENT

    for _ in range(2):
        images, class_of = prepared("x", "key", build)
        assert np.array_equal(images, CONTENT.images)
        assert class_of == CONTENT.class_of
    assert built == [1]
    prepared("x", "other key", build)
    assert built == [1, 1]


def test_a_process_killed_while_preparing_leaves_nothing_that_passes_for_whole(tmp_path):
    code = (
        "import os, signal, numpy as np\n"
        "from innerloop.data import cache\n"
        "np.save = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)\n"
        "cache.prepared('x', 'key', lambda: cache.Prepared(np.zeros((1, 1, 2, 2), np.uint8), ['a']))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ}, check=False)
    assert done.returncode == -signal.SIGKILL
    assert np.array_equal(prepared("x", "key", lambda: CONTENT).images, CONTENT.images)


def test_another_process_that_was_faster_is_no_fault(tmp_path):
    def build() -> Prepared:
        prepared("x", "key", lambda: CONTENT)  # somebody else finishes the same entry meanwhile
        return Prepared(CONTENT.images + 1, CONTENT.class_of)

    assert np.array_equal(prepared("x", "key", build).images, CONTENT.images)
    assert [each.name for each in (tmp_path / "cache").iterdir()] == ["x-key"]


def test_a_cache_folder_that_cannot_be_made_is_said_so(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("INNERLOOP_CACHE", str(tmp_path / "file"))
    with pytest.raises(DataError, match="set INNERLOOP_CACHE to another folder"):
        prepared("x", "key", lambda: CONTENT)
