import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).with_name("innerloop")


class Shell:
    """The installed command, run as a user would, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *arguments, code=0, env=None):
        done = subprocess.run(
            [str(COMMAND), *map(str, arguments)],
            cwd=self.folder,
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout if code == 0 else done.stderr

    def refused(self, *arguments):
        """Run what must be refused: exit code 2, one line, no traceback."""
        message = self(*arguments, code=2)
        assert message.startswith("innerloop: ")
        assert message.count("\n") == 1, message
        return message


@pytest.fixture(scope="session")
def shell_in():
    return Shell


@pytest.fixture
def shell(tmp_path):
    return Shell(tmp_path)


SMALL = (
    "--model.name=strided_conv4",
    "--model.filters=8",
    "--training.tasks=2",
    "--record.validation=2",
    "--record.validation_episodes=2",
    "--record.contrast=2",
    "--record.cosine=2",
    "--record.probe_episodes=2",
)


@pytest.fixture(scope="session")
def small():
    return SMALL
