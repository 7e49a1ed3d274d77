"""history.jsonl: one line of plain values for every outer step, appended as training goes."""

import json
from functools import partial
from pathlib import Path
from typing import Any

from innerloop.errors import DiskError, RunError
from innerloop.plain import parse_json
from innerloop.runs.files import write_whole

Record = dict[str, Any]
KINDS = {"skipped": str, "unscored": str, "engine": str} | dict.fromkeys(
    ("loss", "accuracy", "seconds", "outer_lr", "gradient_norm"), int | float
)
LONGEST = 1_000_000  # bytes of a line, which has some hundreds


def append(place: Path, record: Record) -> None:
    """Add one line, flushed.

    Raises:
        DiskError: The file cannot be written.
    """
    try:
        with place.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
    except OSError as error:
        raise DiskError(f"expected to append to '{place}', got: {error.strerror}; free some space") from error


def read(place: Path) -> list[Record]:
    """Read all whole lines; a last line torn by an interruption is left out.

    Raises:
        RunError: A whole line is damaged.
    """
    if place.exists() and not place.is_file():
        raise RunError(f"expected a file at '{place}', got something else (a pipe or a device); restore the file")
    records: list[Record] = []
    try:
        with place.open("rb") as file:
            for number, line in enumerate(iter(partial(file.readline, LONGEST), b""), 1):
                try:
                    records.append(_record(line, after=records[-1]["step"] if records else -1))
                except ValueError as error:
                    if line.endswith(b"\n") or file.read(1):  # else it is the last, and torn
                        raise RunError(
                            f"expected a step's record in line {number} of '{place}', got: {error!s:.200}; repair it"
                        ) from error
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RunError(f"expected text in '{place}', got: {error.strerror}; restore the file") from error
    return records


def _record(line: bytes, after: int) -> Record:
    record = parse_json(line.decode(), finite=False)
    if not isinstance(record, dict):
        raise ValueError("no record of a step")
    if type(record.get("step")) is not int or record["step"] < 0:
        raise ValueError("no number of outer steps")
    if record["step"] <= after:
        raise ValueError(f"outer step {record['step']} after step {after}")
    for name, value in record.items():
        if not isinstance(value, KINDS.get(name, object)):
            raise ValueError(f"{name} that is none")
    return record


def keep_until(place: Path, step: int) -> None:
    """Drop the records of outer steps after `step`, and a torn last line: a continued run writes them again."""
    kept = [record for record in read(place) if record["step"] <= step]
    write_whole(place, "".join(json.dumps(record) + "\n" for record in kept))
