"""What a race says: milliseconds, ratios round by round, memory, and the share of the matrix product's rate."""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from innerloop.bench import quiet
from innerloop.bench.product import FLOPS
from innerloop.bench.race import Measured, ratios

Row = dict[str, Any]
COLUMNS = ("ms", "times as fast", "rounds", "MiB", "GFLOP/s", "of the product", "apart")


@dataclass(frozen=True)
class Cell:
    """One race.

    Attributes:
        name: What was raced over: setting and order, or a recipe.
        flops: Operations of one mean meta-gradient, done in full.
        measured: Everybody's numbers.
    """

    name: str
    flops: int
    measured: Sequence[Measured]

    @property
    def against(self) -> Measured | None:
        """Whom ratios are taken against: the fastest peer, without peers the plain loop, without it the first."""
        there = [each for each in self.measured if each.seconds and each.contender.kind != "product"]
        peers = [each for each in there if each.contender.kind == "peer"]
        plain = [each for each in there if each.contender.kind == "plain"]
        return min(peers or plain or there[:1], key=lambda each: each.median, default=None)

    def rate(self, precision: str) -> float | None:
        """Return the operations per second of the matrix product of this precision, or None."""
        found = [
            each
            for each in self.measured
            if each.contender.kind == "product" and each.contender.precision == precision and each.seconds
        ]
        return FLOPS / found[0].median if found else None

    def rows(self) -> list[Row]:
        """Return a row a contender, of plain values."""
        return [self._row(each) for each in self.measured]

    def _row(self, one: Measured) -> Row:
        who = one.contender
        row: Row = {"cell": self.name, "contender": who.label, "kind": who.kind, "precision": who.precision}
        if not one.seconds:
            return {**row, "failed": one.failed}
        flops = FLOPS if who.kind == "product" else self.flops
        rate, against = self.rate(who.precision), self.against
        faster = ratios(against, one) if against and who.kind != "product" else []
        return {
            **row,
            "how": one.how,
            "milliseconds": 1000 * one.median,
            "rounds": [1000 * seconds for seconds in one.seconds],
            "first_milliseconds": 1000 * one.first,
            "against": against.contender.label if against else None,
            "times_as_fast": statistics.median(faster) if faster else None,
            "times_as_fast_rounds": faster,
            "others": one.others,
            "mebibytes": one.mebibytes,
            "gflops_per_second": flops / one.median / 1e9,
            "share_of_product": flops / one.median / rate if rate else None,
            "loss": one.loss,
            "apart": one.apart,
            "notes": one.notes,
        }


def markdown(cell: Cell) -> str:
    """Return the race as a table with a line a contender, and under it what has to be said of it."""
    rows = [(f"{cell.name}, {1e-9 * cell.flops:.0f} GFLOP", *COLUMNS), *map(_written, cell.rows())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS) + 1)]
    lines = [f"| {row[0].ljust(widths[0])} | " + " | ".join(map(str.rjust, row[1:], widths[1:])) + " |" for row in rows]
    rule = f"|{'-' * (widths[0] + 2)}|" + "".join(f"{'-' * (width + 1)}:|" for width in widths[1:])
    return "\n".join([lines[0], rule, *lines[1:], *(f"\n{said}" for said in _said(cell))])


def _written(row: Row) -> tuple[str, ...]:
    if "failed" in row:
        return (row["contender"], "fails", *[""] * (len(COLUMNS) - 1))
    name = row["contender"] if row["how"] in row["contender"] else f"{row['contender']} ({row['how']})"
    faster, share, apart = row["times_as_fast_rounds"], row["share_of_product"], row["apart"]
    return (
        name,
        f"{row['milliseconds']:.0f}",
        f"{row['times_as_fast']:.2f}" if faster else "",
        f"{min(faster):.2f} to {max(faster):.2f}" if faster else "",
        f"{row['mebibytes']:.0f}" if row["kind"] != "product" else "",
        f"{row['gflops_per_second']:.0f}",
        f"{100 * share:.0f}%" if share is not None and row["kind"] != "product" else "",
        f"{apart:.0e}" if apart is not None else "",
    )


def _said(cell: Cell) -> Iterator[str]:
    if cell.against:
        yield f"Times as fast: as {cell.against.contender.label}."
    for each in cell.measured:
        for note in [f"fails: {each.failed}"] * (each.failed is not None) + each.notes:
            yield f"{each.contender.label}: {note}"
    most = max((each.others for each in cell.measured), default=0.0)
    if most > quiet.LIMIT:
        yield f"Other processes took up to {100 * most:.0f}% of the cores; measure again when they are done."
