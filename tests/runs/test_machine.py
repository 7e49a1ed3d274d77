from dataclasses import asdict

import pytest
import torch

from innerloop.engine import EngineConfig, Made
from innerloop.errors import RunWarning
from innerloop.runs import machine

CPU = torch.device("cpu")
MADE = Made("workers", "closed form", workers=3)


@pytest.fixture
def about():
    return machine.told(EngineConfig(), MADE, CPU, ranks=1)


def test_an_engine_is_made_again_as_it_was_kept(about):
    assert machine.as_before(about, EngineConfig(), CPU) == MADE


def test_it_is_chosen_anew_where_another_is_asked_for_or_the_device_is_another(about):
    assert machine.as_before(about, EngineConfig("loop"), CPU) is None
    assert machine.as_before({**about, "device": "NVIDIA H200"}, EngineConfig(), CPU) is None
    assert machine.as_before({}, EngineConfig(), CPU) is None


@pytest.mark.parametrize(
    "damage", [{"mapping": "os.system"}, {"rule": "none"}, {"workers": -1}, {"workers": 10**9}, {"chunk": "4"}]
)
def test_what_no_engine_was_is_not_made(about, damage):
    assert machine.as_before({**about, "engine": {**about["engine"], **damage}}, EngineConfig(), CPU) is None
    assert machine.as_before({**about, "engine": ["loop"]}, EngineConfig(), CPU) is None


def test_threads_are_those_of_before_for_as_long_as_the_run_goes_on():
    own = torch.get_num_threads()
    with machine.threads({"threads": own + 1}):
        assert torch.get_num_threads() == own + 1
    assert torch.get_num_threads() == own
    for odd in ({}, {"threads": "2"}, {"threads": 0}, {"threads": 10**9}, {"threads": True}):
        with machine.threads(odd):
            assert torch.get_num_threads() == own


def test_what_rounds_otherwise_is_said(about):
    now = {**about, "torch": "2.13.0"}
    machine.warn_of_differences(now, now, CPU)
    with pytest.warns(RunWarning, match=r"with torch 2.12.0, ranks 2 and goes on with torch 2.13.0, ranks 1: .*not"):
        machine.warn_of_differences({**now, "torch": "2.12.0", "ranks": 2}, now, CPU)


def test_what_was_said_once_is_not_said_again_until_it_changes(about):
    before = {**about, "torch": "2.12.0", "resumed": [{"step": 5, "torch": "2.13.0"}]}
    machine.warn_of_differences(before, {**about, "torch": "2.13.0"}, CPU)


def test_on_a_gpu_it_is_said_every_time(about):
    now = {**about, "torch": "2.13.0"}
    with pytest.warns(RunWarning, match="on a GPU a continued run equals the uninterrupted one to rounding"):
        machine.warn_of_differences(now, now, torch.device("cuda"))


def test_all_that_decides_how_sums_round_is_kept(about):
    assert about["engine"] == {"asked": asdict(EngineConfig()), **asdict(MADE)}
    assert about["threads"] == torch.get_num_threads()
    assert about["device"].startswith("cpu, ")
