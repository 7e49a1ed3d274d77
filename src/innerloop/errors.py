"""What can go wrong, said in three parts: what was expected, what was found, what to do.

One root and its leaves. The command line prints the message as one line and exits with code 2.
"""

from collections.abc import Iterable
from difflib import get_close_matches

LONGEST, ENDING = 1200, 400  # letters of a message, and of these how many at its end, where the cure stands


class InnerloopError(Exception):
    """Anything innerloop refuses to do, with the cure in the message: one line, whatever it quotes."""

    def __init__(self, message: str) -> None:
        super().__init__(on_one_line(message))


class ConfigError(InnerloopError):
    """A setting outside what it may be."""


class DataError(InnerloopError):
    """A data set that is missing, damaged, leaking, or too small for what was asked."""


class DivergedError(InnerloopError):
    """A loss or a gradient that is not finite."""


class RunError(InnerloopError):
    """A run folder that cannot be made, opened or continued."""


class DamagedError(RunError):
    """A file of a run that does not hold what was written into it."""


class DiskError(InnerloopError):
    """What the disk does not take: it is full, read-only, or somebody else's."""


class RankError(InnerloopError):
    """Ranks that disagree, or one that is gone."""


class InnerloopWarning(UserWarning):
    """What a user should know of, while the work goes on; one line."""


class RunWarning(InnerloopWarning):
    """A run goes on from elsewhere, or on another machine, than it would have."""


class EngineWarning(InnerloopWarning):
    """An engine goes on in another way than it was asked to; results stay the same to rounding."""


def on_one_line(text: str, longest: int = LONGEST, ending: int = ENDING) -> str:
    """Return a text on one line, cut in its middle where it is long, with what a terminal would obey made visible."""
    line = " ".join(text.split())
    if len(line) > longest:
        line = f"{line[: longest - ending - 3]} … {line[-ending:]}"
    # A name out of a file may hold escape sequences, or marks that turn the rest of the line round.
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in line)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `" Did you mean 'maml'?"`, or nothing when no known name is close."""
    close = get_close_matches(name, list(known), n=1)
    return f" Did you mean '{close[0]}'?" if close else ""


def one_of(setting: str, value: str, known: Iterable[str]) -> None:
    """Refuse a value that is not one of those a setting knows.

    Raises:
        ConfigError: It is none of them.
    """
    names = list(known)
    if value not in names:
        raise ConfigError(
            f"expected {setting} to be one of {', '.join(names)}, got '{value}'.{did_you_mean(value, names)}"
        )


def unknown_name(kind: str, name: str, known: Iterable[str]) -> ConfigError:
    """Build the error for a name that is not in a registry."""
    names = sorted(known)
    return ConfigError(f"unknown {kind} '{name}'; known: {', '.join(names)}.{did_you_mean(name, names)}")
