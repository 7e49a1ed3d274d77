"""How far training moved class means apart, over the cells of a sweep that recorded `record.cosine`, as a table.

    python benchmarks/scatter.py FOLDER_OF_THE_SWEEP

Mean over seeds of the squared scatter of class means and within classes (probe episodes), before training and after.
"""

import json
import sys
from pathlib import Path
from statistics import mean

KINDS = ("between_classes", "within_classes")


def main() -> None:
    """Print the table from the sweep's numbers."""
    cells = json.loads((Path(sys.argv[1]) / "sweep.json").read_text(encoding="utf-8"))["cells"]
    print("| cell | seeds | class means, before | after | each seed | within classes, before | after |")
    print("|---|---|---|---|---|---|---|")
    for cell in cells:
        between, within = ([run["curves"][f"cosine.{kind}"]["values"] for run in cell["runs"]] for kind in KINDS)
        first, last = ([mean(values[place] for values in kind) for kind in (between, within)] for place in (0, -1))
        seeds = ", ".join(f"{values[-1]:.1f}" for values in between)
        row = (
            cell["name"],
            len(between),
            f"{first[0]:.1f}",
            f"{last[0]:.1f}",
            seeds,
            f"{first[1]:.1f}",
            f"{last[1]:.1f}",
        )
        print(f"| {' | '.join(map(str, row))} |")


if __name__ == "__main__":
    main()
