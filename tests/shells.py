"""The command line as a user has it: the installed command, or the same in this process."""

import contextlib
import io
import os
import signal
import subprocess
import sys
from pathlib import Path

from innerloop.cli.main import main

COMMAND = Path(sys.executable).with_name("innerloop")


class Shell:
    """The installed command, run as a user would, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *arguments, code=0, env=None):
        done = subprocess.run(
            [str(COMMAND), *map(str, arguments)],
            cwd=self.folder,
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout if code == 0 else done.stderr

    def refused(self, *arguments):
        """Run what must be refused: exit code 2, one line, no traceback."""
        message = self(*arguments, code=2)
        assert message.startswith("innerloop: ")
        assert message.count("\n") == 1, message
        return message


class InProcess(Shell):
    """The same command line without a process of its own: what has many commands to try would wait for torch."""

    def __call__(self, *arguments, code=0):
        words = [str(each) for each in arguments]
        out, err = io.StringIO(), io.StringIO()
        before, handler = sys.argv, signal.getsignal(signal.SIGTERM)
        with contextlib.chdir(self.folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            sys.argv = ["innerloop", *words]
            try:
                done = main(words)
            except SystemExit as end:  # --help ends so
                done = end.code or 0
            finally:
                sys.argv = before
                signal.signal(signal.SIGTERM, handler)
        assert done == code, f"exit code {done}\n{out.getvalue()}\n{err.getvalue()}"
        return out.getvalue() if code == 0 else err.getvalue()
