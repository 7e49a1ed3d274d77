"""How a command ends by Ctrl-C or SIGTERM: once, wherever it is, and not again while it saves and leaves."""

import math
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

INTERRUPTED, TERMINATED = 130, 143
PATIENCE = 10.0  # seconds in which another signal is the same wish; later ones come through again
SHORTLY = 0.05  # seconds, after which a signal comes again that was swallowed


class Ending:
    """Turns SIGINT into KeyboardInterrupt and SIGTERM into SystemExit, until work is over."""

    def __init__(self) -> None:
        self._came = -math.inf
        self._before: dict[int, Any] = {}
        self._hook = sys.unraisablehook

    def begin(self) -> None:
        """Take both, and what becomes of exceptions that Python can only report."""
        for each in (signal.SIGTERM, signal.SIGINT):
            self._before[each] = signal.getsignal(each)
            # A job in the background ignores Ctrl-C, which is meant for the one before it.
            if each == signal.SIGTERM or self._before[each] is not signal.SIG_IGN:
                signal.signal(each, self._came_in)
        sys.unraisablehook = self._swallowed

    def undo(self) -> None:
        """Leave both as they were before."""
        for each, handler in self._before.items():
            signal.signal(each, signal.SIG_DFL if handler is None else handler)
        sys.unraisablehook = self._hook

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Let both end the process at once, as they would without Python; for a while in which nothing is written."""
        mine = {each: signal.getsignal(each) for each in self._before}
        for each, handler in mine.items():
            if handler is not signal.SIG_IGN:
                signal.signal(each, signal.SIG_DFL)
        try:
            yield
        finally:
            for each, handler in mine.items():
                signal.signal(each, handler)

    def is_over(self) -> None:
        """Ignore both from here on: what is left is to leave."""
        for each in self._before:
            signal.signal(each, signal.SIG_IGN)

    def _came_in(self, number: int, _: FrameType | None) -> None:
        now = time.monotonic()
        if now - self._came < PATIENCE:
            return
        self._came = now
        if number == signal.SIGTERM:
            sys.exit(TERMINATED)
        raise KeyboardInterrupt

    def _swallowed(self, what: Any) -> None:
        """Let a signal come again whose exception Python could only report, as one out of a destructor."""
        if not isinstance(what.exc_value, KeyboardInterrupt | SystemExit):
            self._hook(what)
            return
        self._came = -math.inf
        number = signal.SIGINT if isinstance(what.exc_value, KeyboardInterrupt) else signal.SIGTERM
        again = threading.Timer(SHORTLY, signal.pthread_kill, (threading.main_thread().ident, number))
        again.daemon = True
        again.start()
