import os
import subprocess

import pytest

import innerloop
from innerloop.runs.provenance import as_lines, commit, provenance


def git(folder, *arguments):
    own = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    return subprocess.run(
        ["git", "-C", str(folder), *arguments],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, **own},
    ).stdout.strip()


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A repository with a package where innerloop would lie."""
    home = tmp_path / "src" / "innerloop"
    home.mkdir(parents=True)
    (home / "__init__.py").write_text("")
    monkeypatch.setattr(innerloop, "__file__", str(home / "__init__.py"))
    git(tmp_path, "init", "-q")
    return home


def test_the_commit_is_that_of_the_package_and_says_where_it_was_changed(package):
    git(package, "add", ".")
    git(package, "commit", "-qm", "one")
    head = git(package, "rev-parse", "HEAD")
    assert commit() == head
    (package / "__init__.py").write_text("changed = True\n")
    assert commit() == f"{head}-changed"


def test_a_package_within_somebody_elses_repository_has_no_commit(package):
    (package.parents[1] / "theirs").write_text("")
    git(package.parents[1], "add", "theirs")
    git(package.parents[1], "commit", "-qm", "theirs")
    assert commit() == ""


def test_without_git_there_is_no_commit(package, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert commit() == ""


def test_what_made_a_run_is_told_line_by_line():
    about = provenance("innerloop train")
    assert "command: innerloop train" in list(as_lines(about))
    told = list(as_lines({"a": 1, "b": "", "engine": {"mapping": "loop", "rule": ""}, "resumed": [{"step": 2}, "odd"]}))
    assert told == ["a: 1", "engine: mapping loop", "resumed: step 2", "resumed: odd"]
