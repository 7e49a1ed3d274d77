"""`innerloop data list`: which data sets there are."""

from jsonargparse import ArgumentParser, Namespace

from innerloop.cli.parsing import new_parser
from innerloop.cli.progress import console
from innerloop.data import DATASETS
from innerloop.errors import unknown_name

ACTIONS = ("list",)


def parser() -> ArgumentParser:
    """Return the verb's parser."""
    verb = new_parser()
    verb.add_argument("action", type=str, help="list: every data set with its source.")
    return verb


def run(parsed: Namespace) -> None:
    """List."""
    if parsed.action not in ACTIONS:
        raise unknown_name("action of data", parsed.action, ACTIONS)
    for name, source in DATASETS.items():
        options = f"\n    takes  {', '.join(f'--data.{option}' for option in source.options)}" if source.options else ""
        console.print(f"{name}\n    {source.summary}\n    from   {source.source}{options}", highlight=False)
