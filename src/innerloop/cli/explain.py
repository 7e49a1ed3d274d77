"""`innerloop explain`: measure why a trained learner does what it does, and keep numbers and figures in its run."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, Namespace

from innerloop.analysis import ANALYSES, Subject, probes
from innerloop.analysis.values import to_values
from innerloop.cli.evaluate import unseen
from innerloop.cli.parsing import add_data, new_parser, only_given, options, to_data
from innerloop.cli.places import command_line
from innerloop.cli.progress import console, counted, watched
from innerloop.data import DataConfig, load
from innerloop.data.episode import EpisodeShape
from innerloop.data.split import TEST, DataSet
from innerloop.errors import ConfigError, DiskError, InnerloopError, unknown_name
from innerloop.figures.registry import FIGURES
from innerloop.figures.style import to_pdf, to_png, to_svg
from innerloop.figures.training import label
from innerloop.report.sections import SECTIONS
from innerloop.report.words import capital
from innerloop.runs import KeptExplanation, OpenedRun, Which, explanation_folder, keep_explanation, open_run
from innerloop.runs.files import write_whole
from innerloop.training import EvaluationConfig

ALL = "all"
FORMATS: dict[str, Callable[[Any], str | bytes]] = {"svg": to_svg, "pdf": to_pdf, "png": to_png}


def parser() -> ArgumentParser:
    """Return the verb's parser; what is left out is as in the run's recipe."""
    verb = _own_options()
    for name, analysis in ANALYSES.items():
        if analysis.settings is not None:
            verb.add_class_arguments(analysis.settings, nested_key=settings_key(name))
    return verb


def settings_key(name: str) -> str:
    """Return what an analysis's settings start with: its name, where the verb has no option of that name."""
    return f"{name}_analysis" if name in options(_own_options()) else name


def _own_options() -> ArgumentParser:
    verb = new_parser()
    verb.add_argument("run", type=str, help="Folder of the run.")
    known = "; ".join(f"{name}: {each.summary}" for name, each in ANALYSES.items())
    verb.add_argument("what", type=str, nargs="*", default=[], help=f"Which analyses, or {ALL}. {known}.")
    add_data(verb)
    verb.add_argument("--split", type=str, default=TEST, help="Side the episodes come from: train, validation or test.")
    verb.add_argument("--episodes", type=int | None, default=None, help="How many episodes [as many as are needed].")
    verb.add_argument("--n_way", type=int | None, default=None, help="Classes of an episode.")
    verb.add_argument("--k_shot", type=int | None, default=None, help="Support examples a class.")
    verb.add_argument("--n_queries", type=int | None, default=None, help="Query examples a class.")
    verb.add_argument("--inner_lr", type=float | None, default=None, help="Adaptation rate, any sign.")
    verb.add_argument("--inner_steps", type=int | None, default=None, help="Inner steps at test.")
    verb.add_argument("--checkpoint", type=Which, default="best", help="Which state of the run.")
    verb.add_argument("--seed", type=int, default=0, help="Whose episodes.")
    return verb


def run(parsed: Namespace) -> None:
    """Explain, keep the result in the run, and say it."""
    chosen = list(ANALYSES) if ALL in parsed.what else parsed.what
    if not chosen:
        raise ConfigError(f"expected what to explain after the run, got nothing; known: {', '.join(ANALYSES)}, {ALL}")
    for name in chosen:
        if name not in ANALYSES:
            raise unknown_name("analysis", name, [*ANALYSES, ALL])
    opened = open_run(parsed.run)
    data = to_data(parsed, opened.recipe.data)
    shape = EpisodeShape(
        **{
            **asdict(opened.recipe.episode),
            **only_given(n_way=parsed.n_way, k_shot=parsed.k_shot, n_queries=parsed.n_queries),
        }
    )
    how = EvaluationConfig(
        **{
            **asdict(opened.recipe.evaluation),
            **only_given(episodes=parsed.episodes, inner_lr=parsed.inner_lr, inner_steps=parsed.inner_steps),
        }
    )
    for name in chosen:
        settings = ANALYSES[name].settings
        given = None if settings is None else settings(**parsed[settings_key(name)].as_dict())
        usual = ANALYSES[name].episodes
        episodes = usual if parsed.episodes is None or not usual else how.episodes
        try:
            if ANALYSES[name].of_training and (parsed.inner_lr, parsed.inner_steps) != (None, None):
                raise ConfigError(
                    f"expected no --inner_lr or --inner_steps for {name}, got one; it looks at the inner loop of "
                    "training, so leave them out"
                )
            kept, result = explained(
                opened, name, given, data, parsed.split, shape, how, episodes, parsed.checkpoint, parsed.seed
            )
        except InnerloopError as error:
            if len(chosen) == 1 or isinstance(error, DiskError):
                raise
            console.print(f"{name}: left out; {error}", soft_wrap=True)
            continue
        for line in SECTIONS[name].say({label(opened): result}).split("\n"):
            console.print(capital(line), soft_wrap=True)
        console.print(f"Numbers and figures: {written(opened, kept, result)}", soft_wrap=True)


def explained(
    opened: OpenedRun,
    name: str,
    settings: Any,
    data: DataConfig,
    side: str,
    shape: EpisodeShape,
    how: EvaluationConfig,
    episodes: int,
    checkpoint: Which,
    seed: int,
    bar: str = "",
) -> tuple[KeptExplanation, Any]:
    """Run one analysis on a checkpoint, with a progress bar that is called `bar` (the analysis's name by default)."""
    if shape.ways > opened.recipe.episode.ways:
        raise ConfigError(
            f"expected episodes of at most {opened.recipe.episode.ways} ways, which is what the head has rows for, "
            f"got {shape.ways}; explain a run with more ways"
        )
    split = unseen(opened, data, side)
    checkpoint = opened.chosen(checkpoint)
    trained, state = opened.learned(split, checkpoint)
    tested = how.applied_to(trained)
    if ANALYSES[name].episodes:
        probes(split, shape, seed, ())  # what cannot be drawn is refused before the bar appears

    @cache
    def home() -> DataSet:
        return load(opened.recipe.data, watched)

    subject = Subject(
        trained,
        tested,
        state.params,
        lambda: probes(split, shape, seed, counted(bar or name, episodes)),
        opened,
        state,
        lambda own: home().split(own),
        split,
        shape,
        watched,
    )
    measure = ANALYSES[name].measure
    result = measure(subject) if settings is None else measure(subject, settings)
    inner = trained.inner if ANALYSES[name].of_training else tested.inner
    kept = KeptExplanation(
        name,
        command_line(),
        checkpoint,
        state.step,
        data,
        side,
        shape,
        episodes,
        seed,
        inner.lr,
        inner.steps,
        tested.learner.transductive,
        {} if settings is None else asdict(settings),
        to_values(result),
    )
    return kept, result


def written(opened: OpenedRun, kept: KeptExplanation, result: Any) -> Path:
    """Write a result's figures, each in every format, then itself, so that it has them; return where."""
    place = explanation_folder(opened.directory.folder, kept)
    write_figures(place, FIGURES[kept.analysis]({label(opened): result}))
    keep_explanation(opened.directory.folder, kept)
    return place


def write_figures(folder: Path, figures: Mapping[str, Any]) -> None:
    """Write figures by name, each in every format."""
    for name, figure in figures.items():
        for ending, turned in FORMATS.items():
            write_whole(folder / f"{name}.{ending}", turned(figure))
