"""Drawing ahead: the next batch is made in the background while the learner works on this one.

What is drawn does not change: a batch is a pure function of its step, whoever makes it and when.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from innerloop.data.episode import Batch


class Ahead:
    """A function of the step that has its next answer ready; `close` it when done."""

    def __init__(self, draw: Callable[[int], Batch], steps: int) -> None:
        """Wrap `draw`, which will be asked for steps below `steps` in order."""
        self._draw, self._steps = draw, steps
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="innerloop-ahead")
        self._next: tuple[int, Future[Batch]] | None = None

    def __call__(self, step: int) -> Batch:
        """Return the batch of this step, and begin the one after it."""
        ready = self._next[1] if self._next is not None and self._next[0] == step else None
        batch = self._draw(step) if ready is None else ready.result()
        self._next = (step + 1, self._pool.submit(self._draw, step + 1)) if step + 1 < self._steps else None
        return batch

    def close(self) -> None:
        """End the thread; what it was drawing is thrown away."""
        self._pool.shutdown(wait=False, cancel_futures=True)
