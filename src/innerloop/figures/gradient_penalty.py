"""The inner rate's terms: the loss beside its expansion, what it explains of the meta-gradient, and the slopes."""

from collections.abc import Callable, Collection, Mapping, Sequence
from math import ceil, floor, log10
from typing import Any, Literal

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from innerloop.analysis.gradient_penalty import AtRate, GradientAt, GradientPenalty, LossAt
from innerloop.figures.style import HEIGHT, WIDTH, bars, colour, legend, styled
from innerloop.statistics import Interval

Style = Literal["-", "--", ":"]


def draw(results: Mapping[str, GradientPenalty]) -> dict[str, Figure]:
    """Draw the figures: `change`, `meta_gradient`, `slopes`, and `steps` where runs train with several inner steps."""
    figures = {
        "change": _change(results, lambda each: each.one_step, "one inner step"),
        "meta_gradient": _meta_gradient(results),
        "slopes": bars({label: _slopes(each) for label, each in results.items()}, "inner product of slopes"),
    }
    if any(each.inner_steps > 1 for each in results.values()):
        figures["steps"] = _change(results, lambda each: each.as_trained, "the steps of training")
    return figures


def of_order(result: GradientPenalty, at: AtRate) -> GradientAt:
    """Return what is explained of the meta-gradient of the order that the run was trained by."""
    return at.first if result.order == "first" else at.second


def _change(results: Mapping[str, GradientPenalty], choose: Callable[[AtRate], LossAt | None], steps: str) -> Figure:
    """Draw the true change of the loss over the rate, a colour a run, with its expansion of one and of two terms.

    Terms leave the picture where they leave the range of what is true; a rate at which an episode diverges has a cross.
    """
    with styled():
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        axes: Axes = figure.subplots()
        heights: list[float] = [0.0]
        drawn = {label: shown for label, each in results.items() if (shown := _shown(each, choose))}
        for label, losses in drawn.items():
            shade = colour(list(results).index(label))
            true = {rate: _over(loss.change, rate) for rate, loss in losses.items() if loss.change is not None}
            _band(axes, shade, true)
            heights += [edge for each in true.values() for edge in _edges(each)]
            penalty = {rate: loss.penalty.mean / rate for rate, loss in losses.items() if loss.penalty is not None}
            bend = {rate: loss.curvature.mean / rate for rate, loss in losses.items() if loss.curvature is not None}
            _plot(axes, penalty, color=shade, linestyle="--", linewidth=1.4)
            both = {rate: value + bend[rate] for rate, value in penalty.items() if rate in bend}
            _plot(axes, both, color=shade, linestyle=":", linewidth=1.4)
            crosses = [rate for rate, loss in losses.items() if loss.diverged]
            axes.plot(crosses, [0.97] * len(crosses), "x", color=shade, transform=axes.get_xaxis_transform())
        margin = 0.12 * (max(heights) - min(heights)) or 1.0
        axes.set_ylim(min(heights) - margin, max(heights) + margin)
        _rates(axes, results)
        axes.set_ylabel(f"change of the query loss by\n{steps} / inner rate")
        _legend(figure, list(results), drawn, {"-": "true", "--": "penalty", ":": "penalty and curvature"})
    return figure


def _meta_gradient(results: Mapping[str, GradientPenalty]) -> Figure:
    """Draw cosines to the true meta-gradient of one step by rate, without the penalty and with it."""
    with styled():
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        axes: Axes = figure.subplots()
        for index, result in enumerate(results.values()):
            terms = {each.rate: of_order(result, each) for each in result.rates}
            _band(axes, colour(index), {rate: each for rate, at in terms.items() if (each := at.cosine_penalised)})
            alone = {rate: at.cosine_query.mean for rate, at in terms.items() if at.cosine_query is not None}
            _plot(axes, alone, color=colour(index), linestyle="--", linewidth=1.4)
        axes.set_ylim(min(-0.08, axes.get_ylim()[0]), 1.05)
        _rates(axes, results)
        axes.set_ylabel("cosine to the\ntrue meta-gradient")
        _legend(figure, list(results), results, {"-": "with the penalty", "--": "without"})
    return figure


def _slopes(result: GradientPenalty) -> dict[str, Interval | None]:
    return {
        "support and\nquery": result.product,
        "of the\nhead": result.product_head,
        "contrastive\nsum": result.contrast,
        "of the\nencoder": result.product_encoder,
    }


def _shown(result: GradientPenalty, choose: Callable[[AtRate], LossAt | None]) -> dict[float, LossAt]:
    return {each.rate: loss for each in result.rates if (loss := choose(each)) is not None}


def _over(interval: Interval, rate: float) -> Interval:
    return Interval(interval.mean / rate, interval.half_width / abs(rate), interval.observations)


def _band(axes: Axes, shade: str, points: Mapping[float, Interval]) -> None:
    """Draw a line with its interval."""
    _plot(axes, {rate: each.mean for rate, each in points.items()}, color=shade, marker="o", markersize=3)
    for side in (-1, 1):
        there = {rate: _edges(each) for rate, each in points.items() if rate * side > 0}
        low, high = ([edges[end] for edges in there.values()] for end in (0, 1))
        axes.fill_between(list(there), low, high, color=shade, alpha=0.13, linewidth=0)


def _plot(axes: Axes, points: Mapping[float, float], **how: Any) -> None:
    """Draw a line by rate, broken at rate 0, where nothing is measured."""
    for side in (-1, 1):
        there = {rate: value for rate, value in points.items() if rate * side > 0}
        axes.plot(list(there), list(there.values()), **how)


def _edges(interval: Interval) -> tuple[float, float]:
    return (interval.low, interval.high) if interval.observations > 1 else (interval.mean, interval.mean)


def _rates(axes: Axes, results: Mapping[str, GradientPenalty]) -> None:
    """Show rates of both signs on logarithmic scales that meet in the middle."""
    sizes = sorted({abs(each.rate) for result in results.values() for each in result.rates})
    axes.set_xscale("symlog", linthresh=sizes[0], linscale=0.7)
    powers = range(ceil(log10(sizes[0])), floor(log10(sizes[-1])) + 1)
    shown = [10.0**power for power in powers[:: 1 + len(powers) // 5]]
    axes.set_xticks([*(-size for size in shown), 0, *shown])
    axes.axhline(0, color="#333333", linewidth=0.6)
    axes.axvline(0, color="#333333", linewidth=0.6)
    axes.set_xlabel("inner rate")


def _legend(figure: Figure, labels: Sequence[str], shown: Collection[str], styles: Mapping[Style, str]) -> None:
    """Say above the axes which colour is whose, where there are several, and what kind of line is what."""
    handles: list[Artist] = []
    if len(shown) > 1:
        handles += [Line2D([], [], color=colour(labels.index(label)), label=label) for label in shown]
    handles += [Line2D([], [], color="#333333", linestyle=style, label=text) for style, text in styles.items()]
    legend(figure, len(handles), handles)
