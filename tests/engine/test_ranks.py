import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from innerloop.engine import Loop
from innerloop.engine.group import ALONE
from innerloop.engine.launch import launched
from innerloop.engine.ranks import Sharded
from innerloop.errors import ConfigError, DivergedError
from rank import computed, halved

TESTS = Path(__file__).resolve().parents[1]


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@pytest.fixture(scope="module", params=[1, 2, pytest.param(4, marks=pytest.mark.slow)])
def ranks(request, tmp_path_factory):
    """What real processes computed, rank by rank: numbers by name, and what was refused."""
    size, port, folder = request.param, free_port(), tmp_path_factory.mktemp("ranks")
    started = [
        subprocess.Popen(
            [sys.executable, TESTS / "rank.py", str(rank), str(size), str(port), folder],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *filter(None, sys.path)])},
        )
        for rank in range(size)
    ]
    assert [process.wait() for process in started] == [0] * size
    return [
        (load_file(folder / f"{rank}.safetensors"), (folder / f"{rank}.txt").read_text().split("\n"))
        for rank in range(size)
    ]


@pytest.fixture(scope="module")
def alone():
    return computed(Loop)


def test_every_rank_has_what_one_process_computes(ranks, alone):
    for numbers, _ in ranks:
        assert numbers.keys() == alone.keys()
        for name, value in alone.items():
            assert numbers[name].dtype == value.dtype, name
            torch.testing.assert_close(
                numbers[name], value, rtol=1e-12, atol=1e-12, msg=lambda said, n=name: f"{n} {said}"
            )


def test_all_ranks_have_the_same_to_the_bit(ranks):
    (first, _), *others = ranks
    for numbers, _ in others:
        for name, value in first.items():
            assert torch.equal(numbers[name], value), name


def test_ranks_that_disagree_are_refused_on_all_with_what_differs(ranks):
    words = "expected the same seed on all ranks, got 0 on rank 0 and 1 on rank 1"
    for _, said in ranks:
        assert said[0].startswith(words) if len(ranks) > 1 else said[0] == ""


def test_what_one_rank_refuses_all_refuse(ranks):
    last = len(ranks) - 1
    for rank, (_, said) in enumerate(ranks):
        own = "expected an even rank, got an odd one; add one"
        assert said[1] == (own if rank == last else f"rank {last}: {own}")


def test_a_task_that_is_not_finite_is_named_alike_by_all_ranks(ranks, alone):
    where = bytes(alone["where"].tolist()).decode()
    assert where == "task 3, parameter 'body.weight'"
    with pytest.raises(DivergedError, match=f"at outer step 2 in {where} ") as raised:
        halved(Loop, "stop")
    for _, said in ranks:
        assert said[2] == str(raised.value)


def test_one_process_alone_needs_no_group(alone):
    numbers = computed(lambda algorithm: Sharded(Loop(algorithm), ALONE))
    for name, value in alone.items():
        assert torch.equal(numbers[name], value), name


def test_one_process_is_not_launched():
    with launched() as group:
        assert group is ALONE
    said = (
        "import sys; from innerloop.engine.launch import launched; launched().__enter__(); print(sorted(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert "innerloop.engine.launch" in done.stdout
    assert "lightning_fabric" not in done.stdout


@pytest.mark.parametrize(
    ("ranks", "nodes", "words"),
    [
        (0, 1, "--ranks of at least 1, got 0"),
        (1, -1, "--nodes of at least 1"),
        (1, 2, "MASTER_ADDR, MASTER_PORT, NODE"),
    ],
)
def test_ranks_that_cannot_be_are_refused(ranks, nodes, words):
    with pytest.raises(ConfigError, match=words), launched(ranks, nodes):
        pass
