"""What happened while training: accuracy, the gradient's parts and the features' cosines, a line a run."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from innerloop.errors import on_one_line
from innerloop.figures.style import Curve, curves
from innerloop.runs import OpenedRun

LABELS = {
    ("validation", "accuracy"): "meta-validation accuracy, %",
    ("validation", "zeroed"): "meta-validation accuracy,\nhead zeroed first, %",
    ("contrast", "query_contrast"): "norm of the contrastive part",
    ("contrast", "query_interference"): "norm of the interference",
    ("contrast", "negative_share"): "coefficients that attract, %",
    ("contrast", "gap"): "what the split leaves out, %",
    ("cosine", "same_class"): "cosine, same class",
    ("cosine", "different_class"): "cosine, different class",
    ("cosine", "between_classes"): "scatter of class means",
    ("cosine", "within_classes"): "scatter within classes",
}
# Parts of one whole are compared by eye: one scale for both.
TOGETHER = (
    {"accuracy", "zeroed"},
    {"query_contrast", "query_interference"},
    {"same_class", "different_class"},
    {"between_classes", "within_classes"},
)


def together(kind: str, what: str) -> list[tuple[str, str]]:
    """Return the measurements that share a scale with this one, itself among them."""
    names = next((names for names in TOGETHER if what in names), {what})
    return [(kind, name) for name in sorted(names)]


def label(run: OpenedRun) -> str:
    """Return the run's name as words; a folder may have any name."""
    return on_one_line(run.title.replace("-", " ").replace("_", " "))


def measured(run: OpenedRun, kind: str, what: str) -> Curve:
    """Return the outer steps at which something was measured, and the values."""
    found = [(record["step"], record[kind][what]) for record in run.history if what in record.get(kind, {})]
    return [step for step, _ in found], [value for _, value in found]


def draw(runs: Sequence[OpenedRun], kind: str, what: str) -> Figure:
    """Draw one measurement of every run that has it over outer steps."""
    lines = {label(run): measured(run, kind, what) for run in runs}
    shown = {name: curve for name, curve in lines.items() if curve[0]}
    percent = LABELS[kind, what].endswith("%")
    figure = curves(shown, LABELS[kind, what], percent=percent, zero=kind == "contrast")
    values = [value for run in runs for each in together(kind, what) for value in measured(run, *each)[1]]
    if values:
        scale = 100 if percent else 1
        low, high = scale * min(values), scale * max(values)
        margin = 0.05 * (high - low or scale)
        figure.axes[0].set_ylim(0 if kind == "contrast" else low - margin, high + margin)
    return figure
