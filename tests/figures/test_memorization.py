from dataclasses import replace

import pytest

from innerloop.analysis import Subject
from innerloop.analysis.memorization import RowChanges, measure
from innerloop.figures import memorization
from innerloop.figures.style import colour, to_svg
from innerloop.statistics import Interval
from worlds import algorithm_of, conv_learner, image_episode, probes_of


@pytest.fixture(scope="module")
def result():
    learner, params = conv_learner(filters=8)
    algorithm = algorithm_of("maml", learner, lr=0.4, steps=3)
    return measure(Subject(algorithm, algorithm, params, probes_of([image_episode(seed=seed) for seed in range(2)])))


def test_every_figure_is_drawn_for_one_run_and_for_several(result):
    for results in ({"one": result}, {"one": result, "other": result, "third": result}):
        drawn = memorization.draw(results)
        assert list(drawn) == ["cosines", "agreement", "accuracy", "slots"]
        assert all(to_svg(figure).startswith("<?xml") for figure in drawn.values())


def bold(axes):
    return [
        line
        for line in axes.lines
        if line.get_marker() == "o" and line.get_markersize() == 4.5 and len(line.get_xdata()) > 0
    ]


def test_a_panel_has_a_bold_line_of_class_means_a_run_over_its_own_inner_steps(result):
    short = replace(result, inner_steps=1, before=result.before[:1])
    panels = memorization.cosines({"one": result, "short": short}).axes
    for axes, name in zip(panels, ("own_mean", "other_means", "centred_mean"), strict=True):
        lines = bold(axes)
        assert [line.get_color() for line in lines] == [colour(0), colour(1)]
        assert list(lines[0].get_ydata()) == [getattr(step, name).mean for step in result.before]
        assert [round(x) for x in lines[0].get_xdata()] == [1, 2, 3]
        assert len(lines[1].get_ydata()) == 1
        assert lines[0].get_xdata()[0] != lines[1].get_xdata()[0]


def test_a_step_at_which_nothing_is_defined_has_no_point(result):
    gone = replace(result, before=(RowChanges(*[None] * 7), *result.before[1:]))
    panels = memorization.cosines({"one": gone}).axes
    assert all(len(line.get_ydata()) == 2 for axes in panels for line in bold(axes))


def test_bars_are_the_agreements_and_accuracies_in_percent(result):
    drawn = memorization.draw({"one": replace(result, head=Interval(0.25, 0.1, 2))})
    heights = [bar.get_height() for bar in drawn["agreement"].axes[0].patches]
    assert heights == pytest.approx(
        [100 * each.agreement.mean for each in (result.inner_product, result.euclidean, result.cosine)]
    )
    assert drawn["accuracy"].axes[0].patches[0].get_height() == 25
    slots = result.slots
    assert [bar.get_height() for bar in drawn["slots"].axes[0].patches] == pytest.approx(
        [100 * each.mean for each in (slots.before, slots.before_permuted, slots.after, slots.after_permuted)]
    )


def test_a_single_episode_is_drawn_without_intervals(result):
    once = Interval(0.5, float("inf"), 1)
    change = RowChanges(*[once] * 7)
    drawn = memorization.draw({"one": replace(result, inner_steps=1, before=(change,), head=once)})
    assert all("inf" not in to_svg(figure).split("<style")[0] for figure in drawn.values())
