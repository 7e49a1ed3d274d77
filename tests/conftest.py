"""What every test may lean on: a cache of its own, the supplied data, and seeds that touch nothing global."""

import os
import signal
import tempfile
from pathlib import Path

import pytest
import torch
from hypothesis import settings

# A job started in the background ignores Ctrl-C, and would hand that down to the commands that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Set before any test starts a subprocess, and shared by all: typeface is rendered once for the whole suite.
os.environ["INNERLOOP_CACHE"] = os.environ.get("INNERLOOP_TEST_CACHE") or tempfile.mkdtemp(prefix="innerloop-cache-")

# Tests never time anything: this machine is shared, and a deadline would fail on somebody else's load.
settings.register_profile("innerloop", deadline=None)
settings.load_profile("innerloop")

# One thread each: the tests' networks are tiny, and two runs at once on two cores would wait for each other.
os.environ["OMP_NUM_THREADS"] = "1"
torch.set_num_threads(1)

SUPPLIED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def omniglot_root() -> Path:
    place = SUPPLIED / "omniglot"
    if not (place / "images_background.zip").is_file():
        pytest.skip(f"Omniglot's zips are not at {place}")
    return place


@pytest.fixture(scope="session")
def tiny_imagenet_root() -> Path:
    place = SUPPLIED / "tiny-imagenet"
    if not (place / "tiny-imagenet-200-subset.zip").is_file():
        pytest.skip(f"the subset of Tiny-ImageNet is not at {place}")
    return place


@pytest.fixture
def shell(tmp_path):
    """The command line in this process."""
    return _shells().InProcess(tmp_path)


@pytest.fixture
def installed(tmp_path):
    """The installed command, a process each."""
    return _shells().Shell(tmp_path)


def _shells():
    import shells  # not before shapes are checked: it imports innerloop

    return shells


@pytest.fixture(autouse=True)
def _global_generator_untouched():
    before = torch.get_rng_state()
    yield
    assert torch.equal(before, torch.get_rng_state()), "something drew from torch's global generator"
