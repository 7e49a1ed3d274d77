"""Results to one self-contained HTML page: no script, nothing loaded from anywhere, every string escaped."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from html import escape
from typing import Any

from innerloop.analysis import ANALYSES
from innerloop.analysis.values import from_values
from innerloop.data import DATASETS, DataConfig, load
from innerloop.data.episode import spelled
from innerloop.data.family import Family
from innerloop.data.sampler import draw
from innerloop.data.split import TRAIN
from innerloop.errors import InnerloopError, RunError, on_one_line
from innerloop.figures import episode as episode_figure
from innerloop.figures import training as training_figure
from innerloop.figures.registry import FIGURES
from innerloop.figures.style import to_svg
from innerloop.report import sentences
from innerloop.report.html import card, document, section
from innerloop.report.sections import SECTIONS
from innerloop.report.tested import Test, table, taken_by
from innerloop.report.words import HEADS, capital, listed, rate
from innerloop.runs import KeptExplanation, OpenedRun, interventions
from innerloop.runs.provenance import as_lines
from innerloop.runs.recipe import to_yaml


def render(runs: Sequence[OpenedRun], title: str = "innerloop report") -> str:
    """Return the report of one run or the comparison of several.

    Args:
        runs: Opened runs, in the order they are to be shown in.
        title: The page's heading.
    """
    labels = [training_figure.label(run) for run in runs]
    tests = taken_by(runs)
    with fitting("evaluations", labels, "evaluate again"):
        lead, episodes, tables = _lead(runs, tests), _episodes(tests), [table(test) for test in tests]
    with fitting("histories", labels, "restore history.jsonl, or train again"):
        curves, parts, cosines = _curves(runs), _contrast(runs), _cosines(runs)
    body = [
        f"<h1>{escape(title)}</h1>",
        lead,
        interfered({training_figure.label(run): run for run in runs}),
        episodes,
        curves,
        *tables,
        parts,
        cosines,
        *explained({training_figure.label(run): run for run in runs}),
        _provenance(runs),
    ]
    return document(title, body)


def _lead(runs: Sequence[OpenedRun], tests: list[Test]) -> str:
    names = [f"<b>{escape(training_figure.label(run))}</b>" for run in runs]
    first = runs[0].recipe
    shape = first.episode.described(DATASETS[first.data.name].has_classes)
    what = f"{first.algorithm.name.upper()}, {shape}, on {first.data.name}"
    same = all(_but_the_head(run) == _but_the_head(runs[0]) for run in runs)
    if len(runs) == 1:
        learners = f"One learner ({what})"
    elif same:
        learners = f"{len(runs)} learners ({what}) that differ in what happens to their head alone"
    else:
        learners = f"{len(runs)} learners"
    learners = escape(learners)
    said = sentences.comparison(tests[0].results) if tests else ""
    where = f" {escape(capital(tests[0].title))}: {escape(said[0].lower() + said[1:])}" if said else ""
    return f'<p class="lead">{learners}: {listed(names)}.{where}</p>'


def interfered(runs: Mapping[str, OpenedRun]) -> str:
    """Return what training did to its own outer steps, a paragraph for every labelled run where it did anything.

    Args:
        runs: By label, which is left out where it is the only one.
    """
    said = {label: interventions.told(run) for label, run in runs.items()}
    return "".join(
        f"<p>{escape(line if len(runs) == 1 else f'{label}: {line}')}</p>" for label, line in said.items() if line
    )


def _but_the_head(run: OpenedRun) -> dict[str, object]:
    values = asdict(run.recipe)
    values["model"].pop("head_scale")
    for name in ("head", "head_every"):
        values["algorithm"].pop(name)
    return values


def _episodes(tests: list[Test]) -> str:
    cards: list[str] = []
    seen: set[DataConfig] = set()
    for test in tests:
        kept = next(iter(test.kept.values()))
        if kept.data in seen:
            continue
        seen.add(kept.data)
        try:
            split = load(kept.data).split(kept.evaluation.split)
        except InnerloopError:
            continue  # the numbers stand without the pictures when the data have moved
        if isinstance(split, Family) or not episode_figure.is_picture(split.input_shape):
            continue  # what is no picture is not shown as one
        episode = draw(split, replace(kept.evaluation.shape, n_queries=7), kept.evaluation.seed or 0, 0)
        seen_before = "" if kept.evaluation.split == TRAIN else ", of classes it has never seen"
        caption = (
            f"One episode of {kept.data.name} ({DATASETS[kept.data.name].summary}). A learner adapts to the "
            f"{'image' if kept.evaluation.shape.k_shot == 1 else 'images'} on the left of each row{seen_before}, "
            "and must say of every image on the right which row it belongs to."
        )
        cards.append(card(to_svg(episode_figure.draw(episode)), caption, f"An episode of {kept.data.name}"))
    return section("What a task looks like", cards)


def _curves(runs: Sequence[OpenedRun]) -> str:
    if not any("accuracy" in record.get("validation", {}) for run in runs for record in run.history):
        return ""
    counts = _counts(run.recipe.record.validation_episodes for run in runs)
    cards = [
        card(
            _drawn(runs, "validation", "accuracy"),
            f"{sentences.speed(runs)} Accuracy after adaptation on {counts} fixed meta-validation "
            f"episodes, with {listed(list(dict.fromkeys(HEADS[run.recipe.test_head] for run in runs)))}.",
            "Learning curves",
        ),
        card(
            _drawn(runs, "validation", "zeroed"),
            "The same checkpoints on the same episodes with every head set to zero before adaptation: "
            f"{_ends(runs, 'zeroed')}.",
            "Learning curves with the head zeroed at test",
        ),
    ]
    return section("How fast they learn", cards)


def _counts(numbers: Iterable[int]) -> str:
    """Return one number, or all that runs differ in, in the order of the runs."""
    return " / ".join(str(number) for number in dict.fromkeys(numbers))


def _ends(runs: Sequence[OpenedRun], what: str) -> str:
    ends = []
    for run in runs:
        values = training_figure.measured(run, "validation", what)[1]
        if values:
            ends.append(f"the {training_figure.label(run)} ends at {100 * values[-1]:.1f}%")
    return listed(ends) if ends else "not measured"


def _contrast(runs: Sequence[OpenedRun]) -> str:
    said = sentences.interference(runs)
    if not said:
        return ""
    cards = [
        card(
            _drawn(runs, "contrast", "query_contrast"),
            "The contrastive part of the query loss's gradient at the query features: it pulls a query to support "
            "features of its class and pushes it from the others. "
            f"{sentences.movement(runs, 'contrast', 'query_contrast', 3)}",
            "Norm of the contrastive part",
        ),
        card(
            _drawn(runs, "contrast", "query_interference"),
            f"The rest of that gradient, made by the head as it was before adaptation, at the same scale. {said}",
            "Norm of the interference",
        ),
        *_more_of_the_split(runs),
    ]
    note = (
        '<p class="small">Mean Frobenius norms on '
        f"{_counts(run.recipe.record.probe_episodes for run in runs)} fixed probe episodes, encoder held still in the "
        "inner loop: exact for a zeroed head at one inner step, otherwise without what the encoder's own inner "
        "movement adds.</p>"
    )
    return section("Why: signal and interference in the gradient", cards, note)


def _more_of_the_split(runs: Sequence[OpenedRun]) -> list[str]:
    """Return cards on the coefficients' signs and on what the split leaves out, where they were recorded."""
    cards = []
    for what, caption, alternative in (
        (
            "negative_share",
            "Share of query-support pairs whose coefficient attracts. Pure contrast at one inner step has one in as "
            "many as there are ways.",
            "Share of coefficients that attract",
        ),
        (
            "gap",
            "Norm of what the split leaves out, because it holds the encoder still in the inner loop, relative to the "
            "encoder's true meta-gradient. Where it is large, the parts describe the head's side alone.",
            "What the split leaves out",
        ),
    ):
        if any(training_figure.measured(run, "contrast", what)[0] for run in runs):
            moved = sentences.movement(runs, "contrast", what)
            cards.append(card(_drawn(runs, "contrast", what), f"{caption} {moved}", alternative))
    return cards


def _cosines(runs: Sequence[OpenedRun]) -> str:
    said = sentences.separation(runs)
    if not said:
        return ""
    cards = [
        card(
            _drawn(runs, "cosine", "same_class"),
            "Cosine between query features and support features of the same class: what is alike is pulled together "
            f"where it rises. {sentences.movement(runs, 'cosine', 'same_class')} {said}",
            "Cosine, same class",
        ),
        card(
            _drawn(runs, "cosine", "different_class"),
            "Cosine between query features and support features of other classes, at the same scale: what differs is "
            f"pushed apart where it falls. {sentences.movement(runs, 'cosine', 'different_class')}",
            "Cosine, different class",
        ),
    ]
    return section("What it does to the features", cards)


def explained(runs: Mapping[str, OpenedRun], names: Collection[str] = tuple(ANALYSES)) -> list[str]:
    """Return a section for every analysis, a comparison of the labelled runs it was made of on the same episodes.

    Args:
        runs: By label.
        names: Which analyses.
    """
    found: dict[tuple[object, ...], dict[str, KeptExplanation]] = {}
    for label, run in runs.items():
        for kept in run.explanations():
            if kept.analysis in names:
                found.setdefault((*_told_together(kept), _asked_for(run, kept)), {})[label] = kept
    order = list(ANALYSES)
    sections = []
    for by_run in sorted(found.values(), key=lambda each: order.index(next(iter(each.values())).analysis)):
        first = next(iter(by_run.values()))
        results: dict[str, Any] = {
            label: from_values(ANALYSES[kept.analysis].result, kept.values) for label, kept in by_run.items()
        }
        with fitting(f"results of {first.analysis}", by_run, "explain again"):
            sections.append(_told(first.analysis, results, _conditions(by_run, runs)))
    return sections


def _told(analysis: str, results: Mapping[str, Any], conditions: str) -> str:
    told = SECTIONS[analysis]
    captions = told.captions(results)
    cards = [
        card(to_svg(figure), captions[name], f"{told.title}: {name}")
        for name, figure in FIGURES[analysis](results).items()
    ]
    return (
        f"<h2>{escape(told.title)}</h2>{_paragraphs(told.say(results))}"
        f'<div class="grid">{"".join(cards)}</div><p class="small">{escape(conditions)}</p>'
    )


@contextmanager
def fitting(what: str, runs: Iterable[str], cure: str) -> Iterator[None]:
    """Refuse values that are of the right kinds and do not fit one another, which shows only when they are told.

    Args:
        what: Values of what.
        runs: Labels of the runs whose files they stand in.
        cure: What to do.

    Raises:
        RunError: They do not.
    """
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RuntimeError) as error:
        said = on_one_line(f"{type(error).__name__}: {error}", 300, 50)
        raise RunError(
            f"expected {what} that can be told, got values in {listed([repr(run) for run in runs])} that do not fit "
            f"one another ({said}); {cure}"
        ) from error


def _paragraphs(said: str) -> str:
    return "".join(f"<p>{escape(capital(line))}</p>" for line in said.split("\n"))


def _told_together(kept: KeptExplanation) -> tuple[object, ...]:
    """Return what has to be the same for two runs' results to stand in one figure."""
    settings = tuple(sorted((name, str(value)) for name, value in kept.settings.items()))
    return (kept.analysis, kept.data.name, kept.split, kept.shape, kept.episodes, kept.seed, kept.checkpoint, settings)


def _asked_for(run: OpenedRun, kept: KeptExplanation) -> tuple[float, int] | None:
    """Return the inner rate and steps where they are not the run's own; runs of different own ones are compared."""
    inner = run.recipe.inner_loop
    loop = (kept.inner_lr, kept.inner_steps)
    return None if loop in (run.recipe.test_loop, (inner.lr, inner.steps)) else loop


def _conditions(together: Mapping[str, KeptExplanation], runs: Mapping[str, OpenedRun]) -> str:
    kept = next(iter(together.values()))
    if not kept.episodes:
        return f"{capital(kept.checkpoint)} checkpoint; no episodes are looked at."
    loops = {(_rate(runs[label], each), each.inner_steps) for label, each in together.items()}
    inner = (
        f"{next(iter(loops))[0]}, {kept.inner_steps} inner step{'' if kept.inner_steps == 1 else 's'}"
        if len(loops) == 1
        else "each run's own inner rate and steps"
    )
    how = "transductive: query examples are normalised by one another" if kept.transductive else "inductive"
    return (
        f"{kept.data.name}, {kept.split} classes, {kept.shape}, {spelled(kept.shape.n_queries)} queries a class, "
        f"{kept.episodes} episodes, seed {kept.seed}, {kept.checkpoint} checkpoint, {inner}; mean and 95% interval "
        f"over episodes; {how}."
    )


def _rate(run: OpenedRun, kept: KeptExplanation) -> str:
    return rate(kept.inner_lr, run.recipe.algorithm.axes.learned_rates, bool(run.recipe.inner.lr_of))


def _provenance(runs: Sequence[OpenedRun]) -> str:
    parts = []
    for run in runs:
        about = "\n".join(as_lines(run.about))
        tested = "\n".join(f"tested: {kept.command}" for kept in run.evaluations())
        tested += "".join(f"\nexplained: {kept.command}" for kept in run.explanations())
        parts.append(
            f"<details><summary>{escape(training_figure.label(run))}</summary>"
            f"<pre>{escape(about)}\n{escape(tested)}\n\n{escape(to_yaml(run.recipe))}</pre></details>"
        )
    return "<h2>How it was made</h2>" + "".join(parts)


def _drawn(runs: Sequence[OpenedRun], kind: str, what: str) -> str:
    return to_svg(training_figure.draw(runs, kind, what))
