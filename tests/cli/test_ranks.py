import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from innerloop.runs import open_run

COMMAND = Path(sys.executable).with_name("innerloop")
SINUSOID = Path(__file__).resolve().parents[2] / "recipes" / "sinusoid-10s-maml.yaml"
# A smooth loss and no BatchNorm: rounding stays rounding over several outer steps.
SETTINGS = (f"--config={SINUSOID}", "--model.hidden=8", "--training.tasks=5", "--record.validation=3")

ENDLESS = (*SETTINGS, "--training.steps=1000000", "--record.validation=0", "--record.checkpoint=5")


def params(run):
    return open_run(run).state("last").params


def same(left, right):
    assert left.keys() == right.keys()
    for name, value in left.items():
        torch.testing.assert_close(value, right[name], rtol=1e-5, atol=1e-6)


def continued(run, steps):
    recipe = run / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("  steps: 3\n", f"  steps: {steps}\n"))


def test_a_run_begun_by_two_ranks_goes_on_with_one_as_if_always_one(installed, commands_in):
    said = installed("train", *SETTINGS, "--training.steps=3", "--out=run", "--ranks=2")
    run = installed.folder / "run"
    assert said.count("Run:") == 1
    assert [record["step"] for record in open_run(run).history] == [0, 1, 2, 3]
    one = commands_in(installed.folder)
    one("train", *SETTINGS, "--training.steps=3", "--out=whole")
    same(params(run), params(installed.folder / "whole"))
    for name in ("run", "whole"):
        continued(installed.folder / name, 5)
        one("train", f"--resume={name}")
    same(params(run), params(installed.folder / "whole"))


@pytest.mark.slow
def test_a_run_begun_by_one_goes_on_with_two_ranks_as_if_always_one(installed, commands_in):
    one = commands_in(installed.folder)
    for name in ("run", "whole"):
        one("train", *SETTINGS, "--training.steps=3", f"--out={name}")
        continued(installed.folder / name, 5)
    installed("train", "--resume", "run", "--ranks", "2")
    one("train", "--resume=whole")
    same(params(installed.folder / "run"), params(installed.folder / "whole"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--ranks=0"], "--ranks of at least 1, got 0"), (["--nodes=2", "--ranks=2"], "MASTER_ADDR")],
)
def test_ranks_that_cannot_be_are_one_line_and_make_nothing(shell, arguments, words):
    assert words in shell.refused("train", *SETTINGS, *arguments)
    assert not list(shell.folder.iterdir())


@pytest.mark.slow
def test_what_all_ranks_refuse_is_said_once(installed):
    assert "got neither; set --data.root" in installed.refused(
        "train", "--data.name=omniglot", "--data.root=nowhere", "--ranks=2"
    )
    assert not list(installed.folder.iterdir())


def ranks_of(process, count):
    """Return the process ids of all ranks, that of the first before."""
    while True:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        if len(children) >= count - 1:
            return [process.pid, *map(int, children)]
        time.sleep(0.05)


def begun(folder, count):
    """Start a run that would never end, and return its process and its ranks once it has done some steps."""
    process = subprocess.Popen(
        [str(COMMAND), "train", *ENDLESS, "--out=run", f"--ranks={count}"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    history = folder / "run" / "history.jsonl"
    while not history.exists() or len(history.read_text().splitlines()) < 12:
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.05)
    return process, ranks_of(process, count)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").exists(), reason="looks up processes as Linux shows them")
@pytest.mark.parametrize(
    ("how", "who", "count", "words"),
    [
        (signal.SIGKILL, 1, 2, "was killed"),
        (signal.SIGKILL, 2, 4, "was killed"),
        (signal.SIGKILL, 0, 2, "was killed"),
        (signal.SIGSTOP, 1, 2, "hangs"),
        (signal.SIGSTOP, 0, 2, "hangs"),
    ],
)
def test_a_lost_rank_ends_the_others_with_one_line_and_a_whole_checkpoint(tmp_path, how, who, count, words):
    process, ranks = begun(tmp_path, count)
    lost = ranks.pop(who)
    os.kill(lost, how)
    until = time.monotonic() + 30
    while any(map(alive, ranks)):
        assert time.monotonic() < until, "still there after 30 seconds"
        time.sleep(0.1)
    if alive(lost):
        os.kill(lost, signal.SIGKILL)
    said, _ = process.communicate()
    assert said.startswith("innerloop: expected all"), said
    assert said.count("\n") == 1, said
    assert words in said
    assert who or process.returncode < 0
    assert not who or (process.returncode == 2 and f"from rank {who}" in said)
    run = open_run(tmp_path / "run")
    assert run.state("last").step >= 10


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").exists(), reason="looks up processes as Linux shows them")
def test_ctrl_c_ends_all_ranks_and_saves_the_run(tmp_path):
    process, ranks = begun(tmp_path, 2)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate()
    assert process.returncode == 130
    assert "go on with: innerloop train --resume run" in said
    assert "Traceback" not in said
    assert not any(map(alive, ranks))
    run = open_run(tmp_path / "run")
    assert run.state("last").step == run.history[-1]["step"]


@pytest.mark.slow
def test_ranks_started_with_different_recipes_are_refused_with_what_differs(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "NODE_RANK": "0"}
    started = [
        subprocess.Popen(
            [str(COMMAND), "train", *SETTINGS, f"--inner.lr=0.0{1 + rank}", "--ranks=2", "--out=run"],
            cwd=tmp_path,
            env={**os.environ, **common, "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    said = [process.communicate()[1] for process in started]
    assert [process.returncode for process in started] == [2, 2]
    assert said[0].startswith(
        "innerloop: expected the same inner.lr on all ranks, got 0.01 on rank 0 and 0.02 on rank 1"
    )
    assert said[0].count("\n") == 1
    assert said[1] == ""
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_torchrun_brings_its_own_ranks(tmp_path):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "innerloop"]
    subprocess.run([*torchrun, "train", *SETTINGS, "--training.steps=3", "--out=run"], cwd=tmp_path, check=True)
    subprocess.run([str(COMMAND), "train", *SETTINGS, "--training.steps=3", "--out=one"], cwd=tmp_path, check=True)
    same(params(tmp_path / "run"), params(tmp_path / "one"))


@pytest.mark.slow
def test_srun_brings_its_own_ranks(tmp_path):
    job = {"SLURM_JOB_ID": "54321", "SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2", "SLURM_NODEID": "0"}
    step = {"SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_NUM_NODES": "1", "SLURM_NODELIST": "127.0.0.1"}
    started = [
        subprocess.Popen(
            [str(COMMAND), "train", *SETTINGS, "--training.steps=3", "--out=run"],
            cwd=tmp_path,
            env={**os.environ, **job, **step, "SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank)},
        )
        for rank in range(2)
    ]
    assert [process.wait() for process in started] == [0, 0]
    assert params(tmp_path / "run")
