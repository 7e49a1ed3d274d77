"""Fuzz one reader by coverage for as long as wanted: `python tests/fuzz/atheris_readers.py TARGET -max_total_time=60`.

What stands after the target's name goes to libFuzzer (`-runs=N`, `-max_total_time=S`, `-seed=N`, or a file that was
found). Needs the extra `fuzz`, on Linux. Memory is held against a limit by libFuzzer, time against a patience.
"""

import logging
import sys
import tempfile
from pathlib import Path

import atheris

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

with atheris.instrument_imports(include=["innerloop", "yaml", "json", "zipfile", "csv", "dacite", "numpy.lib", "PIL"]):
    from fuzz.targets import TARGETS, harmless

LIMITS = ("-rss_limit_mb=3000", "-timeout=30", "-max_len=20000")


def main() -> None:
    """Fuzz the target that is named first."""
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"expected a target, one of {', '.join(TARGETS)}, got {sys.argv[1:2] or 'none'}; name one")
    target = TARGETS[sys.argv[1]]
    logging.disable()
    with tempfile.TemporaryDirectory() as home:
        seeds, folder = Path(home, "seeds"), Path(home, "folder")
        seeds.mkdir()
        folder.mkdir()
        for number, content in enumerate(target.whole()):
            (seeds / str(number)).write_bytes(content)

        def one(content: bytes) -> None:
            harmless(target, folder, content)

        given = sys.argv[2:]
        own = [] if any(not each.startswith("-") for each in given) else [str(seeds)]
        atheris.Setup([sys.argv[0], *LIMITS, *given, *own], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
