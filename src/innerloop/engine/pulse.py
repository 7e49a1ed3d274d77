"""Who of the ranks is still there: each tells the others that it lives, and why it goes.

A connection that breaks says that somebody died, but in a chain of deaths not who was first; one that stays silent says
nothing at all. So every rank counts up a number of its own in a store that all reach, from a thread of its own. Time is
counted in beats of whoever listens: a machine that slept, or was stopped as a whole, takes nobody for dead.
"""

import time
from threading import Event, Thread

from torch.distributed import Store  # type: ignore[attr-defined]

BEAT = 1.0  # seconds
LEFT = "left"
PATIENCE = 5.0  # seconds that whoever holds the store waits for the others to leave


class Pulse(Thread):
    """A thread that beats until `leave`; what it heard can be read at any time.

    Attributes:
        beats: How often it beat.
        heard: The last that was heard of each rank: a number that grows, or that it has left.
        why: Why the ranks have to stop, as the first said that found out; empty while they need not.
        is_cut_off: Whether the store cannot be reached, which is with rank 0.
    """

    def __init__(self, store: Store, rank: int, size: int) -> None:
        super().__init__(daemon=True, name="innerloop-pulse")
        self._store, self._rank, self._keys = store, rank, [f"pulse/{each}" for each in range(size)]
        self._leaving, self._said = Event(), ""
        self.beats, self.heard, self.why, self.is_cut_off = 0, [""] * size, "", False

    def run(self) -> None:
        """Beat."""
        try:
            while not self._leaving.wait(BEAT):
                self._beat(str(self.beats))
            self._go()
        except RuntimeError:  # torch.distributed's errors
            self.is_cut_off = True

    def leave(self, why: str) -> None:
        """Tell the others that this rank goes, with the reason if they have to stop for it, and beat no more."""
        self._said = why
        self._leaving.set()
        self.join(PATIENCE + 2 * BEAT)

    def _go(self) -> None:
        if self._said:
            self._store.compare_set("why", "", self._said)
        self._beat(LEFT)
        # The store lives in rank 0, so it goes last.
        until = time.monotonic() + PATIENCE
        while self._rank == 0 and any(each != LEFT for each in self.heard) and time.monotonic() < until:
            time.sleep(BEAT / 20)
            self._beat(LEFT)

    def _beat(self, own: str) -> None:
        self._store.set(self._keys[self._rank], own)
        *self.heard, self.why = (each.decode() for each in self._store.multi_get([*self._keys, "why"]))
        self.beats += 1
