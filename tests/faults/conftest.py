from pathlib import Path

import pytest

from faults.disks import Disk
from shells import InProcess


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
