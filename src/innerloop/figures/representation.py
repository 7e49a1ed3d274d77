"""What adaptation changes by layer, what is left with blocks frozen, and how features gather by class."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from innerloop.analysis.representation import LOGITS, Frozen, Layer, Measure, Representation
from innerloop.figures.style import HEIGHT, WIDTH, colour, legend, styled
from innerloop.statistics import Equivalence, Interval

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
BAND = "#e9e4d6"
MEASURES = {
    "fc": "spread within / between (FC)",
    "hv": "hyperplane variation (HV)",
    "cdnv": "CDNV",
    "rank": "effective rank",
}
COLLAPSE = {
    "nc1": "NC1: spread left",
    "nc2_norms": "NC2: lengths differ",
    "nc2_angles": "NC2: off a simplex",
    "nc3": "NC3: head on means",
    "nc4": "NC4: head is nearest mean",
}


def draw(results: Mapping[str, Representation]) -> dict[str, Figure]:
    """Draw the figures: `similarity`, `freezing` where something adapts, `gathering` and `collapse` where defined."""
    adapting = {label: each for label, each in results.items() if each.frozen}
    figures = {"similarity": _similarity(results)}
    if adapting:
        figures["freezing"] = _freezing(results)
    for figure, words in (("gathering", MEASURES), ("collapse", COLLAPSE)):
        shown = {name: title for name, title in words.items() if any(_there(each, name) for each in results.values())}
        if shown:
            figures[figure] = _panels(results, shown)
    return figures


def layers(results: Mapping[str, Representation]) -> list[str]:
    """Return the layers that at least one run has, in the order in which they run; logits are last."""
    names = dict.fromkeys(layer.name for each in results.values() for layer in each.layers)
    return [*(name for name in names if name != LOGITS), LOGITS]


def stages(results: Mapping[str, Representation]) -> list[str]:
    """Return what stands under the stages of freezing: how many blocks, only the head, nothing, and no head."""
    most = max(len(each.frozen) for each in results.values())
    return ["none", *(f"{count}" for count in range(1, most - 2)), *(["body"] if most > 2 else []), "all", "NIL"]


def _similarity(results: Mapping[str, Representation]) -> Figure:
    """Draw CKA above and CCA below, by layer: a line a run, and thin what shuffled examples show."""
    names = layers(results)
    with styled():
        figure = Figure(figsize=(WIDTH, 1.6 * HEIGHT), layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True)
        _by_layer(above, results, names, lambda each: each.cka, lambda each: each.cka_shuffled)
        _by_layer(below, results, names, lambda each: each.cca, lambda each: each.cca_shuffled)
        above.set_ylabel("linear CKA")
        below.set_ylabel("mean CCA")
        small = max(map(len, names)) * len(names) > 45
        turned: dict[str, Any] = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"} if small else {}
        below.set_xticks(range(len(names)), names, fontsize=7.5 if small else 9, **turned)
        handles = _of_runs(results)
        handles.append(Line2D([], [], color="#333333", linestyle="-", label="before and after"))
        handles.append(Line2D([], [], color="#333333", linestyle=":", label="examples shuffled"))
        legend(figure, len(handles), handles)
        figure.set_figheight(figure.get_figheight() + 0.6 * HEIGHT)
    return figure


def _by_layer(
    axes: Axes,
    results: Mapping[str, Representation],
    names: Sequence[str],
    measured: Callable[[Layer], Interval | None],
    shuffled: Callable[[Layer], Interval | None],
) -> None:
    for index, each in enumerate(results.values()):
        aside = 0.12 * (index - (len(results) - 1) / 2)
        for picked, is_thin in ((shuffled, True), (measured, False)):
            there = [(names.index(layer.name) + aside, picked(layer)) for layer in each.layers]
            _line(axes, index, [(place, value) for place, value in there if value is not None], is_thin)
    axes.set_ylim(0, 1.05)
    axes.set_xlim(-0.4, len(names) - 0.6)


def _line(axes: Axes, index: int, points: Sequence[tuple[float, Interval]], is_thin: bool) -> None:
    axes.errorbar(
        [place for place, _ in points],
        [value.mean for _, value in points],
        [_width(value) for _, value in points],
        color=colour(index),
        linestyle=":" if is_thin else "-",
        linewidth=1.0 if is_thin else 1.9,
        marker="" if is_thin else MARKERS[index % len(MARKERS)],
        markersize=4.5,
        elinewidth=0.9,
        capsize=0 if is_thin else 2,
    )


def _freezing(results: Mapping[str, Representation]) -> Figure:
    """Draw accuracy by how much is frozen above, and below what it is beyond that of all adapting, with the margin."""
    names = stages(results)
    margin = 100 * next(iter(results.values())).margin
    with styled():
        figure = Figure(figsize=(WIDTH, 1.6 * HEIGHT), layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True)
        below.axhspan(-margin, margin, color=BAND, linewidth=0, zorder=0)
        below.axhline(0, color="#333333", linewidth=0.8)
        for index, each in enumerate(results.values()):
            aside = 0.1 * (index - (len(results) - 1) / 2)
            rows = [(_place(names, each, row) + aside, row.accuracy, row.gap) for row in each.frozen]
            _tested(above, below, index, rows, "-")
            _tested(above, below, index, [(len(names) - 1 + aside, each.nil, each.nil_gap)], "")
        # What has nothing left to adapt falls far; what is asked is whether the others differ at all.
        near = [row.gap for each in results.values() for row in each.frozen[:-1]] + [
            each.nil_gap for each in results.values()
        ]
        low = min([-1.5 * margin, *(100 * gap.difference.mean - 2 * margin for gap in near)])
        high = max([1.5 * margin, *(100 * gap.difference.mean + 2 * margin for gap in near)])
        below.set_ylim(low, high)
        above.set_ylabel("accuracy, %")
        below.set_ylabel("less all adapting,\npoints")
        below.set_xticks(range(len(names)), names)
        below.set_xlabel("blocks frozen at test")
        band = Patch(color=BAND, label=f"within {margin:g} points")
        legend(figure, 2, [*_of_runs(results), band])
        figure.set_figheight(figure.get_figheight() + 0.6 * HEIGHT)
    return figure


def _place(names: Sequence[str], result: Representation, row: Frozen) -> int:
    """Return where a stage stands: everything frozen before NIL, the whole body before that, others by their number."""
    from_end = len(result.frozen) - 1 - row.blocks
    return row.blocks if from_end > 1 or not row.blocks else len(names) - 2 - from_end


def _tested(
    above: Axes, below: Axes, index: int, rows: Sequence[tuple[float, Interval, Equivalence]], line: Literal["-", ""]
) -> None:
    style: dict[str, Any] = {
        "color": colour(index),
        "marker": MARKERS[index % len(MARKERS)],
        "markersize": 4.5,
        "elinewidth": 0.9,
    }
    places = [place for place, _, _ in rows]
    above.errorbar(
        places,
        [100 * value.mean for _, value, _ in rows],
        [100 * _width(value) for _, value, _ in rows],
        linestyle=line,
        capsize=2,
        **style,
    )
    shown = [gap.difference for _, _, gap in rows]
    below.errorbar(
        places, [100 * gap.mean for gap in shown], [100 * _width(gap) for gap in shown], linestyle="", **style
    )
    for place, _, gap in rows:
        if gap.tested.observations > 1:
            ends = (100 * gap.tested.low, 100 * gap.tested.high)
            below.plot((place, place), ends, color=colour(index), linewidth=2.6, solid_capstyle="butt")


def _panels(results: Mapping[str, Representation], shown: Mapping[str, str]) -> Figure:
    """Draw a panel a measure, a row a run: hollow before adaptation, filled after."""
    with styled():
        count = (len(shown) + 1) // 2
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        panels = figure.subplots(count, 2, squeeze=False).flatten()
        for axes in panels[len(shown) :]:
            axes.set_visible(False)
        for axes, (name, title) in zip(panels, shown.items(), strict=False):
            for index, each in enumerate(results.values()):
                measure = _named(each, name)
                if not each.is_still or name in ("nc3", "nc4"):
                    _dot(axes, index, index - 0.13, measure.before, "white")
                _dot(axes, index, index + 0.13, measure.after, colour(index))
            axes.set_title(title, fontsize=8.5, loc="left", pad=3)
            axes.set_yticks([])
            axes.set_ylim(len(results) - 0.5, -0.5)
            axes.grid(visible=False, axis="y")
            axes.tick_params(axis="x", labelsize=8)
        handles = _of_runs(results)
        for label, face in (("before", "white"), ("adapted", "#333333")):
            handles.append(Line2D([], [], color="#333333", linestyle="", marker="o", markerfacecolor=face, label=label))
        legend(figure, len(handles), handles)
        extra = figure.get_figheight() - HEIGHT
        figure.set_figheight(0.5 + extra + count * (0.6 + 0.17 * len(results)))
    return figure


def _there(result: Representation, name: str) -> bool:
    measure = _named(result, name)
    return measure.before is not None or measure.after is not None


def _named(result: Representation, name: str) -> Measure:
    return next(each for each in result.gathering if each.name == name)


def _dot(axes: Axes, index: int, place: float, value: Interval | None, face: str) -> None:
    if value is not None:
        axes.errorbar(
            [value.mean],
            [place],
            xerr=[_width(value)],
            color=colour(index),
            marker=MARKERS[index % len(MARKERS)],
            markersize=4.5,
            markerfacecolor=face,
            elinewidth=0.9,
            capsize=0,
        )


def _of_runs(results: Mapping[str, Representation]) -> list[Artist]:
    if len(results) < 2:
        return []
    return [
        Line2D([], [], color=colour(index), marker=MARKERS[index % len(MARKERS)], markersize=4.5, label=label)
        for index, label in enumerate(results)
    ]


def _width(value: Interval) -> float:
    return value.half_width if value.observations > 1 else 0.0
