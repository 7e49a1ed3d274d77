"""`innerloop demo`: the main job, from nothing to a report in under five minutes.

Three FOMAML learners on letters, alike but for what happens to their head, assess on scripts they have never seen and
on real handwriting.
"""

from contextlib import closing

from jsonargparse import ArgumentParser, Namespace
from rich.table import Table

from innerloop import driver
from innerloop.algorithms import AlgorithmConfig, Head
from innerloop.analysis import ANALYSES
from innerloop.cli.evaluate import assess
from innerloop.cli.explain import explained
from innerloop.cli.parsing import new_parser
from innerloop.cli.places import command_line, new_folder
from innerloop.cli.progress import console, follow, watched
from innerloop.data import DataConfig, load
from innerloop.data.episode import EpisodeShape, ends
from innerloop.data.split import TEST
from innerloop.errors import ConfigError
from innerloop.models import ModelConfig
from innerloop.report import render
from innerloop.report.words import percent
from innerloop.runs import OpenedRun, Recipe, RecordConfig, keep_explanation, open_run
from innerloop.runs.files import write_whole
from innerloop.training import EvaluationConfig, TrainingConfig

# Name, and what happens to the head.
LEARNERS: tuple[tuple[str, Head], ...] = (
    ("random-head", "learned"),
    ("zero-head", "zero"),
    ("zeroing-trick", "zeroing"),
)
TESTS = ((DataConfig("typeface"), 1), (DataConfig("digits"), 1), (DataConfig("digits"), 5))
# What the report explains: analysis, data, shots, episodes. Blame is told of the last learner alone.
EXPLAINED = (
    ("contrast", DataConfig("typeface"), 1, 40),
    ("memorization", DataConfig("typeface"), 1, 40),
    ("responsibility", DataConfig("digits"), 5, 100),
)


def parser() -> ArgumentParser:
    """Return the verb's parser."""
    verb = new_parser()
    verb.add_argument("--out", type=str | None, default=None, help="New folder for runs and report [runs/demo].")
    verb.add_argument("--steps", type=int, default=100, help="Outer steps of each learner.")
    verb.add_argument("--episodes", type=int, default=250, help="Test episodes of each test.")
    verb.add_argument("--seed", type=int, default=0, help="Seed of all three.")
    return verb


def run(parsed: Namespace) -> None:
    """Train, test, report."""
    if parsed.steps < 1:
        raise ConfigError(f"expected --steps of at least 1, got {parsed.steps}; 100 shows the difference")
    how = EvaluationConfig(episodes=parsed.episodes)
    folder = new_folder(parsed.out, "demo")
    load(DataConfig("typeface"), watched)
    runs = []
    for name, head in LEARNERS:
        recipe = demo_recipe(head, parsed.steps, parsed.seed)
        with closing(driver.begin(recipe, str(folder / name), command_line())) as progress:  # type: ignore[type-var]
            follow(name, progress)
        runs.append(open_run(folder / name))
    for opened in runs:
        for data, k_shot in TESTS:
            label = f"{opened.name} on {data.name} {k_shot}-shot"
            opened.keep(assess(opened, data, TEST, EpisodeShape(5, k_shot, 15), how, "last", parsed.seed, label))
    for opened in runs:
        for name, data, k_shot, episodes in EXPLAINED:
            if name != "responsibility" or opened is runs[-1]:
                explain(opened, name, data, EpisodeShape(5, k_shot, 15), min(episodes, parsed.episodes), parsed.seed)
    page = folder / "report.html"
    write_whole(page, render(runs, "Three learners, one difference: what happens to the head"))
    console.print(summary(runs))
    console.print("transductive: query images are normalised by one another")
    console.print(f"Report: {page.resolve()}", soft_wrap=True)


def explain(opened: OpenedRun, name: str, data: DataConfig, shape: EpisodeShape, episodes: int, seed: int) -> None:
    """Run one analysis and keep it in the run; its figures are drawn in the report."""
    kind = ANALYSES[name].settings
    settings = None if kind is None else kind()
    kept, _ = explained(
        opened,
        name,
        settings,
        data,
        TEST,
        shape,
        EvaluationConfig(),
        episodes,
        "last",
        seed,
        f"{name} of {opened.name}",
    )
    keep_explanation(opened.directory.folder, kept)


def demo_recipe(head: Head, steps: int, seed: int) -> Recipe:
    """Return the demo's recipe: FOMAML, 5-way 1-shot, one inner step, a small strided network."""
    return Recipe(
        model=ModelConfig("strided_conv4", padding=True),
        algorithm=AlgorithmConfig("fomaml", head=head),
        training=TrainingConfig(steps=steps, tasks=16),
        record=RecordConfig(validation=10, validation_episodes=30, contrast=25, cosine=10),
        seed=seed,
    )


def summary(runs: list[OpenedRun]) -> Table:
    """Return the table of all tests: a row a test, with the head as trained and zeroed before adaptation."""
    shown = Table(title="Accuracy on unseen classes, %", title_justify="left")
    shown.add_column("test")
    shown.add_column("head at test")
    # In the order of the tests, not of the files' names.
    order = [(data.name, k_shot) for data, k_shot in TESTS]
    results = [
        sorted(
            (kept.evaluation for kept in opened.evaluations()),
            key=lambda result: order.index((result.data_set, ends(result.shape.k_shot)[0])),
        )
        for opened in runs
    ]
    for opened in runs:
        shown.add_column(opened.name.replace("-", " "), justify="right", no_wrap=True)
    for row in zip(*results, strict=True):
        for zero_head, head in ((False, "as trained"), (True, "zeroed")):
            accuracies = [percent(result.interval(zero_head)) for result in row]
            name = "" if zero_head else f"{row[0].data_set} {row[0].shape.k_shot}-shot"
            shown.add_row(name, head, *accuracies, end_section=zero_head)
    return shown
