"""How several processes come about: started here, or by torchrun or SLURM, and brought together.

lightning-fabric knows who starts processes on which cluster, and starts them where nobody else does; each is the same
command again. It is imported only where there is more than one.
"""

import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, NamedTuple

import torch
from torch.distributed import TCPStore  # type: ignore[attr-defined]

from innerloop.engine.group import ALONE, Group
from innerloop.errors import ConfigError, RankError

JOINING = 300  # seconds until all ranks have to be there
LEAVING = 3.0  # seconds until started processes that are still there are killed


class Place(NamedTuple):
    """Where a process stands among all: its number, how many there are, where rank 0 is, and its own device."""

    rank: int
    size: int
    address: str
    port: int
    device: torch.device


@contextmanager
def launched(ranks: int | None = None, nodes: int | None = None, device: str = "cpu") -> Iterator[Group]:
    """Bring this process together with the others; started once, it starts the others on its machine.

    Args:
        ranks: Processes on each machine; by default as many as torchrun or srun started, else this one alone.
        nodes: Machines.
        device: `cpu`, or `cuda` for a GPU each.

    Yields:
        The group; this process alone where no more was asked for.

    Raises:
        ConfigError: Numbers that do not fit each other, the devices, or what torchrun or SLURM started.
        RankError: A rank does not come, or goes before the others.
    """
    ranks, nodes = _asked(ranks, nodes, os.environ)
    if ranks * nodes == 1:
        yield ALONE
        return
    started: list[subprocess.Popen[bytes]] = []
    try:
        place = _place(ranks, nodes, device, started)
        group = Group()
        with group:
            group.connect(meet(place, started), place.rank, place.size, place.device)
            yield group
    finally:
        _end(started)


def _asked(ranks: int | None, nodes: int | None, environment: Mapping[str, str]) -> tuple[int, int]:
    """Return how many ranks on how many machines, as asked for or as started."""
    for name, value in (("--ranks", ranks), ("--nodes", nodes)):
        if value is not None and value < 1:
            raise ConfigError(f"expected {name} of at least 1, got {value}; 1 is this process alone")
    if "TORCHELASTIC_RUN_ID" in environment:
        here = int(environment["LOCAL_WORLD_SIZE"])
        everywhere = int(environment["WORLD_SIZE"]) // here
    else:  # what srun says of the processes it starts, and sbatch does not of its script
        everywhere = int(environment.get("SLURM_STEP_NUM_NODES", 1))
        here = int(environment.get("SLURM_STEP_NUM_TASKS", 1)) // everywhere
    return here if ranks is None else ranks, everywhere if nodes is None else nodes


def _place(ranks: int, nodes: int, device: str, started: list[subprocess.Popen[bytes]]) -> Place:
    """Start what has to be started, add it to `started`, and return where this process stands."""
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments import LightningEnvironment  # type: ignore[attr-defined]
    from lightning_fabric.utilities.exceptions import MisconfigurationException

    # torch says at length when rank 0 and its store are gone; read when a process starts, so set for those to come.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    try:
        strategy: Any = Fabric(accelerator=device, devices=ranks, num_nodes=nodes, strategy="ddp").strategy
        if isinstance(strategy.cluster_environment, LightningEnvironment):
            _refuse_unknown_main(nodes, os.environ)
        place: Place = strategy.launcher.launch(lambda: _found(strategy, started))
        return place
    except (ValueError, RuntimeError, KeyError, MisconfigurationException) as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise ConfigError(
            f"expected {ranks} ranks on each of {nodes} machines ({device}), got: {said[0]}; set --ranks and --nodes "
            "to what is there"
        ) from error


def _found(strategy: Any, started: list[subprocess.Popen[bytes]]) -> Place:
    """Return where this process stands, once the others are started."""
    # Taken over from fabric, which would end everything without a word when one of them dies.
    own: list[subprocess.Popen[bytes]] = strategy.launcher.procs
    started.extend(own)
    own.clear()
    environment = strategy.cluster_environment
    size = strategy.num_processes * strategy.num_nodes
    environment.set_world_size(size)
    environment.set_global_rank(environment.node_rank() * strategy.num_processes + environment.local_rank())
    return Place(environment.global_rank(), size, environment.main_address, environment.main_port, strategy.root_device)


def _refuse_unknown_main(nodes: int, environment: Mapping[str, str]) -> None:
    missing = [name for name in ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK") if name not in environment]
    if nodes > 1 and missing:
        raise ConfigError(
            f"expected {', '.join(missing)} in the environment for --nodes={nodes}, got none; set the address and a "
            "free port of the first machine and each machine's number, or start with torchrun or srun"
        )


def meet(place: Place, started: Sequence[subprocess.Popen[bytes]] = ()) -> TCPStore:
    """Return the store that rank 0 holds, once all ranks have reached it.

    Args:
        place: Where this process stands.
        started: The processes that it started: none is waited for in vain.

    Raises:
        RankError: One does not come.
    """
    limit = timedelta(seconds=JOINING)
    try:
        store = TCPStore(place.address, place.port, is_master=place.rank == 0, wait_for_workers=False, timeout=limit)
        if place.rank == 0:
            store.set("why", "")
            store.set("size", str(place.size))
        theirs = int(store.get("size"))
        if theirs != place.size:
            raise RankError(
                f"expected {theirs} ranks in all as on rank 0, got {place.size} on rank {place.rank}; "
                "give all machines the same --ranks and --nodes"
            )
        store.set(f"pulse/{place.rank}", "")
        store.add("joined", 1)
        if place.rank == 0:
            _gathered(store, place, started)
            store.set("all", "")
        store.wait(["all"], limit)
    except RuntimeError as error:  # torch.distributed's errors
        raise RankError(
            f"expected to meet {place.size} ranks at {place.address}:{place.port}, got: {str(error).splitlines()[0]}; "
            "see that rank 0 runs and can be reached"
        ) from error
    return store


def _gathered(store: TCPStore, place: Place, started: Sequence[subprocess.Popen[bytes]]) -> None:
    """Wait for all ranks, and see that those started here live."""
    until = time.monotonic() + JOINING
    while (joined := store.add("joined", 0)) < place.size:
        ended = next((process for process in started if process.poll() is not None), None)
        if ended is not None or time.monotonic() > until:
            how = "one that has ended" if ended is not None else f"{joined} after {JOINING} seconds"
            raise RankError(f"expected {place.size} ranks to come, got {how}; look at what the others said")
        time.sleep(0.05)


def _end(started: list[subprocess.Popen[bytes]]) -> None:
    """Wait until the started processes have ended, and kill those that do not."""
    until = time.monotonic() + LEAVING
    for process in started:
        try:
            process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
