"""A grid's outcomes to one self-contained page: which settings are best, how sure that is, and why."""

from collections.abc import Mapping, Sequence
from html import escape
from math import inf, isinf

from innerloop.analysis import ANALYSES
from innerloop.analysis.rate_grid import RateGrid
from innerloop.figures import sweep as figures
from innerloop.figures.style import to_svg
from innerloop.figures.training import LABELS, together
from innerloop.report import rate_grids
from innerloop.report.html import card, document, section
from innerloop.report.page import explained, interfered
from innerloop.report.sentences import written
from innerloop.report.words import HEADS, capital, listed, number, percent
from innerloop.runs import OpenedRun
from innerloop.runs.outcome import Outcome, Quantity, behind, curves, ranks
from innerloop.runs.provenance import as_lines
from innerloop.runs.recipe import to_yaml
from innerloop.statistics import Interval

ARMS = ((False, "as trained"), (True, "head zeroed"))
NAMED = 5  # cells a sentence names before it counts the rest


def render(
    title: str,
    outcomes: Sequence[Outcome],
    seeds: Sequence[int],
    made: str,
    left_out: Sequence[str],
    rates: Mapping[str, RateGrid] | None = None,
) -> str:
    """Return the page.

    Args:
        title: Its heading.
        outcomes: Every cell, in the grid's order, finished or not.
        seeds: What every cell is trained for.
        made: The grid's file and the command, as text.
        left_out: What could not be trained, tested or explained, a line each.
        rates: Rates of training by rates of adaptation, as `rate_grids` finds them in the outcomes.
    """
    body = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="lead">{escape(lead(outcomes, seeds))}</p>',
        *(_tested(group) for group in groups(outcomes)),
        rate_grids.shown(rates or {}),
        _left_out(left_out),
        _interfered(outcomes),
        _training(outcomes),
        *_analyses(outcomes, seeds[0]),
        _provenance(outcomes, made),
    ]
    return document(title, body)


def lead(outcomes: Sequence[Outcome], seeds: Sequence[int]) -> str:
    """Say what was crossed and how much of it is finished."""
    done, asked = sum(len(each.runs) for each in outcomes), len(outcomes) * len(seeds)
    axes: dict[str, list[str]] = {}
    for outcome in outcomes:
        for axis, value in outcome.cell.values.items():
            if value not in axes.setdefault(axis, []):
                axes[axis].append(value)
    crossed = "; ".join(f"{axis}: {listed(values)}" for axis, values in axes.items())
    runs = f"{_count(len(seeds), 'seed')} ({', '.join(map(str, seeds))})"
    finished = "all runs are finished" if done == asked else f"{done} of {asked} runs are finished"
    return f"{_count(len(outcomes), 'cell')}{f' ({crossed})' if crossed else ''}, each for {runs}; {finished}."


def groups(outcomes: Sequence[Outcome]) -> list[list[Outcome]]:
    """Return the cells by what they are tested on: other data or other episodes are another table, no test is none."""
    found: dict[object, list[Outcome]] = {}
    for outcome in outcomes:
        found.setdefault(outcome.test, []).append(outcome)
    return [group for group in found.values() if any(outcome.tests for outcome in group)]


def heading(group: Sequence[Outcome]) -> str:
    """Return what a group of cells is tested on."""
    data, shape, _, _ = group[0].test
    names = [kept.evaluation.data_set for outcome in group for kept in outcome.tests.values()]
    return f"{names[0] if names else data.name}, test classes, {shape}"


def over_seeds(group: Sequence[Outcome]) -> bool:
    """Return whether intervals are over seeds, which they are as soon as one cell has two."""
    return any(len(outcome.tests) > 1 for outcome in group)


def shown(outcome: Outcome, zero_head: bool, seeds: bool) -> str:
    """Return a cell's entry in the table; an interval over episodes never stands among those over seeds."""
    interval = outcome.interval(zero_head)
    if interval is None:
        return "–"
    if seeds and len(outcome.tests) == 1:
        mean = interval.mean
        return f"{100 * mean:.1f} (one seed)" if outcome.measure == "accuracy" else f"{mean:.3f} (one seed)"
    return written(interval, outcome.measure)


def columns(group: Sequence[Outcome]) -> list[str]:
    """Return the table's head: what is measured, and what the intervals are over."""
    loss = any(outcome.measure == "loss" for outcome in group)
    over = "seeds" if over_seeds(group) else "episodes"
    return ["cell", "seeds", *(f"{'query loss' if loss else 'accuracy, %'}, {arm}, over {over}" for _, arm in ARMS)]


def note(group: Sequence[Outcome]) -> str:
    """Say what the numbers are, and what they are not."""
    results = [kept.evaluation for outcome in group for kept in outcome.tests.values()]
    episodes = len(results[0].as_trained)
    if over_seeds(group):
        said = f"over the seeds' means, each of the same {_count(episodes, 'test episode')}"
    else:
        said = f"over {_count(episodes, 'test episode')}, the same for all cells; one seed, so not over training"
    kinds = {result.transductive for result in results}
    how = "transductive: query examples are normalised by one another" if True in kinds else "inductive"
    if len(kinds) > 1:
        how = "some cells are transductive (query examples are normalised by one another), some inductive"
    made = [
        f"{outcome.cell.label} is tested with {HEADS[next(iter(outcome.tests.values())).evaluation.head]}"
        for outcome in group
        if any(kept.evaluation.head != "params" for kept in outcome.tests.values())
    ]
    others = f" {capital('; '.join(made))}." if made else ""
    return (
        f"After adaptation: mean and 95% interval {said}. Differences are paired over the seeds that two cells share "
        f"(over test episodes where that is one) and not corrected for how many are compared. {capital(how)}.{others}"
    )


def comparison(group: Sequence[Outcome], zero_head: bool = False) -> str:
    """Say which cell is best, and which others are not significantly worse."""
    ranked = ranks(group, zero_head)
    if len(ranked) < 2:
        return ""
    top, others = ranked[0], ranked[1:]
    gaps = [(other, behind(top, other, zero_head)) for other in others]
    close = [f"{other.cell.label} (by {_gap(gap, top)})" for other, gap in gaps if gap is not None and gap.low <= 0]
    worse = [f"{other.cell.label} (by {_gap(gap, top)})" for other, gap in gaps if gap is not None and gap.low > 0]
    alone = [other.cell.label for other, gap in gaps if gap is None]
    how = "with every head zeroed before adaptation" if zero_head else "with the head as trained"
    quality = "lowest mean loss" if top.measure == "loss" else "highest mean accuracy"
    said = [
        f"{capital(how)}, {top.cell.label} has the {quality} of the {len(ranked)} tested cells, "
        f"{shown(top, zero_head, over_seeds(group))}{'' if top.measure == 'loss' else '%'}."
    ]
    if close:
        said.append(f"Not significantly behind it: {_some(close)}.")
    if worse:
        said.append(f"Significantly behind it{', nearest first' if len(worse) > 1 else ''}: {_some(worse)}.")
    if alone:
        said.append(f"Not compared with it, for want of a seed both have: {_some(alone)}.")
    return " ".join(said)


def drawn(outcomes: Sequence[Outcome]) -> tuple[list[Outcome], str]:
    """Return the finished cells that lines are drawn for, as many as can be told apart, and which ones these are."""
    done = [outcome for outcome in outcomes if outcome.runs]
    if len(done) <= figures.MOST:
        return done, ""
    ranked = ranks(done)
    if len(groups(ranked)) != 1 or len(ranked) <= figures.MOST:
        return done[: figures.MOST], f"Drawn are the first {figures.MOST} of {len(done)} cells."
    few = figures.MOST // 2
    chosen = [*ranked[: figures.MOST - few], *ranked[-few:]]
    return (
        [outcome for outcome in done if outcome in chosen],
        f"Drawn are {figures.MOST} of {len(done)} cells: the {figures.MOST - few} best and the {few} worst at test.",
    )


def _gap(gap: Interval, top: Outcome) -> str:
    return number(gap, 3) if top.measure == "loss" else f"{percent(gap)} points"


def _some(parts: Sequence[str]) -> str:
    """Return a list that names a few and counts the rest."""
    return listed(parts) if len(parts) <= NAMED + 1 else listed([*parts[:NAMED], f"{len(parts) - NAMED} more"])


def _count(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _tested(group: Sequence[Outcome]) -> str:
    best = {zero_head: ranks(group, zero_head)[:1] for zero_head, _ in ARMS}
    rows = []
    for outcome in group:
        entries = [f"<td>{len(outcome.tests)}</td>"]
        for zero_head, _ in ARMS:
            mark = ' class="best"' if len(group) > 1 and outcome in best[zero_head] else ""
            entries.append(f"<td{mark}>{escape(shown(outcome, zero_head, over_seeds(group)))}</td>")
        rows.append(f"<tr><td>{escape(outcome.cell.label)}</td>{''.join(entries)}</tr>")
    head = "".join(f"<th>{escape(column)}</th>" for column in columns(group))
    said = "".join(f"<p>{escape(text)}</p>" for zero_head, _ in ARMS if (text := comparison(group, zero_head)))
    return (
        f'<h2>Test: {escape(heading(group))}</h2>{said}<div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f'<tbody>{"".join(rows)}</tbody></table></div><p class="small">{escape(note(group))}</p>'
        f'<div class="grid">{"".join(_by_value(group))}</div>'
    )


def _by_value(group: Sequence[Outcome]) -> list[str]:
    """Draw the test against the axis with the most values, a line for each crossing of the others."""
    tested = [outcome for outcome in group if outcome.tests]
    values = {
        axis: list(dict.fromkeys(outcome.cell.values[axis] for outcome in tested)) for axis in group[0].cell.values
    }
    if not tested or not values:
        return []
    axis = max(values, key=lambda name: len(values[name]))
    if len(values[axis]) < 2:
        return []
    means = [mean for each in tested for zero_head, _ in ARMS for mean in each.means(zero_head).values()]
    within = figures.limits(means)
    loss = tested[0].measure == "loss"
    cards = []
    for zero_head, arm in ARMS:
        series: dict[str, dict[str, Interval | None]] = {}
        for outcome in tested:
            others = [value for name, value in outcome.cell.values.items() if name != axis]
            line = series.setdefault(" ".join(others).replace("_", " "), {})
            line[outcome.cell.values[axis]] = _alike(outcome, zero_head, over_seeds(group))
        few = dict(list(series.items())[: figures.MOST])
        ylabel = f"test {'query loss' if loss else 'accuracy'},\n{arm}{'' if loss else ', %'}"
        figure = figures.by_value(few, axis, ylabel, within, not loss)
        caption = f"{_peaks(few, axis, loss)} Both figures have the same scale."
        if any(each is not None and _beyond(each, within) for line in few.values() for each in line.values()):
            caption += " Intervals wider than the seeds' own range are cut at the axis's ends."
        if len(series) > len(few):
            caption += f" Drawn are the first {len(few)} of {len(series)} lines."
        cards.append(card(to_svg(figure), caption, f"Test by {axis}, {arm}"))
    return cards


def _alike(outcome: Outcome, zero_head: bool, seeds: bool) -> Interval | None:
    """Return a cell's interval, without its width where that is over episodes and the others' over seeds."""
    interval = outcome.interval(zero_head)
    return Interval(interval.mean, inf, 1) if interval and seeds and len(outcome.tests) == 1 else interval


def _peaks(series: Mapping[str, Mapping[str, Interval | None]], axis: str, loss: bool) -> str:
    """Say at which value of the axis each line is best."""
    parts = []
    for label, line in series.items():
        there = {value: each for value, each in line.items() if each is not None}
        best = (min if loss else max)(there, key=lambda value: there[value].mean)
        mean = f"{there[best].mean:.3f}" if loss else f"{100 * there[best].mean:.1f}%"
        parts.append(f"{f'for {label} ' if label else ''}at {best} ({mean})")
    return f"Over {axis}, the {'lowest' if loss else 'highest'} mean is {'; '.join(parts)}."


def _left_out(left_out: Sequence[str]) -> str:
    if not left_out:
        return ""
    return f"<h2>What was left out</h2><ul>{''.join(f'<li>{escape(line)}</li>' for line in left_out)}</ul>"


def _interfered(outcomes: Sequence[Outcome]) -> str:
    runs = {f"{each.cell.label}, seed {seed}": run for each in outcomes for seed, run in each.runs.items()}
    said = interfered(runs)
    return said and f"<h2>Outer steps that were skipped or clipped</h2>{said}"


def _training(outcomes: Sequence[Outcome]) -> str:
    chosen, which = drawn(outcomes)
    measured = dict.fromkeys(quantity for each in outcomes for run in each.runs.values() for quantity in curves(run))
    order = list(LABELS)
    quantities = sorted(measured, key=lambda each: order.index(each) if each in order else len(order))
    moving = [each for each in quantities if any(any(outcome.extremes(each)) for outcome in chosen)]
    cards = [_course(chosen, quantity, which) for quantity in moving]
    said = ["Mean over seeds; the band is its 95% interval." if _plural(chosen) else "One seed a cell: no band."]
    if still := [_spoken(each) for each in quantities if each not in moving]:
        said.append(f"Not drawn, being 0 throughout: {listed(still)}.")
    return section("While training", [each for each in cards if each], f'<p class="small">{escape(" ".join(said))}</p>')


def _plural(outcomes: Sequence[Outcome]) -> bool:
    return any(len(each.runs) > 1 for each in outcomes)


def _spoken(quantity: Quantity) -> str:
    return " ".join(figures.named(quantity).split()).removesuffix(", %")


def _course(outcomes: Sequence[Outcome], quantity: Quantity, which: str) -> str:
    """Draw one quantity over training; those that are parts of one whole share their scale."""
    bands = {outcome.cell.label: outcome.band(quantity) for outcome in outcomes}
    bands = {label: band for label, band in bands.items() if band}
    if not bands:
        return ""
    values = [value for each in together(*quantity) for outcome in outcomes for value in outcome.extremes(each)]
    within = figures.limits(values, zero=quantity in LABELS and quantity[0] == "contrast")
    cut = any(_beyond(interval, within) for band in bands.values() for _, interval in band)
    caption = " ".join(
        part
        for part in (
            f"{capital(_spoken(quantity))}: {_ends(bands, quantity)}.",
            "Bands wider than the seeds' own range are cut at the axis's ends." if cut else "",
            which,
        )
        if part
    )
    return card(to_svg(figures.over_training(bands, quantity, within)), caption, ".".join(quantity))


def _ends(bands: Mapping[str, list[tuple[int, Interval]]], quantity: Quantity) -> str:
    """Say where the lines end: who is highest and who lowest."""

    def spelled(value: float) -> str:
        return f"{100 * value:.1f}%" if figures.is_share(quantity) else f"{value:.3g}"

    last = {label: band[-1][1].mean for label, band in bands.items()}
    high, low = max(last, key=lambda name: last[name]), min(last, key=lambda name: last[name])
    if len(last) == 1:
        first = next(iter(bands.values()))[0][1].mean
        return f"{high} begins at {spelled(first)} and ends at {spelled(last[high])}"
    if spelled(last[high]) == spelled(last[low]):
        return f"all {len(last)} lines end at {spelled(last[high])}"
    return f"{high} ends highest, at {spelled(last[high])}, and {low} lowest, at {spelled(last[low])}"


def _beyond(interval: Interval, within: tuple[float, float]) -> bool:
    return not isinf(interval.half_width) and (interval.low < within[0] or interval.high > within[1])


def _analyses(outcomes: Sequence[Outcome], seed: int) -> list[str]:
    """Return the sections of the analyses: for the runs of the first seed, or of all where seeds are compared."""
    chosen, which = drawn(outcomes)
    runs: dict[str, OpenedRun] = {each.cell.label: each.runs[seed] for each in chosen if seed in each.runs}
    every = {f"{each.cell.label} seed {own}": run for each in chosen for own, run in each.runs.items()}
    of_seeds = [name for name, each in ANALYSES.items() if each.of_seeds]
    first, together = explained(runs, ANALYSES.keys() - of_seeds), explained(every, of_seeds)
    if not first and not together:
        return []
    also = ", but for what is asked across seeds" if first and together else ""
    where = f"on the runs of seed {seed}{also}" if first else "across seeds"
    said = f"What follows was measured {where}. {which.replace('Drawn', 'Shown', 1)}".strip()
    return [f'<h2>Why</h2><p class="small">{escape(said)}</p>', *first, *together]


def _provenance(outcomes: Sequence[Outcome], made: str) -> str:
    parts = [f"<pre>{escape(made)}</pre>"]
    for outcome in outcomes:
        lines = [f"{name}: {value}" for name, value in outcome.cell.settings.items()]
        for seed, run in outcome.runs.items():
            lines += ["", f"seed {seed}", *as_lines(run.about)]
            lines += [f"tested: {kept.command}" for kept in run.evaluations()]
            lines += [f"explained: {kept.command}" for kept in run.explanations()]
        text = "\n".join([*lines, "", to_yaml(outcome.cell.recipe)])
        parts.append(f"<details><summary>{escape(outcome.cell.label)}</summary><pre>{escape(text)}</pre></details>")
    return "<h2>How it was made</h2>" + "".join(parts)
