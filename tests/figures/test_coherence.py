import pytest

from innerloop.analysis.coherence import AtStep, Coherence
from innerloop.figures.coherence import draw, of_arm
from innerloop.figures.style import to_png
from innerloop.statistics import Interval


def one(value, observations=10):
    return Interval(value, 0.1, observations)


def at(step, accuracy, distance, **others):
    measures = {"sharpness": one(2.0), "trajectory": one(0.1), "gradient": one(3.0 * distance), "gradient_head": None}
    measures |= others
    return AtStep(
        step, one(accuracy), one(0.5), one(distance), residual=1e-5, contrast=None, contrast_error=None, **measures
    )


def run(seed, accuracies, distances, arm="maml", **others):
    path = tuple(at(*each, **others) for each in zip((0, 1, 100), accuracies, distances, strict=False))
    return Coherence(arm, seed, True, 10, 2, path, *[one(0.1)] * 5)


SEEDS = {
    f"maml/seed {seed}": run(seed, (0.2, 0.3 + shift, 0.6 + shift), (1.0, 2.0 + shift, 3.0 - shift))
    for seed, shift in enumerate((0.0, 0.1, 0.05))
}


def test_six_measures_are_drawn_over_outer_steps_with_a_line_an_arm():
    other = {"zeroing": run(0, (0.2, 0.5, 0.9), (1.0, 1.0, 1.0), arm="zeroing")}
    axes = draw({**SEEDS, **other})["measures"].axes
    assert len(axes) == 6
    lines = [line for line in axes[0].lines if len(line.get_xdata())]
    assert [list(line.get_xdata()) for line in lines] == [[0, 1, 100]] * 2
    assert list(lines[0].get_ydata()) == pytest.approx([20, 35, 65])
    assert list(lines[1].get_ydata()) == pytest.approx([20, 50, 90])


def test_one_run_has_its_interval_over_tasks_and_several_theirs_over_runs():
    alone = of_arm([SEEDS["maml/seed 0"]], "distance")
    assert alone[100] == one(3.0)
    together = of_arm(list(SEEDS.values()), "distance")
    assert (together[100].mean, together[100].observations) == (pytest.approx(2.95), 3)
    lacking = [*SEEDS.values(), run(3, (0.2, 0.3), (1.0, 2.0), trajectory=None)]
    assert list(of_arm(lacking, "distance")) == [0, 1]
    assert of_arm(lacking, "trajectory") == {}


def test_correlations_are_drawn_with_enough_seeds_alone_and_a_bar_a_measure():
    assert list(draw({"a": SEEDS["maml/seed 0"]})) == ["measures"]
    figure = draw(SEEDS)["correlations"]
    axes = figure.axes[0]
    assert [each.get_text() for each in axes.get_yticklabels()] == ["distance", "gradient coherence"]
    assert len(axes.patches) == 2
    assert all(text.get_text().startswith("p = ") for text in axes.texts)


def test_a_run_of_one_snapshot_and_measures_of_two_signs_are_drawn():
    single = run(0, (0.2,), (1.0,), sharpness=None, trajectory=None)
    wild = run(0, (0.2, 0.3, 0.4), (1.0, -500.0, 0.01))
    for result in (single, wild):
        for figure in draw({"a": result}).values():
            assert to_png(figure)[:4] == b"\x89PNG"
    assert draw({"a": wild})["measures"].axes[5].get_yscale() == "symlog"
