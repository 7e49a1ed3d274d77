from dataclasses import replace

from innerloop.analysis.landscape import Bend, Landscape, Layer, Mark, Slice, Surface
from innerloop.analysis.spectrum import Spectrum
from innerloop.figures.landscape import draw
from innerloop.report.said.landscape import captions, say
from innerloop.statistics import Interval


def one(value):
    return Interval(value, 0.5, 3)


def bends(**tops):
    return tuple(
        Bend(episode, place, of, Spectrum(2, (top * (episode + 1), 1.0), (1e-3, 0.0), 20, one(7.0)))
        for episode in range(3)
        for place in ("start", "adapted")
        for of in ("support", "query")
        if (top := tops.get(f"{place}_{of}"))
    )


def plane(name, marks, of=("query loss of task A", "query loss of task B"), losses=None, explained=None):
    losses = losses or ((1.0, 2.0), (2.0, 4.0))
    return Slice(
        name,
        (0.0, 1.0),
        (0.0, 1.0),
        tuple(Surface(own, losses, at) for own, at in zip(of, marks, strict=True)),
        tuple(Mark(str(number), (float(number), number / 2)) for number in range(len(marks[0]))),
        explained,
    )


TASKS = plane("tasks", ((1.6, 0.2, 2.5), (1.6, 3.0, 0.1)))
RESULT = Landscape(
    1,
    10,
    (),
    3,
    (),
    (TASKS,),
    bends(start_support=10.0, start_query=4.0, adapted_support=2.0, adapted_query=1.0),
    (
        Layer("body.weight", "body", one(1.0), one(1.0), one(0.2), Interval(0.1, 0.05, 3)),
        Layer("head.weight", "head", one(1.0), one(1.0), None, Interval(0.6, 0.05, 3)),
    ),
    ("outer path: expected a run, got none; train one",),
)


def test_the_verdict_is_whether_the_loss_is_flatter_after_adaptation_with_medians_and_the_trace():
    said = say({"random": RESULT})
    assert said.startswith(
        "The loss of the random after adaptation is flatter on support and query: the Hessian's largest eigenvalue is "
        "20 before and 4 after for the support loss and 8 before and 2 after for the query loss (the median over 3 "
        "episodes); the first episode's trace, of the query loss, is 7 ± 0.5 before and 7 ± 0.5 after."
    )
    sharper = replace(RESULT, bends=bends(start_support=10.0, start_query=4.0, adapted_support=2.0, adapted_query=9.0))
    assert "after adaptation is flatter on support and sharper on query:" in say({"a": sharper})
    one = replace(RESULT, bends=tuple(each for each in RESULT.bends if each.episode == RESULT.bends[0].episode))
    assert "is neither shown to be flatter nor sharper on support and query:" in say({"a": one})


def test_ratios_that_scatter_about_one_and_curvatures_below_zero_show_no_change():
    afters = iter([2.0, 100.0, 15.0, -1.0, -1.0, -1.0])  # of support, in turn, then of query
    order = sorted(RESULT.bends, key=lambda each: each.of == "query")
    turned = tuple(
        each
        if each.place == "start"
        else replace(each, spectrum=replace(each.spectrum, eigenvalues=(next(afters), -2.0)))
        for each in order
    )
    assert "is neither shown to be flatter nor sharper on support and query:" in say(
        {"a": replace(RESULT, bends=turned)}
    )


def test_the_layer_that_matters_most_and_what_tasks_do_to_each_other_are_said():
    said = say({"random": RESULT})
    assert (
        "Of layers changed by a relative unit the query loss depends most before adaptation on body.weight (0.2) and "
        "after on head.weight (0.6)." in said
    )
    assert (
        "Adapting to one of the first two tasks raises the other's query loss (2.5 instead of 1.6 and 3 instead of "
        "1.6)." in said
    )
    helps = replace(RESULT, slices=(plane("tasks", ((1.6, 0.2, 1.5), (1.6, 1.2, 0.1))),))
    assert "lowers the other's query loss (1.5 instead of 1.6 and 1.2 instead of 1.6)" in say({"a": helps})
    mixed = replace(RESULT, slices=(plane("tasks", ((1.6, 0.2, 1.5), (1.6, 2.2, 0.1))),))
    assert "raises one and lowers the other of their losses" in say({"a": mixed})
    alike = tuple(
        replace(layer, change_start=one(0.2 + place), change_adapted=one(0.3 + place))
        for layer, place in zip(RESULT.layers, (0.0, 0.8), strict=True)
    )
    assert "Of layers" not in say({"a": replace(RESULT, layers=alike)})  # their intervals overlap


def test_what_is_left_out_and_what_lanczos_did_not_reach_are_said():
    assert say({"a": RESULT}).endswith("Left out: outer path (expected a run, got none; train one).")
    more = ("adapted: expected a step; take one", "tasks: expected a step; take one", *RESULT.left_out)
    assert say({"a": replace(RESULT, left_out=more)}).endswith(
        "Left out: adapted and tasks (expected a step; take one); outer path (expected a run, got none; train one)."
    )
    short = tuple(replace(each, spectrum=replace(each.spectrum, asked=4)) for each in RESULT.bends)
    assert "Lanczos did not converge for 24 of 48 eigenvalues, which are left out." in say(
        {"a": replace(RESULT, bends=short)}
    )
    nothing = tuple(replace(each, spectrum=Spectrum(4, (), (), 20, None)) for each in RESULT.bends)
    assert say({"a": replace(RESULT, bends=nothing)}).startswith("For the a no eigenvalue of the loss's Hessian")


def test_a_learner_that_does_not_move_is_told_by_where_it_stands():
    still = replace(RESULT, slices=(), bends=bends(start_support=10.0, start_query=4.0))
    assert say({"a": still}).startswith(
        "For the a: the Hessian's largest eigenvalue is 20 for the support loss and 8 for the query loss"
    )


def test_every_figure_has_a_caption_with_variance_ends_and_what_is_flat():
    path = plane("inner path", ((2.0, 1.0, 0.5),), of=("query loss",), explained=(0.7, 0.2))
    outer = replace(path, name="outer path")
    flat = plane("start", ((1.6,),), of=("query loss",), losses=((1.6, 1.6), (1.6, 1.6)))
    result = replace(RESULT, slices=(flat, path, TASKS, outer), outer_steps=(0, 5, 10))
    for results in ({"a": result}, dict.fromkeys("abcd", result)):
        said = captions(results)
        assert draw(results).keys() <= said.keys()
    said = captions({"a": result})
    assert "hold 90% for the a of its variance" in said["inner_path"]
    assert "the query loss goes from 2 to 0.5 for the a." in said["inner_path"]
    assert "snapshots at outer step 0, 5 and 10" in said["outer_path"]
    assert said["start"].endswith("The same everywhere is the query loss of the a (1.6).")
    assert "is 1e-03 of the largest eigenvalue" in said["hessian"]
