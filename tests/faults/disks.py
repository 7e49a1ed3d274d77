"""Disks that are full, read-only or somebody else's: real ones where the machine allows to mount them."""

import ctypes
import os
import resource
import subprocess
from pathlib import Path

import pytest

PAGE = os.sysconf("SC_PAGESIZE")
DROP_FROM_BOUNDS, PASS_OVER_MODES, PASS_OVER_READ_MODES = 24, 1, 2  # prctl and two capabilities, as Linux numbers them


class Disk:
    """A file system of its own in memory, of a size; `release` it."""

    def __init__(self, place: Path, size: int = 1 << 20) -> None:
        self.place = place
        place.mkdir()
        done = self._run("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place))
        if done.returncode:
            pytest.skip(f"no file system of its own can be mounted here: {done.stderr.strip()}")

    def fill(self, left: int = 0) -> None:
        """Leave so many bytes free."""
        state = os.statvfs(self.place)
        free = state.f_bavail * state.f_frsize
        with (self.place / "filler").open("ab") as file:
            file.write(bytes(max(0, free - left)))

    def free(self) -> None:
        """Take away what filled it."""
        (self.place / "filler").unlink()

    def grow(self, size: int) -> None:
        """Be of another size."""
        self._remount(f"size={size}")

    def read_only(self, is_so: bool = True) -> None:
        """Refuse whoever would write, or no longer."""
        self._remount("ro" if is_so else "rw")

    def _remount(self, options: str) -> None:
        done = self._run("mount", "-o", f"remount,{options}", str(self.place))
        assert done.returncode == 0, done.stderr

    def release(self) -> None:
        """Unmount it."""
        self._run("umount", "--lazy", str(self.place))

    @staticmethod
    def _run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(words, capture_output=True, text=True, check=False)


def held_to_modes() -> None:
    """Let what this process is about to become obey the modes of files, as everybody but root has to."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    for capability in (PASS_OVER_MODES, PASS_OVER_READ_MODES):
        if os.geteuid() == 0 and prctl(DROP_FROM_BOUNDS, capability, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "a capability cannot be dropped")


def quota(size: int) -> None:
    """Let this process write no file beyond a size; Python ignores the signal that says so, and gets an error."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
