import ast
import re
import subprocess
import sys

import pytest

PAGES = {"learn2learn": r"Interval\(mean=0", "higher": r"3 \d", "torchmeta": r"torch\.Size\(\[25, 5\]\)"}


def blocks(request, library):
    """Return the page's blocks of Python: theirs begin with the library's name."""
    text = (request.config.rootpath / "docs" / "migrating" / f"from-{library}.md").read_text()
    found = re.findall(r"```python\n(.*?)```", text, re.S)
    theirs = [block for block in found if block.startswith(f"# {library}\n")]
    return theirs, [block for block in found if block not in theirs]


@pytest.mark.parametrize("library", sorted(PAGES))
def test_our_side_of_every_page_runs_as_it_stands(request, tmp_path, library):
    _, ours = blocks(request, library)
    assert len(ours) == 2
    assert all("il." in block for block in ours)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "\n".join(ours)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(PAGES[library], done.stdout), done.stdout


@pytest.mark.parametrize("library", sorted(PAGES))
def test_their_side_is_python_and_takes_the_same_steps(request, library):
    (theirs,), ours = blocks(request, library)
    ast.parse(theirs)
    for said in ("0.1", "range(2)", "lr=1e-3", "CrossEntropyLoss"):
        assert said in theirs
        assert said in "\n".join(ours)
