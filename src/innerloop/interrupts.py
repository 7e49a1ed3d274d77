"""What must not be left half-done: Ctrl-C and SIGTERM wait until it is."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def undivided() -> Iterator[None]:
    """Hold SIGINT and SIGTERM back while what is inside is done; it is to take milliseconds."""
    if threading.current_thread() is not threading.main_thread():  # which alone is interrupted by them
        yield
        return
    came: list[int] = []
    before = {}
    try:
        for each in SIGNALS:
            before[each] = signal.getsignal(each)
            signal.signal(each, lambda number, _: came.append(number))
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, signal.SIG_DFL if handler is None else handler)
        for number in came[:1]:
            signal.raise_signal(number)
