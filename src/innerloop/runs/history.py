"""history.jsonl: one line of plain values for every outer step, appended as training goes."""

import json
from pathlib import Path
from typing import Any

from innerloop.errors import RunError
from innerloop.runs.files import write_whole

Record = dict[str, Any]


def append(place: Path, record: Record) -> None:
    """Add one line, flushed.

    Raises:
        RunError: The file cannot be written.
    """
    try:
        with place.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
    except OSError as error:
        raise RunError(f"expected to append to '{place}', got: {error.strerror}; free some space") from error


def read(place: Path) -> list[Record]:
    """Read all whole lines; a last line torn by an interruption is left out.

    Raises:
        RunError: A line before the last is damaged.
    """
    if not place.exists():
        return []
    try:
        lines = place.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError) as error:
        raise RunError(f"expected text in '{place}', got: {error}; restore the file") from error
    records: list[Record] = []
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
            if not isinstance(record, dict) or not isinstance(record.get("step"), int):
                raise ValueError("no record of a step")
            records.append(record)
        except ValueError as error:
            if number < len(lines):
                raise RunError(f"expected JSON in line {number} of '{place}', got: {error}; repair it") from error
    return records


def keep_until(place: Path, step: int) -> None:
    """Drop the records of outer steps after `step`: a continued run writes them again."""
    kept = [record for record in read(place) if record["step"] <= step]
    write_whole(place, "".join(json.dumps(record) + "\n" for record in kept))
