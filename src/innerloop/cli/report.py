"""`innerloop report`: one run explained, or several compared, as one self-contained HTML page."""

from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from innerloop.cli.parsing import new_parser
from innerloop.cli.progress import console
from innerloop.errors import RunError
from innerloop.report import render
from innerloop.runs import open_together
from innerloop.runs.files import write_whole


def parser() -> ArgumentParser:
    """Return the verb's parser."""
    verb = new_parser()
    verb.add_argument("runs", type=str, nargs="+", help="Folders of the runs, in the order to be shown in.")
    verb.add_argument("--out", type=str | None, default=None, help="The page [report.html in the first run's folder].")
    verb.add_argument("--title", type=str, default="innerloop report", help="The page's heading.")
    return verb


def run(parsed: Namespace) -> None:
    """Write the page."""
    opened = open_together(parsed.runs)
    place = Path(parsed.out or Path(parsed.runs[0]) / "report.html")
    if not place.parent.is_dir():
        raise RunError(f"expected a folder for the page, got '{place.parent}'; make it or choose another with --out")
    write_whole(place, render(opened, parsed.title))
    console.print(f"Report: {place}", soft_wrap=True)
