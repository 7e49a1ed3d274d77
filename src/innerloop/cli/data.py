"""`innerloop data list | prepare NAME | show NAME`: which data sets there are, and what is in them."""

from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from innerloop.cli.parsing import add_data, new_parser, to_data
from innerloop.cli.progress import console, watched
from innerloop.data import DATASETS, DataConfig, load
from innerloop.data.episode import EpisodeShape
from innerloop.data.family import Family
from innerloop.data.sampler import check, choose, draw, gather
from innerloop.data.split import TEST, DataSet, Split
from innerloop.errors import ConfigError, unknown_name
from innerloop.figures import episode as episode_figure
from innerloop.figures.style import to_png
from innerloop.runs.files import write_whole

ACTIONS = ("list", "prepare", "show")
MOST_NUMBERS = 6  # of an example's inputs, printed


def parser() -> ArgumentParser:
    """Return the verb's parser."""
    verb = new_parser()
    verb.add_argument("action", type=str, help="list data sets; prepare one; show one and an episode of it.")
    verb.add_argument("name", type=str | None, nargs="?", default=None, help="Which data set.")
    add_data(verb, named=False)
    verb.add_argument("--split", type=str, default=TEST, help="show: side the episode is drawn from.")
    verb.add_argument("--episode", type=int, default=0, help="show: number of the episode.")
    verb.add_argument("--n_way", type=int, default=5, help="show: classes of the episode.")
    verb.add_argument("--k_shot", type=int, default=1, help="show: support examples a class.")
    verb.add_argument("--n_queries", type=int, default=7, help="show: query examples a class.")
    verb.add_argument("--seed", type=int, default=0, help="show: whose episode.")
    verb.add_argument("--out", type=str | None, default=None, help="show: contact sheet of the episode, a PNG file.")
    return verb


def run(parsed: Namespace) -> None:
    """List, prepare or show."""
    if parsed.action not in ACTIONS:
        raise unknown_name("action of data", parsed.action, ACTIONS)
    if parsed.action == "list":
        _list(parsed.name)
        return
    if parsed.name is None:
        raise ConfigError(f"expected a data set after '{parsed.action}', got none; `innerloop data list` names them")
    config = to_data(parsed, DataConfig(parsed.name))
    if parsed.out is not None:
        _check_place(Path(parsed.out))
    data = load(config, watched)
    if parsed.action != "show":
        _describe(data)
        return
    split = data.split(parsed.split)
    shape = EpisodeShape(parsed.n_way, parsed.k_shot, parsed.n_queries)
    check(split, shape)
    if parsed.out is not None:
        _check_pictures(split)
    _describe(data)
    if isinstance(split, Family):
        _show_numbers(split, shape, parsed)
    else:
        _show(split, shape, parsed)


def _check_place(out: Path) -> None:
    if not out.parent.is_dir() or out.is_dir():
        raise ConfigError(f"expected a file in a folder that is there for --out, got '{out}'; choose another place")


def _check_pictures(split: Split | Family) -> None:
    if isinstance(split, Family) or not episode_figure.is_picture(split.input_shape):
        shape = split.input_shape
        likely = ", which looks like channels last: save inputs.transpose(0, 3, 1, 2)" if shape[-1] in (1, 3) else ""
        raise ConfigError(
            f"expected images [channel height width] of 1 or 3 channels for a contact sheet, got inputs of shape "
            f"{shape}{likely if len(shape) == 3 else ''}; leave --out"
        )


def _list(only: str | None) -> None:
    if only is not None and only not in DATASETS:
        raise unknown_name("data set", only, DATASETS)
    for name in DATASETS if only is None else [only]:
        source = DATASETS[name]
        options = ", ".join(f"--data.{option}" for option in source.options)
        takes = f"\n    takes  {options}" if options else ""
        console.print(f"{name}\n    {source.summary}\n    from   {source.source}{takes}", soft_wrap=True)


def _describe(data: DataSet) -> None:
    for side, split in data.splits.items():
        shape = "x".join(map(str, split.input_shape))
        if isinstance(split, Family):
            console.print(f"{data.name} {side}: tasks given by a formula, inputs of {shape}")
            continue
        sizes = sorted(len(members) for members in split.members)
        each = f"{sizes[0]}" if sizes[0] == sizes[-1] else f"{sizes[0]} to {sizes[-1]}"
        console.print(f"{data.name} {side}: {len(split)} classes, {each} examples each, {shape}")
    if data.left_out:
        console.print(f"left out: {len(data.left_out)}")
        for name, reason in data.left_out:
            console.print(f"    {name}: {reason}", soft_wrap=True)


def _show_numbers(family: Family, shape: EpisodeShape, parsed: Namespace) -> None:
    """Print an episode that a formula gives: for each example the inputs and its target."""
    console.print(f"episode {parsed.episode} of seed {parsed.seed}, {shape.described(family.outputs is None)}")
    for what, examples in zip(("support", "query"), draw(family, shape, parsed.seed, parsed.episode), strict=True):
        for inputs, target in zip(examples.inputs.tolist(), examples.targets.reshape(-1).tolist(), strict=True):
            numbers = " ".join(f"{value:.3f}" for value in inputs[:MOST_NUMBERS])
            more = f" and {len(inputs) - MOST_NUMBERS} more" if len(inputs) > MOST_NUMBERS else ""
            console.print(f"    {what:<8}{numbers}{more} -> {round(target, 3)}", soft_wrap=True)


def _show(split: Split, shape: EpisodeShape, parsed: Namespace) -> None:
    choice = choose(split, shape, parsed.seed, parsed.episode)
    names = split.names()
    console.print(f"episode {parsed.episode} of seed {parsed.seed}, {shape}")
    for slot, (each, support, query) in enumerate(zip(*choice, strict=True)):
        console.print(f"    slot {slot}: {split.class_names[each]}", soft_wrap=True)
        for what, ids in (("support", support), ("query", query)):
            console.print(f"        {what:<8}{', '.join(names[index] for index in ids)}", soft_wrap=True)
    if parsed.out is not None:
        titles = [split.class_names[each] for each in choice.classes]
        write_whole(Path(parsed.out), to_png(episode_figure.draw(gather(split, choice), class_names=titles)))
        console.print(f"Sheet: {parsed.out}", soft_wrap=True)
