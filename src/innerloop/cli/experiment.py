"""`innerloop experiment`: try theory in a world that needs no learner, and keep numbers and figures in a new folder."""

import json
from dataclasses import asdict
from typing import Any

import dacite
from jsonargparse import ArgumentParser, Namespace

from innerloop.analysis import EXPERIMENTS
from innerloop.analysis.values import to_values
from innerloop.cli.explain import write_figures
from innerloop.cli.parsing import AS_GIVEN, new_parser
from innerloop.cli.places import command_line, new_folder
from innerloop.cli.progress import console, watched
from innerloop.errors import unknown_name
from innerloop.figures.registry import EXPERIMENT_FIGURES
from innerloop.report.sections import EXPERIMENT_SECTIONS
from innerloop.runs import provenance
from innerloop.runs.files import make_folder, write_whole


def parser() -> ArgumentParser:
    """Return the verb's parser."""
    verb = new_parser()
    known = "; ".join(f"{name}: {each.summary}" for name, each in EXPERIMENTS.items())
    verb.add_argument("name", type=str, help=f"Which experiment. {known}.")
    verb.add_argument("--out", type=str | None, default=None, help="New folder for its results [runs/NAME].")
    for name, experiment in EXPERIMENTS.items():
        verb.add_class_arguments(experiment.settings, nested_key=name)
    return verb


def run(parsed: Namespace) -> None:
    """Measure, keep, and say it."""
    name = parsed.name
    if name not in EXPERIMENTS:
        raise unknown_name("experiment", name, EXPERIMENTS)
    settings: Any = dacite.from_dict(EXPERIMENTS[name].settings, parsed[name].as_dict(), AS_GIVEN)
    folder = new_folder(parsed.out, name)
    make_folder(folder, parents=True)
    result = EXPERIMENTS[name].measure(settings, watched)
    kept: dict[str, Any] = {
        **provenance(command_line()),
        "experiment": name,
        "settings": asdict(settings),
        "values": to_values(result),
    }
    write_figures(folder, EXPERIMENT_FIGURES[name](result))
    write_whole(folder / "result.json", json.dumps(kept, allow_nan=False, indent=1) + "\n")
    console.print(EXPERIMENT_SECTIONS[name].say(result), soft_wrap=True)
    console.print(f"Numbers and figures: {folder}", soft_wrap=True)
