import re
import subprocess
import sys


def test_the_readmes_python_runs_as_it_stands(request, tmp_path):
    pages = ("README.md", "docs/analyses/README.md")
    text = "\n".join((request.config.rootpath / page).read_text() for page in pages)
    blocks = re.findall(r"```python\n(.*?)```", text, re.S)
    assert len(blocks) == 3
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "\n".join(blocks)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "transductive: False" in done.stdout  # the module of the example has no BatchNorm


def test_no_placeholder_is_left_and_every_file_named_is_there(request):
    root = request.config.rootpath
    for page in (root / "README.md", root / "CONTRIBUTING.md", *(root / "docs").rglob("*.md")):
        text = page.read_text()
        assert not re.search(r"\b[A-Z]+_(TABLE|NOTE)\b|TODO|TBD", text), page
        for target in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (page.parent / target).exists(), (page, target)
        for recipe in re.findall(r"recipes/[\w/-]+\.yaml", text):
            assert (root / recipe).exists(), (page, recipe)
