"""What a race says: milliseconds, ratios round by round, memory, and the share of the matrix product's rate."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from innerloop.bench import quiet
from innerloop.bench.product import FLOPS
from innerloop.bench.race import Measured, ratios

Row = dict[str, Any]


@dataclass(frozen=True)
class Cell:
    """One race.

    Attributes:
        name: Setting and order.
        flops: Operations of one mean meta-gradient by the plain loop.
        measured: Everybody's numbers.
    """

    name: str
    flops: int
    measured: Sequence[Measured]

    @property
    def against(self) -> Measured | None:
        """Whom ratios are taken against: the fastest peer, or without peers the plain loop, or the first there is."""
        there = [each for each in self.measured if each.seconds and each.kind != "product"]
        peers = [each for each in there if each.kind == "peer"]
        plain = [each for each in there if each.kind == "plain"]
        return min(peers or plain or there[:1], key=lambda each: each.median, default=None)

    def rate(self, precision: str) -> float | None:
        """Return the operations per second of the matrix product of this type, or None."""
        found = [
            each for each in self.measured if each.kind == "product" and each.precision == precision and each.seconds
        ]
        return FLOPS / found[0].median if found else None

    def rows(self) -> list[Row]:
        """Return a row a contender, of plain values."""
        return [self._row(each) for each in self.measured]

    def _row(self, one: Measured) -> Row:
        row: Row = {"cell": self.name, "contender": one.label, "kind": one.kind, "precision": one.precision}
        if not one.seconds:
            return {**row, "failed": one.failed}
        flops = FLOPS if one.kind == "product" else self.flops
        rate, against = self.rate(one.precision), self.against
        faster = ratios(against, one) if against and one.kind != "product" else []
        return {
            **row,
            "milliseconds": 1000 * one.median,
            "rounds": [1000 * seconds for seconds in one.seconds],
            "first_milliseconds": 1000 * one.first,
            "against": against.label if against else None,
            "times_faster": statistics.median(faster) if faster else None,
            "times_faster_rounds": faster,
            "others": one.others,
            "mebibytes": one.mebibytes,
            "gflops_per_second": flops / one.median / 1e9,
            "share_of_product": flops / one.median / rate if rate else None,
            "loss": one.loss,
            "apart": one.apart,
        }


def markdown(cells: Sequence[Cell]) -> str:
    """Return one table a race."""
    return "\n\n".join(_markdown(cell) for cell in cells)


def _markdown(cell: Cell) -> str:
    against = cell.against
    head = (
        f"| {cell.name} | ms | times as fast as {against.label if against else '-'} (rounds) | MiB | GFLOP/s | share |"
    )
    lines = [f"{head} apart |", "|---|---|---|---|---|---|---|"]
    for row in cell.rows():
        if "failed" in row:
            lines.append(f"| {row['contender']} | fails: {row['failed']} | | | | | |")
            continue
        faster = row["times_faster_rounds"]
        times = f"{row['times_faster']:.2f} ({min(faster):.2f} to {max(faster):.2f})" if faster else ""
        share = f"{100 * row['share_of_product']:.0f}%" if row["share_of_product"] is not None else ""
        apart = f"{row['apart']:.0e}" if row["apart"] is not None else ""
        lines.append(
            f"| {row['contender']} | {row['milliseconds']:.0f} | {times} | {row['mebibytes']:.0f} | "
            f"{row['gflops_per_second']:.0f} | {share} | {apart} |"
        )
    most = max((each.others for each in cell.measured), default=0.0)
    if most > quiet.LIMIT:
        lines.append(f"\nOther processes took up to {100 * most:.0f}% of the cores: measure again on a quiet machine.")
    return "\n".join(lines)
