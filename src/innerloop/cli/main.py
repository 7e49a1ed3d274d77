"""The command `innerloop`: a verb and its options; errors in one line, never a traceback."""

import sys
from argparse import ArgumentError
from collections.abc import Sequence
from types import ModuleType

from innerloop import __version__
from innerloop.cli import data, demo, evaluate, report, train
from innerloop.cli.parsing import one_line, settings
from innerloop.errors import InnerloopError, did_you_mean

VERBS: dict[str, ModuleType] = {
    "demo": demo,
    "train": train,
    "evaluate": evaluate,
    "report": report,
    "data": data,
}
BAD_INPUT, INTERRUPTED = 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit code: 0, 2 for what was refused, 130 for Ctrl-C."""
    try:
        return _run(list(sys.argv[1:] if arguments is None else arguments))
    except InnerloopError as error:
        return _refused(str(error))
    except KeyboardInterrupt:
        print(
            "innerloop: interrupted; a run in progress was saved, continue it with `innerloop train --resume`",
            file=sys.stderr,
        )
        return INTERRUPTED


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        return 0
    if arguments[0] == "--version":
        print(f"innerloop {__version__}")
        return 0
    verb = arguments[0]
    if verb not in VERBS:
        return _refused(f"unknown command '{verb}'; known: {', '.join(VERBS)}.{did_you_mean(verb, VERBS)}")
    parser = VERBS[verb].parser()
    parser.prog = f"innerloop {verb}"
    try:
        parsed = parser.parse_args(arguments[1:])
    except ArgumentError as error:
        raise one_line(error, _options(verb)) from error
    VERBS[verb].run(parsed)
    return 0


def _options(verb: str) -> list[str]:
    own = [name.lstrip("-") for action in VERBS[verb].parser()._actions for name in action.option_strings]
    return [*own, *(settings() if verb == "train" else [])]


def usage() -> str:
    """Return what the command offers."""
    lines = [f"  {name:<10}{verb.SUMMARY}" for name, verb in VERBS.items()]
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
    print(f"innerloop: {' '.join(message.split())}", file=sys.stderr)
    return BAD_INPUT
