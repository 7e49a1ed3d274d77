import pytest

from innerloop.cli import explain
from shells import InProcess, Shell


@pytest.fixture(scope="session")
def shell_in():
    return Shell


@pytest.fixture(scope="session")
def commands_in():
    return InProcess


@pytest.fixture
def svg_alone(monkeypatch):
    """Figures as SVG alone, where a test is not of figures: fonts and pixels take longer than what they show."""
    for ending in ("pdf", "png"):
        monkeypatch.delitem(explain.FORMATS, ending)


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
