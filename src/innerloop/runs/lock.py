"""Who writes a run: one process at a time, known by a lock on a file in the run's folder.

The system lets go of the lock when its process ends, however it ends, so what a dead process left behind holds nobody
up. The file says who holds it.
"""

import json
import os
import platform
import warnings
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None  # type: ignore[assignment]

from innerloop.errors import DiskError, RunError, RunWarning
from innerloop.plain import parse_json

NAME = "lock"
NO_LINK = getattr(os, "O_NOFOLLOW", 0)


class Lock:
    """The right to write a run, from the moment it is made until it is released, or its process ends. A context.

    Args:
        folder: The run's, which is there.

    Raises:
        RunError: Another process has it.
        DiskError: The folder cannot be written.

    Warns:
        RunWarning: The system or the folder's file system has no locks.
    """

    def __init__(self, folder: Path) -> None:
        self._place, self._file, self._process = folder / NAME, -1, os.getpid()
        try:
            self._file = self._taken()
        except OSError as error:
            raise DiskError(
                f"expected to write '{self._place}', got: {error.strerror}; let the run be written"
            ) from error

    def release(self) -> None:
        """Let others write."""
        if self._file >= 0 and os.getpid() == self._process:  # not in a copy that was forked off
            file, self._file = self._file, -1
            with suppress(OSError):  # the disk may be read-only by now; a file without a lock holds nobody up
                self._place.unlink()
            os.close(file)

    def __enter__(self) -> "Lock":
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    __del__ = release  # where a run was prepared, and never went on

    def _taken(self) -> int:
        """Return the locked file, open."""
        while True:
            file = os.open(self._place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | NO_LINK, 0o644)
            try:
                if not self._is_ours(file):
                    os.close(file)  # its holder released it meanwhile, and took the file away
                    continue
                os.ftruncate(file, 0)
                os.write(file, _own().encode())
            except BaseException:
                os.close(file)
                raise
            return file

    def _is_ours(self, file: int) -> bool:
        """Lock the file, and return whether it is still the one that others would find."""
        try:
            if fcntl is None:
                raise OSError("no locks here")
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(
                f"expected '{self._place.parent}' for this process alone, got it written by {_told(file)}; wait until "
                "that has ended, or stop it"
            ) from None
        except OSError as error:
            warnings.warn(
                f"'{self._place.parent}' cannot be locked here ({error.strerror or error}): see to it yourself that no "
                "other process writes it",
                RunWarning,
                stacklevel=2,
            )
            return True
        try:
            return os.path.samestat(os.fstat(file), self._place.stat())
        except FileNotFoundError:
            return False


def _own() -> str:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return json.dumps({"process": os.getpid(), "machine": platform.node(), "since": now}) + "\n"


def _told(file: int) -> str:
    """Say who holds a lock, by what it wrote into the file."""
    try:
        owner = parse_json(os.pread(file, 1000, 0).decode())
        return f"process {int(owner['process'])} on {owner['machine']!s:.80} since {owner['since']!s:.40}"
    except (OSError, ValueError, LookupError, TypeError):
        return "another process"
