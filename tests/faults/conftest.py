from pathlib import Path

import pytest

from cli.conftest import InProcess, Shell
from faults.disks import Disk


@pytest.fixture
def shell(tmp_path):
    """The command line in this process."""
    return InProcess(tmp_path)


@pytest.fixture
def installed(tmp_path):
    """The installed command, a process each."""
    return Shell(tmp_path)


@pytest.fixture
def disk(tmp_path):
    """A small disk of its own."""
    made = Disk(tmp_path / "disk")
    yield made
    made.release()


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A finished run; not to be written into."""
    folder: Path = tmp_path_factory.mktemp("finished")
    InProcess(folder)("train", *QUICK, "--out=run")
    return folder / "run"


QUICK = (
    "--data.name=gaussians",
    "--episode.n_way=3",
    "--episode.k_shot=2",
    "--episode.n_queries=4",
    "--model.name=mlp",
    "--training.tasks=2",
    "--training.steps=8",
    "--record.validation=2",
    "--record.validation_episodes=2",
    "--record.checkpoint=2",
    "--record.heads=true",
)
