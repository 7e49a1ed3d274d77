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
    lines = place.read_text(encoding="utf-8").splitlines()
    records: list[Record] = []
    for number, line in enumerate(lines, 1):
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError as error:
            if number < len(lines):
                raise RunError(f"expected JSON in line {number} of '{place}', got: {error.msg}; repair it") from error
    return records


def keep_until(place: Path, step: int) -> None:
    """Drop the records of outer steps after `step`: a continued run writes them again."""
    kept = [record for record in read(place) if record["step"] <= step]
    write_whole(place, "".join(json.dumps(record) + "\n" for record in kept))
