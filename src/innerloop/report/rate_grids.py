"""The part of a grid's page that crosses rates of training with rates of adaptation, over seeds."""

from collections.abc import Mapping, Sequence
from html import escape

from innerloop.analysis.inner_lr import InnerLr, Place
from innerloop.analysis.rate_grid import RateGrid, rate_grid
from innerloop.analysis.values import from_values
from innerloop.errors import ConfigError
from innerloop.figures.inner_lr import grid as drawn
from innerloop.figures.style import to_svg
from innerloop.report.html import card, section
from innerloop.report.words import capital, percent, runs_of
from innerloop.runs.grid import settings_of
from innerloop.runs.outcome import Outcome
from innerloop.statistics import Interval

NAME = "inner_lr"
ARMS = ((False, "head as trained"), (True, "head zeroed"))


def rate_grids(outcomes: Sequence[Outcome]) -> dict[str, RateGrid]:
    """Return a grid for every set of cells that differ in the rate of training alone, by what it shows.

    There is one with the head as trained, and one with it zeroed where some head is not zero anyway; none where fewer
    than two rates have been trained and explained.
    """
    together: dict[tuple[object, ...], list[Outcome]] = {}
    for outcome in outcomes:
        settings = {name: str(value) for name, value in settings_of(outcome.cell.recipe).items() if name != "inner.lr"}
        together.setdefault(tuple(settings.items()), []).append(outcome)
    found: dict[str, RateGrid] = {}
    for group in together.values():
        runs = {each.cell.recipe.inner_loop.lr: _explained(each) for each in group}
        runs = {rate: by_seed for rate, by_seed in runs.items() if by_seed}
        if len(runs) < 2:
            continue
        is_zero = all(each.head_is_zero for by_seed in runs.values() for each in by_seed.values())
        steps = max(1, group[0].cell.recipe.test_loop[1])
        for zeroed, arm in ARMS[: 1 if is_zero else 2]:
            try:
                found[", ".join([*_shared(group), arm])] = rate_grid(runs, steps, zeroed)
            except ConfigError:  # no seed or rate in common, yet
                continue
    return found


def sentences(grids: Mapping[str, RateGrid]) -> list[str]:
    """Say of each grid where it is best, what is as good, and how the best negative rate of training does."""
    return [capital(f"{name}: {_said(found)}") for name, found in grids.items()]


def shown(grids: Mapping[str, RateGrid]) -> str:
    """Return the section, empty where there is no grid."""
    if not grids:
        return ""
    cards = [
        card(
            to_svg(drawn(found)),
            f"{capital(name)}: accuracy after {found.steps} inner step{'' if found.steps == 1 else 's'} by rate of "
            f"training and of adaptation, mean over {len(found.seeds)} seed{'' if len(found.seeds) == 1 else 's'}. "
            "Star: best. Dots: not significantly worse, in pairs over seeds and not corrected "
            "for how many are compared.",
            f"Rates of training and adaptation, {name}",
        )
        for name, found in grids.items()
    ]
    paragraphs = "".join(f"<p>{escape(said)}</p>" for said in sentences(grids))
    return section("Rates of training by rates of adaptation", cards, paragraphs)


def _explained(outcome: Outcome) -> dict[int, InnerLr]:
    """Return what `inner_lr` found of each seed's run, where it was looked at as the sweep does."""
    found: dict[int, InnerLr] = {}
    for seed, run in outcome.runs.items():
        for kept in run.explanations():
            if kept.analysis == NAME and (kept.inner_lr, kept.inner_steps) == run.recipe.test_loop:
                found[seed] = from_values(InnerLr, kept.values)
    return found


def _shared(group: Sequence[Outcome]) -> list[str]:
    """Return the values that all cells of a group have in common."""
    first = group[0].cell.values
    return [
        value.replace("_", " ")
        for axis, value in first.items()
        if all(each.cell.values[axis] == value for each in group)
    ]


def _said(found: RateGrid) -> str:
    row, column = found.best
    best = found.accuracy[row][column]
    assert best is not None  # the best has a value
    said = [
        f"best at rate {found.training[row]:g} in training and {found.adaptation[column]:g} in adaptation, "
        f"{_mean(found, best)}"
    ]
    if found.as_good is not None:
        said.append(_as_good(found, found.as_good))
    for what, rates, axis in (("training", found.training, 0), ("adaptation", found.adaptation, 1)):
        if rates[found.best[axis]] > 0 and rates[0] < 0:
            said.append(_best_negative(found, what, axis))
    return "; ".join(said) + f" (guessing: {100 * found.chance:.1f}%)."


def _as_good(found: RateGrid, cells: Sequence[Place]) -> str:
    """Say which other cells are not significantly worse, by rate of training."""
    others = f"{len(cells) - 1} of {len(found.training) * len(found.adaptation) - 1} others are not significantly worse"
    adapted: dict[float, set[float]] = {}
    for row, column in cells:
        adapted.setdefault(found.training[row], set()).add(found.adaptation[column])
    parts = [
        f"trained at {rate:g} and adapted at {runs_of(columns, found.adaptation)}"
        for rate, columns in sorted(adapted.items())
    ]
    return f"{others} over {len(found.seeds)} seeds ({'; '.join(parts)}, the best among them)"


def _best_negative(found: RateGrid, what: str, axis: int) -> str:
    """Say the best cell whose rate on one axis is negative."""
    rates = (found.training, found.adaptation)
    cells = [
        (cell, place)
        for row, cells in enumerate(found.accuracy)
        for column, cell in enumerate(cells)
        if cell is not None and rates[axis][(place := (row, column))[axis]] < 0
    ]
    if not cells:
        return f"every negative rate of {what} diverges"
    cell, place = max(cells, key=lambda each: each[0].mean)
    told = "" if found.as_good is None else f" ({'not ' if place in found.as_good else ''}significantly below it)"
    return (
        f"with a negative rate of {what} at most {_mean(found, cell)}, trained at {found.training[place[0]]:g} "
        f"and adapted at {found.adaptation[place[1]]:g}{told}"
    )


def _mean(found: RateGrid, cell: Interval) -> str:
    return f"{percent(cell)}%" if len(found.seeds) > 1 else f"{100 * cell.mean:.1f}% (one seed)"
