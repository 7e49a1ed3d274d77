import re
import subprocess
import sys


def test_the_readmes_python_runs_as_it_stands(request, tmp_path):
    text = (request.config.rootpath / "README.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.S)
    assert len(blocks) == 2
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "\n".join(blocks)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "transductive: False" in done.stdout  # the module of the example has no BatchNorm
