"""The command `innerloop`: a verb and its options; errors in one line, never a traceback."""

import io
import os
import sys
import warnings
from argparse import ArgumentError
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import TextIO

from innerloop import __version__
from innerloop.cli.ending import INTERRUPTED, TERMINATED, Ending
from innerloop.cli.memory import keep_big_blocks
from innerloop.errors import InnerloopError, InnerloopWarning, RankError, did_you_mean, on_one_line

VERBS = {
    "demo": "train three learners, test them, and write a report that says which wins and why (under five minutes)",
    "train": "meta-train a learner by a recipe, or continue a run",
    "evaluate": "test a trained learner on classes it has never seen",
    "explain": "measure why a trained learner does what it does, with figures",
    "experiment": "try theory in worlds that need no learner: simulate, compare, draw",
    "sweep": "cross settings of a recipe, train every cell for every seed, and tell all as one page",
    "report": "write one self-contained HTML page about one run, or comparing several",
    "data": "say which data sets there are",
    "bench": "measure what one outer gradient costs on this machine, by engine",
}
BAD_INPUT = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit code: 0, 2 for what was refused, 130 for Ctrl-C, 143 for SIGTERM.

    Args:
        arguments: The verb and its options; by default the process's own, and then the process is about to end.
    """
    ending = Ending()
    if arguments is not None:
        try:
            return _ended(list(arguments), ending)
        finally:
            ending.undo()
    code = _ended(sys.argv[1:], ending)
    for stream in (sys.stdout, sys.stderr):
        _flush(stream)
    if code in (INTERRUPTED, TERMINATED):
        os._exit(code)  # Python would wait for threads whose work nobody wants any more
    return code


def _ended(arguments: list[str], ending: Ending) -> int:
    """Run one verb, say in one line what went wrong, and return the exit code."""
    try:
        ending.begin()
        code = _answered(arguments, ending)
        ending.is_over()
    except KeyboardInterrupt:
        ending.is_over()
        _say("interrupted; what was finished is kept")
        return INTERRUPTED
    except SystemExit as end:  # SIGTERM, or --help
        ending.is_over()
        return end.code if isinstance(end.code, int) else 0
    return code


def _answered(arguments: list[str], ending: Ending) -> int:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal without a letter still gets the line
    try:
        code = _run(arguments, ending)
        sys.stdout.flush()
        return code
    except RankError as error:
        _refused(str(error))
        os._exit(BAD_INPUT)  # Python would wait for connections to a rank that hangs
    except InnerloopError as error:
        return _refused(str(error))
    except (OSError, UnicodeError) as error:
        return _refused(f"expected files and names that can be read and written, got: {error}; check the path")
    except (MemoryError, RuntimeError) as error:
        if not _is_too_large(error):
            raise
        return _refused(
            f"expected what was asked for to fit into memory, got: {str(error)[-200:]}; ask for a smaller network, for "
            "fewer tasks or examples at once, or for smaller numbers"
        )


def _flush(stream: TextIO) -> None:
    """Let go of what cannot be shown, so that Python does not try, and complain, once more."""
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _run(arguments: list[str], ending: Ending) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        return 0
    if arguments[0] == "--version":
        print(f"innerloop {__version__}")
        return 0
    verb = arguments[0]
    if verb not in VERBS:
        return _refused(f"unknown command '{verb}'; known: {', '.join(VERBS)}.{did_you_mean(verb, VERBS)}")
    keep_big_blocks()
    warnings.simplefilter("always", InnerloopWarning)
    warnings.showwarning = _warned
    # Imported only now: help and version need neither matplotlib nor scikit-learn. A signal meanwhile ends the process
    # at once: raised inside a library that is being loaded, it can end as a crash.
    with ending.at_once():
        room = import_module(f"innerloop.cli.{verb}")
        parsing = import_module("innerloop.cli.parsing")
    parser = room.parser()
    parser.prog, parser.description = f"innerloop {verb}", f"{VERBS[verb][0].upper()}{VERBS[verb][1:]}."
    try:
        parsed = parser.parse_args(arguments[1:])
        parsed.arguments = arguments[1:]
    except ArgumentError as error:
        raise parsing.one_line(error, parsing.options(parser)) from error
    room.run(parsed)
    return 0


TOO_LARGE = ("can't allocate memory", "out of memory", "size calculation overflowed", "without overflow")


def _is_too_large(error: MemoryError | RuntimeError) -> bool:
    """Whether it says so: torch has no error of its own for the memory of a CPU, nor for numbers beyond its own."""
    said = str(error).lower()
    return isinstance(error, MemoryError) or any(words in said for words in TOO_LARGE)


def _warned(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: object, **__: object
) -> None:
    """Say a warning in one line: one of ours as it is, another with its place."""
    where = "" if issubclass(category, InnerloopWarning) else f"{filename}:{lineno}: {category.__name__}: "
    _say(f"{where}{message}")


def usage() -> str:
    """Return what the command offers."""
    lines = [f"  {name:<11}{summary}" for name, summary in VERBS.items()]
    return "\n".join(
        [
            "usage: innerloop COMMAND [options]",
            "",
            "Train gradient-based meta-learners, and explain them.",
            "",
            *lines,
            "",
            "innerloop COMMAND --help   all options of a command",
            "innerloop --version        the version",
        ]
    )


def _refused(message: str) -> int:
    _say(message)
    return BAD_INPUT


def _say(message: str) -> None:
    with suppress(OSError):  # there may be nobody to hear it
        print(f"innerloop: {on_one_line(message)}", file=sys.stderr, flush=True)
