"""The processes that train together: what they can do with one another, and what happens when one is gone.

Whoever waits for the others looks up every second. A rank that was killed breaks its connections, so its neighbours
know at once; one that hangs, or whose machine is gone, has no pulse for `SILENCE` beats. In either case the others get
a `RankError` that names it. How long a rank works before it comes to the meeting point plays no part: rank 0 may
measure for an hour while the others wait.
"""

import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from threading import Event, Thread
from types import TracebackType
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]

from innerloop.engine.pulse import BEAT, LEFT, Pulse
from innerloop.errors import InnerloopError, RankError

SILENCE = 10  # beats without a sign of life from a rank that is waited for
SILENCE_AFTER_A_BREAK = 4  # the same once a connection has broken
LONGEST = timedelta(days=1)  # torch's own limit, for a rank that has a pulse but never comes


class Group:
    """One process alone, unless `connect` makes it one of several. A context: whoever leaves it tells the others.

    Attributes:
        rank: This process's number.
        size: How many there are.
        device: Where tensors that are summed lie.
    """

    def __init__(self) -> None:
        self.rank, self.size = 0, 1
        self.device = torch.device("cpu")
        self._pulse: Pulse | None = None

    @property
    def leads(self) -> bool:
        """Whether this is rank 0, which writes the run and speaks for all."""
        return self.rank == 0

    @property
    def speaks(self) -> bool:
        """Whether this rank has to say what went wrong: rank 0 as long as it is there."""
        return self.leads or (self._pulse is not None and self._pulse.is_cut_off)

    def connect(self, store: TCPStore, rank: int, size: int, device: torch.device) -> None:
        """Become one of several; all of them have reached the store, and call this.

        Args:
            store: What all reach; rank 0 holds it.
            rank: This process's number.
            size: How many there are.
            device: This rank's device; NCCL connects GPUs, gloo all else.

        Raises:
            RankError: A rank is gone already.
        """
        self.rank, self.size, self.device = rank, size, device
        self._pulse = Pulse(store.clone(), rank, size)  # type: ignore[attr-defined]
        self._pulse.start()
        backend, own = ("nccl", device) if device.type == "cuda" else ("gloo", None)
        talk = PrefixStore("talk", store)
        self._awaited(
            lambda: dist.init_process_group(
                backend, store=talk, rank=rank, world_size=size, timeout=LONGEST, device_id=own
            )
        )

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum over all ranks, the same to the bit on each.

        Raises:
            RankError: A rank is gone.
        """
        if self._pulse is None:
            return values
        values = values.contiguous().clone()
        self._awaited(lambda: dist.all_reduce(values))
        return values

    def said(self, own: Any) -> list[Any]:
        """Return what every rank says, plain values, in the order of ranks.

        Raises:
            RankError: A rank is gone.
        """
        words = torch.frombuffer(bytearray(json.dumps(own).encode()), dtype=torch.uint8)
        lengths = torch.zeros(self.size, dtype=torch.int64, device=self.device)
        lengths[self.rank] = len(words)
        lengths = self.sum(lengths)
        board = torch.zeros(self.size, int(lengths.max()), dtype=torch.uint8, device=self.device)
        board[self.rank, : len(words)] = words
        rows = zip(self.sum(board).cpu(), lengths.tolist(), strict=True)
        return [json.loads(bytes(row[:length].tolist())) for row, length in rows]

    @contextmanager
    def together(self) -> Iterator[None]:
        """What one rank refuses inside, all refuse.

        Raises:
            InnerloopError: The rank's own, or what the first one said that refused.
        """
        own: InnerloopError | OSError | None = None
        try:
            yield
        except (InnerloopError, OSError) as error:
            own = error
        refused = {rank: each for rank, each in enumerate(self.said(str(own or ""))) if each}
        if own is not None:
            raise own
        for rank, words in refused.items():
            raise RankError(f"rank {rank}: {words}")

    def agree(self, facts: Mapping[str, object]) -> None:
        """Refuse ranks that differ in something; all of them call this.

        Raises:
            RankError: They do; names the first that differs, on all ranks alike.
        """
        first, *others = self.said({name: str(value) for name, value in facts.items()})
        for rank, other in enumerate(others, 1):
            for name in [*first, *other]:
                mine, its = (each.get(name, "nothing") for each in (first, other))
                if mine != its:
                    raise RankError(
                        f"expected the same {name} on all ranks, got {mine} on rank 0 and {its} on rank {rank}; "
                        "start all with the same command and the same files"
                    )

    def __enter__(self) -> "Group":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pulse is None:
            return
        if error is None:
            self._pulse.leave("")
            dist.destroy_process_group()
        else:
            # Connections stay open: those to a rank that hangs would not close.
            self._pulse.leave(str(error) if isinstance(error, RankError) else self._own_end(error))

    def _own_end(self, error: BaseException) -> str:
        """Say to the others why this rank goes."""
        if isinstance(error, (InnerloopError, OSError)):
            return f"rank {self.rank}: {error}"
        return (
            f"expected all {self.size} ranks to go on, got rank {self.rank} ended by {type(error).__name__}; "
            "go on from the last checkpoint with --resume"
        )

    def _awaited(self, work: Callable[[], object]) -> None:
        """Do something that needs all ranks, in a thread, so that this one can look up and be interrupted meanwhile."""
        failed: list[Exception] = []
        done = Event()

        def attempt() -> None:
            try:
                work()
            except Exception as error:  # whatever the backend raises
                failed.append(error)
            done.set()

        Thread(target=attempt, daemon=True, name="innerloop-talk").start()
        self._watched(done, SILENCE)
        if failed:
            # Somebody is gone, and will be silent.
            self._watched(Event(), SILENCE_AFTER_A_BREAK, failed[0])

    def _watched(self, done: Event, patience: int, broken: Exception | None = None) -> None:
        """Wait until something is done, and listen to the others' pulse.

        Raises:
            RankError: A rank was silent for `patience` beats, or somebody says why all have to stop.
        """
        pulse = self._pulse
        assert pulse is not None
        beats, heard = pulse.beats, pulse.heard
        deaf, silent = 0, [0] * self.size
        for waited in itertools.count():
            if done.wait(BEAT):
                return
            if pulse.why:
                raise RankError(pulse.why)
            if pulse.beats == beats:
                deaf += 1
            else:
                before, heard, beats, deaf = heard, pulse.heard, pulse.beats, 0
                silent = [past + 1 if now == then else 0 for now, then, past in zip(heard, before, silent, strict=True)]
            # Without a beat of one's own the store is gone, and rank 0 with it.
            if pulse.is_cut_off or deaf >= patience:
                pulse.is_cut_off, silent[0] = True, patience
            longest = max(range(self.size), key=silent.__getitem__)
            if silent[longest] >= patience:
                raise RankError(self._gone(longest, broken is not None)) from broken
            if broken is not None and waited > SILENCE:
                raise RankError(
                    f"expected to reach all {self.size} ranks, got: {str(broken).splitlines()[0]}; look at the network"
                ) from broken

    def _gone(self, rank: int, is_broken: bool) -> str:
        has_left = self._pulse is not None and self._pulse.heard[rank] == LEFT
        how = "it has left" if has_left else "it was killed" if is_broken else "it hangs, or its machine is gone"
        return (
            f"expected all {self.size} ranks to go on, got no sign of life from rank {rank} ({how}); "
            "look at its machine, then go on from the last checkpoint with --resume"
        )


ALONE = Group()
